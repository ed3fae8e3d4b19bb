// SPDX-License-Identifier: Apache-2.0
// Who publishes, or has announced it, by the RTSP connection that does it: a connection publishes one thing, or watches.

import type { ViewerLink } from './ports.js';
import type { Publication } from './publication.js';

export class Publications {
  readonly #byLink = new Map<ViewerLink, Publication>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** One more may come. */
  get isFull(): boolean {
    return this.#byLink.size >= this.#limit;
  }

  of(link: ViewerLink): Publication | undefined {
    return this.#byLink.get(link);
  }

  numbered(number: number): Publication | undefined {
    return this.all().find((publication) => publication.number === number);
  }

  /** A snapshot: they may be removed while it is walked. */
  all(): Publication[] {
    return [...this.#byLink.values()];
  }

  add(publication: Publication): void {
    this.#byLink.set(publication.link, publication);
  }

  remove(publication: Publication): void {
    this.#byLink.delete(publication.link);
  }
}
