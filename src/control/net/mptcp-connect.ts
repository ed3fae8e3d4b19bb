// SPDX-License-Identifier: Apache-2.0
// A connection to a source by MPTCP. Node connects a socket that it is given, but wants to know its family before the
// name is looked up: so that is done here, and the addresses are tried one after the other.
import { lookup } from 'node:dns/promises';
import { Socket } from 'node:net';

import type { SourceEvents, SourceLink } from '../path/ports.js';
import type { RtspMessage } from '../rtsp/message.js';
import type { Family } from '../state/address.js';
import { mptcpSocket } from './mptcp.js';

/** What waits for the connection is small: a few requests (limits.ts, pendingRequests). */
export class ComingConnection implements SourceLink {
  readonly #abort = new AbortController();
  #link: SourceLink | undefined;
  #waiting: RtspMessage[] = [];

  /** `open` makes the link of a socket that is connected. */
  constructor(
    to: { readonly host: string; readonly port: number; readonly attemptMs: number },
    events: SourceEvents,
    open: (socket: Socket) => SourceLink,
  ) {
    const { signal } = this.#abort;
    connectMptcp(to, signal)
      .then((socket) => {
        if (signal.aborted || socket.destroyed) {
          socket.destroy();
          throw new Error('closed by the source');
        }
        this.#link = open(socket);
        for (const message of this.#waiting) this.#link.send(message);
        this.#waiting = [];
      })
      .catch((error: Error) => {
        if (!signal.aborted) events.closed(error);
      });
  }

  get subflows(): number | undefined {
    return this.#link?.subflows;
  }

  send(message: RtspMessage): void {
    if (this.#link) this.#link.send(message);
    else this.#waiting.push(message);
  }

  sendFrame(channel: number, payload: Buffer): void {
    this.#link?.sendFrame(channel, payload);
  }

  close(): void {
    this.#abort.abort();
    this.#link?.close();
  }

  hold(): string | undefined {
    return this.#link?.hold();
  }
}

/** Resolves with a socket that is connected; rejects with what each address said. */
async function connectMptcp(
  { host, port, attemptMs }: ConstructorParameters<typeof ComingConnection>[0],
  signal: AbortSignal,
): Promise<Socket> {
  const addresses = await lookup(host, { all: true });
  const faults: Error[] = [];
  for (const [i, { address, family }] of addresses.entries()) {
    // The last may take as long as the system lets it, as it does without MPTCP.
    const withinMs = i < addresses.length - 1 ? attemptMs : undefined;
    try {
      return await attempt({ address, family: family as Family, port }, withinMs, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      faults.push(error as Error);
    }
  }
  throw faults.length === 1 ? faults[0]! : new Error(faults.map(({ message }) => message).join('; '));
}

function attempt(
  { address, family, port }: { readonly address: string; readonly family: Family; readonly port: number },
  withinMs: number | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted();
  const socket = new Socket({ fd: mptcpSocket(family), readable: true, writable: true });
  return new Promise<Socket>((resolve, reject) => {
    const giveUp = () => socket.destroy(new Error(`connect: no answer from ${address}`));
    const timer = withinMs === undefined ? undefined : setTimeout(giveUp, withinMs);
    const settled = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
    };
    signal.addEventListener('abort', giveUp, { once: true });
    socket.on('error', reject).once('close', settled); // reject: of no effect once it is connected
    socket.once('connect', () => {
      settled();
      resolve(socket);
    });
    socket.connect({ host: address, port });
  });
}
