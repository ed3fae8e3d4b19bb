// SPDX-License-Identifier: Apache-2.0
// The two connections of a tunnel as one stream: what is written goes out by the GET connection, what is read came
// decoded by the POST connection. It ends with the former; the latter may end and be replaced by another.

import { Duplex } from 'node:stream';

import { RtspError } from '../rtsp/errors.js';
import { Base64Decoder } from '../rtsp/tunnel.js';

type Done = (error?: Error | null) => void;

export class TunnelStream extends Duplex {
  readonly #get: Duplex;
  #post: Duplex | undefined;

  /** Nobody has to listen to the errors of `get`: its end is the tunnel's. */
  constructor(get: Duplex) {
    super({ allowHalfOpen: false });
    this.#get = get;
    get.on('close', () => this.destroy());
    get.on('end', () => this.push(null));
    get.resume(); // what comes on it means nothing
  }

  /**
   * Requests come by `post` from now on. Its Content-Length is not looked at: ffmpeg and GStreamer announce 32767 bytes,
   * as Apple's examples do, and send on.
   */
  attach(post: Duplex): void {
    this.#post?.destroy();
    this.#post = post;
    const decoder = new Base64Decoder();
    post.on('data', (chunk: Buffer) => {
      if (this.#post === post) this.#receive(decoder, chunk);
    });
    post.on('close', () => {
      if (this.#post === post) this.#post = undefined;
    });
    post.resume();
  }

  #receive(decoder: Base64Decoder, chunk: Buffer): void {
    try {
      const bytes = decoder.decode(chunk);
      if (bytes.length > 0 && !this.push(bytes)) this.#post?.pause();
    } catch (error) {
      if (!(error instanceof RtspError)) throw error;
      this.destroy(error);
    }
  }

  override _read(): void {
    this.#post?.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#get.write(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#get.cork();
    chunks.forEach(({ chunk }, index) =>
      this.#get.write(chunk, index === chunks.length - 1 ? done : undefined),
    );
    this.#get.uncork();
  }

  override _final(done: Done): void {
    this.#get.end(() => done());
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#get.destroy();
    this.#post?.destroy();
    done(error);
  }
}
