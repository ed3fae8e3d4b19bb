// SPDX-License-Identifier: Apache-2.0
// RTSP messages as values (RFC 2326 chapters 4 to 7, 10.12). Framing is framer.ts's, meaning is path/'s.

/** Header fields in the order they came, names compared without case, values as text without folding. */
export class Headers {
  readonly #fields: [name: string, value: string][] = [];

  constructor(fields: Iterable<readonly [string, string]> = []) {
    for (const [name, value] of fields) this.append(name, value);
  }

  /** The first field of that name. */
  get(name: string): string | undefined {
    const wanted = name.toLowerCase();
    return this.#fields.find(([n]) => n.toLowerCase() === wanted)?.[1];
  }

  getAll(name: string): string[] {
    const wanted = name.toLowerCase();
    return this.#fields.filter(([n]) => n.toLowerCase() === wanted).map(([, value]) => value);
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  append(name: string, value: string): this {
    this.#fields.push([name, value]);
    return this;
  }

  /** Replaces every field of that name by one. */
  set(name: string, value: string): this {
    this.delete(name);
    return this.append(name, value);
  }

  delete(name: string): this {
    const wanted = name.toLowerCase();
    for (let i = this.#fields.length - 1; i >= 0; i--)
      if (this.#fields[i]![0].toLowerCase() === wanted) this.#fields.splice(i, 1);
    return this;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.#fields[Symbol.iterator]();
  }
}

export interface RtspRequest {
  readonly kind: 'request';
  /** Upper case as it came; methods are case-sensitive (RFC 2326 6.1). */
  readonly method: string;
  /** `*` or an absolute or relative URI, as it came. */
  readonly uri: string;
  readonly headers: Headers;
  readonly body: Buffer;
}

export interface RtspResponse {
  readonly kind: 'response';
  readonly status: number;
  readonly reason: string;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** A `$` frame between messages (RFC 2326 10.12): channel and up to 65535 bytes. */
export interface InterleavedFrame {
  readonly kind: 'frame';
  readonly channel: number;
  readonly payload: Buffer;
}

export type RtspMessage = RtspRequest | RtspResponse;

const NO_BODY = Buffer.alloc(0);

export function request(
  method: string,
  uri: string,
  headers: Iterable<readonly [string, string]> = [],
  body: Buffer = NO_BODY,
): RtspRequest {
  return { kind: 'request', method, uri, headers: new Headers(headers), body };
}

/** `reason` defaults to the standard phrase of `status` (status.ts). */
export function response(
  status: number,
  headers: Iterable<readonly [string, string]> = [],
  body: Buffer = NO_BODY,
  reason = '',
): RtspResponse {
  return { kind: 'response', status, reason, headers: new Headers(headers), body };
}
