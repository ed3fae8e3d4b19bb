// SPDX-License-Identifier: Apache-2.0
// RTSP over HTTP: connections that begin with GET or POST, and which of them make a tunnel (rtsp/tunnel.ts). The two come
// from one address; what a stranger sends with somebody's cookie therefore goes nowhere.

import type { Duplex } from 'node:stream';

import type { ListenerOptions } from '../path/ports.js';
import { RtspError } from '../rtsp/errors.js';
import { parseTunnelHead, TUNNEL_OPENED, tunnelRefused, type TunnelHead } from '../rtsp/tunnel.js';
import type { Deadline } from '../state/deadlines.js';
import { TunnelStream } from './tunnel-stream.js';
import type { Wire } from './wire.js';

interface WaitingPost {
  readonly stream: Duplex;
  readonly deadline: Deadline;
}

export class HttpTunnels {
  readonly #options: Pick<ListenerOptions, 'limits' | 'deadlines' | 'refused'>;
  readonly #opened: (wire: Wire) => void;
  readonly #tunnels = new Map<string, TunnelStream>();
  /** A POST may overtake its GET. */
  readonly #posts = new Map<string, WaitingPost>();

  /** `opened` is called for each tunnel as soon as it has a way to the client. */
  constructor(options: ListenerOptions, opened: (wire: Wire) => void) {
    this.#options = options;
    this.#opened = opened;
  }

  /** A connection whose first bytes, still unread, are HTTP's. */
  enter(wire: Wire): void {
    const { limits, deadlines } = this.#options;
    const { stream } = wire;
    const deadline = deadlines.in(limits.tunnelMs, () =>
      this.#refuse(stream, 408, 'The header does not end.'),
    );
    stream.once('close', () => deadline.cancel());
    let seen: Buffer = Buffer.alloc(0);
    const receive = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      const head = this.#readHead(stream, seen);
      if (head === undefined) return;
      deadline.cancel();
      stream.off('data', receive);
      stream.pause();
      if (head && seen.length > head.length) stream.unshift(seen.subarray(head.length));
      if (head) this.#join(wire, head);
    };
    stream.on('data', receive);
    stream.resume();
  }

  /** Null: refused. */
  #readHead(stream: Duplex, seen: Buffer): TunnelHead | undefined | null {
    try {
      return parseTunnelHead(seen);
    } catch (error) {
      if (!(error instanceof RtspError)) throw error;
      this.#refuse(stream, error.status, error.message);
      return null;
    }
  }

  #join(wire: Wire, { method, cookie }: TunnelHead): void {
    const key = `${wire.secure ? 's' : 'p'} ${wire.remote.address} ${cookie}`;
    if (method === 'GET') this.#openTunnel(key, wire);
    else this.#takePost(key, wire.stream);
  }

  #openTunnel(key: string, wire: Wire): void {
    if (this.#tunnels.has(key)) {
      this.#refuse(wire.stream, 409, 'There is a tunnel with this x-sessioncookie.');
      return;
    }
    const tunnel = new TunnelStream(wire.stream);
    this.#tunnels.set(key, tunnel);
    tunnel.on('close', () => this.#tunnels.delete(key));
    wire.stream.write(TUNNEL_OPENED);
    const post = this.#posts.get(key);
    this.#posts.delete(key);
    post?.deadline.cancel();
    this.#opened({ ...wire, stream: tunnel, holdable: undefined });
    if (post) tunnel.attach(post.stream);
  }

  #takePost(key: string, stream: Duplex): void {
    const tunnel = this.#tunnels.get(key);
    if (tunnel) {
      tunnel.attach(stream);
      return;
    }
    const { limits, deadlines } = this.#options;
    if (this.#posts.has(key)) this.#refuse(stream, 409, 'There is a POST with this x-sessioncookie.');
    else if (this.#posts.size >= limits.tunnelsPending) this.#refuse(stream, 503, 'Too many wait for a GET.');
    else {
      const deadline = deadlines.in(limits.tunnelMs, () => {
        this.#posts.delete(key);
        this.#refuse(stream, 408, 'No GET has come with this x-sessioncookie.');
      });
      const waiting = { stream, deadline };
      this.#posts.set(key, waiting);
      stream.once('close', () => {
        deadline.cancel();
        if (this.#posts.get(key) === waiting) this.#posts.delete(key);
      });
    }
  }

  #refuse(stream: Duplex, status: number, message: string): void {
    const { refused, deadlines, limits } = this.#options;
    refused.add(`tunnel-${status}`);
    const deadline = deadlines.in(limits.tunnelMs, () => stream.destroy());
    stream.once('close', () => deadline.cancel());
    stream.end(tunnelRefused(status, message));
    stream.resume();
  }
}
