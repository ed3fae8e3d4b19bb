// SPDX-License-Identifier: Apache-2.0
// One RTSP connection of a viewer: bytes in, requests strictly one after the other, answers out in their order. What it
// may send ahead, leave unread, and how long it may idle is bounded (limits.ts). Interleaved packets go out between answers.

import type { Duplex } from 'node:stream';

import type { Endpoint, ListenerOptions, ViewerLink } from '../path/ports.js';
import { RtspError } from '../rtsp/errors.js';
import { Framer } from '../rtsp/framer.js';
import { response, type InterleavedFrame, type RtspMessage, type RtspRequest } from '../rtsp/message.js';
import { serialize } from '../rtsp/serialize.js';
import type { Deadline } from '../state/deadlines.js';
import { descriptorOf, type HeldSockets } from './held-sockets.js';
import { subflowsOf } from './mptcp.js';
import { sendNow } from './send-now.js';
import type { Wire } from './wire.js';

/** After our FIN the viewer gets so long to read and to close; then it is cut off. */
const FAREWELL_MS = 2000;

export class ViewerConnection implements ViewerLink {
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly secure: boolean;
  readonly #wire: Wire;
  readonly #socket: Duplex;
  readonly #options: ListenerOptions;
  readonly #gone: () => void;
  readonly #framer = new Framer();
  #busy = false;
  #ahead = 0; // bytes that came while a request was being worked on
  #written = 0; // bytes in all, taken by the system or waiting for that
  #unread = 0; // bytes of answers that the system has not taken yet
  /** Frames that wait for the answer to PLAY: many players throw away what comes before it. */
  #afterAnswer: Buffer[] | undefined;
  /** Of a connection without TLS or tunnel; -1: it is none. */
  #descriptor: number | undefined;
  #closing = false;
  #timer: Deadline;
  readonly #held: HeldSockets | undefined;
  /** Its name with whoever holds it beyond our life. */
  #name: string | undefined;
  #quiet: (() => void) | undefined;

