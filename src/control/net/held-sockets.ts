// SPDX-License-Identifier: Apache-2.0
// Sockets that outlive this process: whoever started us keeps a duplicate of each under a name, and the next process takes
// it from there. The connection to a peer therefore ends when the duplicate goes too: what is closed is removed.

import { Socket as UdpSocket } from 'node:dgram';

/** What is needed of the descriptor store. */
export interface Holder {
  names(): readonly string[];
  /** Who takes a descriptor owns it. */
  take(name: string): number | undefined;
  put(name: string, fd: number): void;
  remove(name: string): void;
}

/** Node has no public name for a socket's descriptor. -1: it has none (any more). */
export function descriptorOf(socket: object): number {
  type Handle = { readonly fd?: number } | null | undefined;
  if (!(socket instanceof UdpSocket)) return (socket as { _handle?: Handle })._handle?.fd ?? -1;
  const state = Object.getOwnPropertySymbols(socket).find(
    ({ description }) => description === 'state symbol',
  );
  const { handle } = (socket as unknown as Record<symbol, { handle?: Handle }>)[state!] ?? {};
  return handle?.fd ?? -1;
}

export class HeldSockets {
  readonly #holder: Holder;
  #last: number;

  constructor(holder: Holder) {
    this.#holder = holder;
    const numbers = holder
      .names()
      .map((name) => Number(/^(?:viewer|source)-(\d{1,15})$/.exec(name)?.[1] ?? 0));
    this.#last = numbers.reduce((most, number) => Math.max(most, number), 0);
  }

  /** A name that nothing has or had. */
  newName(kind: 'viewer' | 'source'): string {
    return `${kind}-${++this.#last}`;
  }

  take(name: string): number | undefined {
    return this.#holder.take(name);
  }

  /** A socket whose descriptor cannot be had (it is being closed) is not kept. */
  put(name: string, socket: object): void {
    const fd = descriptorOf(socket);
    if (fd >= 0) this.#holder.put(name, fd);
  }

  remove(name: string): void {
    this.#holder.remove(name);
  }
}
