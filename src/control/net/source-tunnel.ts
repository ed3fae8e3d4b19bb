// SPDX-License-Identifier: Apache-2.0
// RTSP over HTTP towards a source (rtsp/tunnel.ts), as one stream: what is read comes by a GET connection, what is written
// goes out in base64 by a POST connection, which is opened when the GET has been answered. It ends with either of them.

import { randomBytes } from 'node:crypto';
import type { LookupFunction, Socket, TcpNetConnectOpts } from 'node:net';
import { Duplex } from 'node:stream';

import type { SourceTrust } from '../path/ports.js';
import { RtspError } from '../rtsp/errors.js';
import { parseTunnelAnswer, tunnelRequest, type TunnelTarget } from '../rtsp/tunnel.js';
import { openSocket } from './source-socket.js';

const COOKIE_BYTES = 11; // 22 characters, as QuickTime has

type Done = (error?: Error | null) => void;

export class SourceTunnel extends Duplex {
  readonly #to: TcpNetConnectOpts;
  readonly #tls: SourceTrust | undefined;
  readonly #target: TunnelTarget;
  readonly #opened: () => void;
  readonly #get: Socket;
  #post: Socket | undefined;
  /** Of the answer to GET, until its head is complete. */
  #head: Buffer | undefined = Buffer.alloc(0);

  /**
   * `opened` is called when there is a way in both directions; what was written before goes out then. `path`: of the
   * resource, with its query. @throws Error when a file of `tls` cannot be read
   */
  constructor(to: TcpNetConnectOpts, tls: SourceTrust | undefined, path: string, opened: () => void) {
    super({ allowHalfOpen: false });
    this.#to = to;
    this.#tls = tls;
    const host = to.host ?? '';
    const authority = `${host.includes(':') ? `[${host}]` : host}:${to.port}`;
    this.#target = { authority, path, cookie: randomBytes(COOKIE_BYTES).toString('hex') };
    this.#opened = opened;
    this.cork();
    this.#get = openSocket(to, tls, () => this.#get.write(tunnelRequest('GET', this.#target)));
    this.#get.on('data', (chunk) => this.#receive(chunk));
    this.#get.on('error', (error) => this.destroy(error));
    for (const event of ['end', 'close']) this.#get.on(event, () => this.push(null));
  }

  /** Of the connection that packets come by. */
  get localAddress(): string | undefined {
    return this.#get.localAddress;
  }

  get localPort(): number | undefined {
    return this.#get.localPort;
  }

  get remoteAddress(): string | undefined {
    return this.#get.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#get.remotePort;
  }

  /** As a socket's: what has been written still goes out. */
  destroySoon(): void {
    this.end(() => this.destroy());
  }

  #receive(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#head) {
      const seen = Buffer.concat([this.#head, chunk]);
      const length = this.#readHead(seen);
      this.#head = length === undefined ? seen : undefined;
      if (length === undefined) return;
      bytes = seen.subarray(length);
      this.#openPost();
    }
    if (bytes.length > 0 && !this.push(bytes)) this.#get.pause();
  }

  /** Undefined while it is not complete, and when it is none. */
  #readHead(seen: Buffer): number | undefined {
    try {
      return parseTunnelAnswer(seen);
    } catch (error) {
      if (!(error instanceof RtspError)) throw error;
      this.destroy(error);
      return undefined;
    }
  }

  /** To the very address that has answered the GET: of a name with several the next one need not be the same server. */
  #openPost(): void {
    const { remoteAddress: address = '', remoteFamily } = this.#get;
    const family = remoteFamily === 'IPv6' ? 6 : 4;
    const lookup: LookupFunction = (_host, { all }, found) =>
      all ? found(null, [{ address, family }]) : found(null, address, family);
    try {
      const post = openSocket({ ...this.#to, lookup }, this.#tls, () => this.#ready(post));
      this.#post = post;
      post.on('error', (error) => this.destroy(error));
      post.on('close', () => this.destroy(new Error('closed by the source')));
      post.resume(); // what comes on it means nothing
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #ready(post: Socket): void {
    post.write(tunnelRequest('POST', this.#target));
    this.uncork();
    this.#opened();
  }

  override _read(): void {
    this.#get.resume();
  }

  /** Corked until the POST connection is open. */
  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    if (this.#post) this.#post.write(chunk.toString('base64'), done);
    else done(new Error('closed before it was open'));
  }

  override _final(done: Done): void {
    if (this.#post) this.#post.end(() => done());
    else done();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#get.destroy();
    this.#post?.destroy();
    done(error);
  }
}
