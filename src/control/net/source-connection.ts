// SPDX-License-Identifier: Apache-2.0
// The RTSP connection to a source: bytes in, messages up. Whatever goes wrong below ends it with one event.

import { Socket } from 'node:net';

import type { SourceAddress, SourceEvents, SourceLink } from '../path/ports.js';
import { RtspError } from '../rtsp/errors.js';
import { Framer } from '../rtsp/framer.js';
import type { RtspMessage } from '../rtsp/message.js';
import { frameOf } from '../rtsp/interleaved.js';
import { serialize } from '../rtsp/serialize.js';
import { plainAddress } from '../state/address.js';
import { descriptorOf, type HeldSockets } from './held-sockets.js';
import { ComingConnection } from './mptcp-connect.js';
import { subflowsOf } from './mptcp.js';
import { openSocket } from './source-socket.js';
import { SourceTunnel } from './source-tunnel.js';

const KEEP_ALIVE_MS = 10_000;
/** A host name may stand for several addresses, which are tried one after the other. */
const ATTEMPT_MS = 2000;
/** Requests that the source does not take. They are small and few (limits.ts, pendingRequests), so this is a fault. */
const MAX_UNSENT = 4 * 1024 * 1024;
const MAX_UNSENT_FRAMES = 64 * 1024;

export interface SourceConnectionOptions {
  readonly held?: HeldSockets | undefined;
  /** By MPTCP, where the source speaks it; not the two connections of a tunnel. */
  readonly mptcp?: boolean;
}

export function connectSource(
  { host, port, tls, tunnel }: SourceAddress,
  events: SourceEvents,
  { held, mptcp = false }: SourceConnectionOptions = {},
): SourceLink {
  const to = {
    ...{ host, port, autoSelectFamilyAttemptTimeout: ATTEMPT_MS },
    ...{ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
  };
  if (mptcp && tunnel === undefined)
    return new ComingConnection({ host, port, attemptMs: ATTEMPT_MS }, events, (socket) => {
      socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
      if (!tls) return new SourceConnection(() => socket, events, { held, isOpen: true });
      return new SourceConnection((opened) => openSocket({ ...to, socket }, tls, opened), events, {});
    });
  try {
    const open: Open = (opened) =>
      tunnel === undefined ? openSocket(to, tls, opened) : new SourceTunnel(to, tls, tunnel, opened);
    return new SourceConnection(open, events, tls || tunnel !== undefined ? {} : { held });
  } catch (error) {
    let closed = false;
    queueMicrotask(() => {
      if (!closed) events.closed(error as Error);
    });
    return { send: () => {}, sendFrame: () => {}, close: () => (closed = true), hold: () => undefined };
  }
}

/** The connection that a former process of ours had; undefined: nobody has held it. */
export function restoreSource(name: string, events: SourceEvents, held: HeldSockets): SourceLink | undefined {
  const fd = held.take(name);
  return fd === undefined
    ? undefined
    : new SourceConnection(() => new Socket({ fd }), events, { held, name });
}

/** `opened` is called when it may be used. */
type Open = (opened: () => void) => Socket | SourceTunnel;

interface Connected {
  readonly held?: HeldSockets | undefined;
  /** It is open, and held under that name. */
  readonly name?: string;
  readonly isOpen?: boolean;
}

class SourceConnection implements SourceLink {
  readonly #socket: Socket | SourceTunnel;
  readonly #events: SourceEvents;
  readonly #framer = new Framer();
  readonly #held: HeldSockets | undefined;
  #name: string | undefined;
  #closed = false;

  /** `held` is left out for what no other process could go on with: TLS, a tunnel. */
  constructor(open: Open, events: SourceEvents, { held, name, isOpen = name !== undefined }: Connected) {
    this.#events = events;
    this.#held = held;
    this.#name = name;
    const socket = (this.#socket = open(() => this.#opened()));
    if (isOpen) this.#opened();
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => this.#fail(oneError(error)));
    socket.on('close', () => {
      if (this.#name !== undefined) this.#held?.remove(this.#name);
      this.#fail(new Error('closed by the source'));
    });
  }

  get subflows(): number | undefined {
    return subflowsOf(descriptorOf(this.#socket));
  }

  hold(): string | undefined {
    if (this.#name === undefined && this.#held && !this.#closed) {
      this.#name = this.#held.newName('source');
      this.#held.put(this.#name, this.#socket as Socket); // nothing else is held
    }
    return this.#name;
  }

  send(message: RtspMessage): void {
    if (this.#closed) return;
    this.#socket.write(serialize(message));
    if (this.#socket.writableLength > MAX_UNSENT)
      this.#fail(new Error('the source does not read what it is sent'));
  }

  /** Behind requests that the source does not take it is not queued: a report is out of date soon. */
  sendFrame(channel: number, payload: Buffer): void {
    if (this.#closed || this.#socket.writableLength > MAX_UNSENT_FRAMES) return;
    this.#socket.write(frameOf(channel, payload));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Corked: we do not know yet who that is, and what waits is not for anybody else.
    if (this.#socket.writableCorked > 0) this.#socket.destroy();
    else this.#socket.destroySoon();
  }

  #opened(): void {
    if (this.#closed) return;
    const { localAddress, localPort, remoteAddress, remotePort } = this.#socket;
    if (localAddress === undefined || remoteAddress === undefined) return; // reset already: 'error' follows
    this.#events.opened(
      { address: plainAddress(localAddress), port: localPort! },
      { address: plainAddress(remoteAddress), port: remotePort! },
    );
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    this.#framer.push(chunk);
    let framed = 0;
    try {
      for (let message = this.#framer.next(); message; message = this.#framer.next()) {
        if (message.kind !== 'frame') this.#events.message(message);
        else {
          this.#events.frame(message.channel, message.payload);
          framed += message.payload.length;
        }
        if (this.#closed) return;
      }
    } catch (error) {
      if (!(error instanceof RtspError)) throw error;
      // An answer that cannot be read leaves a request without one: there is no going on behind it.
      this.#fail(error);
    }
    if (framed > 0) this.#rest();
  }

  /** What was sent on must be fetched from the UDP ports before more comes, or their buffers overflow. */
  #rest(): void {
    this.#socket.pause();
    setImmediate(() => this.#socket.resume());
  }

  #fail(why: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    this.#events.closed(why);
  }
}

/** Where several addresses failed, Node's error says so and not why. */
function oneError(error: Error): Error {
  return error instanceof AggregateError && error.errors.length > 0
    ? new Error(error.errors.map((each: Error) => each.message).join('; '), { cause: error })
    : error;
}