  /** `gone` is called once, when nothing is left of it. `name`: it is held under that name already. */
  constructor(wire: Wire, options: ListenerOptions, gone: () => void, held?: HeldSockets, name?: string) {
    const socket = wire.stream;
    this.#wire = wire;
    this.#socket = socket;
    this.#held = held;
    this.#name = name;
    this.#options = options;
    this.#gone = gone;
    this.remote = wire.remote;
    this.local = wire.local;
    this.secure = wire.secure;
    this.#timer = this.#watchIdle();
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', () => undefined); // reset, timed out: 'close' follows
    socket.on('close', () => this.#closed());
  }

  hold(): string | undefined {
    const { holdable } = this.#wire;
    if (this.#name === undefined && this.#held && holdable && !this.#closing) {
      this.#name = this.#held.newName('viewer');
      this.#held.put(this.#name, holdable);
    }
    return this.#name;
  }

  get queued(): number {
    const waiting = this.#afterAnswer?.reduce((sum, { length }) => sum + length, 0) ?? 0;
    return this.#socket.writableLength + waiting;
  }

  get subflows(): number | undefined {
    return subflowsOf(descriptorOf(this.#wire.stream));
  }

  get taken(): number {
    return this.#written - this.#socket.writableLength;
  }

  send(frames: Buffer): void {
    if (this.#afterAnswer) {
      this.#afterAnswer.push(frames);
      return;
    }
    if (!this.#socket.writable) return;
    this.#written += frames.length;
    this.#descriptor ??= this.#wire.holdable ? descriptorOf(this.#wire.holdable) : -1;
    const isAlone = this.#descriptor >= 0 && this.#socket.writableLength === 0;
    const taken = isAlone ? sendNow(this.#descriptor, frames) : 0;
    if (taken < frames.length) this.#socket.write(frames.subarray(taken));
  }

  /** Reads no more; resolves when no request is under way. What is in half stays with us: it is waited for. */
  quiesce(): Promise<void> {
    return new Promise((resolve) => {
      this.#quiet = resolve;
      this.#lookWhetherQuiet();
    });
  }

  #lookWhetherQuiet(): void {
    if (!this.#quiet || this.#busy || (this.#framer.buffered > 0 && !this.#closing)) return;
    this.#socket.pause();
    this.#quiet();
  }

  /** What has been written goes out first. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#socket.end();
    this.#timer.cancel();
    this.#timer = this.#options.deadlines.in(FAREWELL_MS, () => this.#socket.destroy());
  }

  #closed(): void {
    this.#closing = true;
    this.#timer.cancel();
    if (this.#name !== undefined) this.#held?.remove(this.#name);
    this.#lookWhetherQuiet();
    this.#options.requests.closed(this);
    this.#gone();
  }

  /** Only a whole request counts as a sign of life, so that a request sent byte by byte holds nothing for long. */
  #watchIdle(): Deadline {
    const { deadlines, limits, requests, refused } = this.#options;
    return deadlines.in(limits.idleMs, () => {
      if (this.#busy || requests.holds(this)) {
        this.#timer = this.#watchIdle();
        return;
      }
      refused.add('connection-idle');
      this.close();
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#closing) return;
    this.#framer.push(chunk);
    if (!this.#busy) {
      void this.#work();
      return;
    }
    this.#ahead += chunk.length;
    if (this.#ahead > this.#options.limits.aheadBytes) this.#socket.pause();
  }

  /** Never rejects: a fault of ours ends this connection, not the others. */
  async #work(): Promise<void> {
    this.#busy = true;
    try {
      for (let message = this.#next(); message; message = this.#next()) {
        if (message.kind === 'request') await this.#answer(message);
        else if (message.kind === 'frame') this.#options.requests.frame(this, message);
        // Responses: nothing was asked of the viewer that they could belong to.
      }
    } catch (error) {
      this.#failed(error);
      this.close();
    }
    this.#busy = false;
    this.#ahead = 0;
    if (this.#quiet) this.#lookWhetherQuiet();
    else this.#socket.resume();
  }

  /** The next message that can be read; faults on the way are answered. */
  #next(): RtspMessage | InterleavedFrame | undefined {
    while (!this.#closing) {
      try {
        return this.#framer.next();
      } catch (error) {
        if (!(error instanceof RtspError)) throw error;
        this.#fault(error);
      }
    }
    return undefined;
  }

  async #answer(request: RtspRequest): Promise<void> {
    if (request.method === 'PLAY') this.#afterAnswer = [];
    const bytes = await this.#bytesOfAnswer(request);
    if (!this.#closing) {
      // Else the timer is the farewell's: without it a viewer that never closes would stay for good.
      this.#timer.cancel();
      this.#timer = this.#watchIdle();
    }
    this.#write(bytes);
    const frames = this.#afterAnswer ?? [];
    this.#afterAnswer = undefined;
    for (const frame of frames) this.send(frame);
  }

  /** What cannot be put into bytes, such as a header with a line end in it, is a 500. */
  async #bytesOfAnswer(request: RtspRequest): Promise<Buffer> {
    const answer = await this.#options.requests.answer(this, request);
    try {
      return serialize(answer);
    } catch (error) {
      this.#failed(error, request.method);
      const cseq = answer.headers.get('CSeq');
      return serialize(response(500, cseq === undefined ? [] : [['CSeq', cseq]]));
    }
  }

  #failed(error: unknown, method?: string): void {
    const { log, refused } = this.#options;
    const { address, port } = this.remote;
    refused.add('request-500');
    log.error({ err: error, address, port, method }, 'a connection failed: this is a fault of ours');
  }

  #fault({ status, cseq, framingIntact, isResponse }: RtspError): void {
    this.#options.refused.add(`framing-${status}`);
    if (!isResponse) this.#write(serialize(response(status, cseq === undefined ? [] : [['CSeq', cseq]])));
    if (!framingIntact) this.close();
  }

  /** Who asks and does not read the answers is cut off. */
  #write(bytes: Buffer): void {
    if (!this.#socket.writable) return;
    this.#written += bytes.length;
    this.#unread += bytes.length;
    this.#socket.write(bytes, () => (this.#unread -= bytes.length));
    if (this.#unread <= this.#options.limits.unreadBytes) return;
    this.#options.refused.add('connection-does-not-read');
    this.#closing = true;
    this.#socket.destroy();
  }
}
