// SPDX-License-Identifier: Apache-2.0
// Cuts a byte stream into RTSP messages and interleaved frames (RFC 2326 chapter 4, 10.12), in either direction.
// Incremental and bounded: each byte is searched once, however the stream is segmented, and copied a constant
// number of times.

import { RtspError } from './errors.js';
import { parseHead, peekCSeq, type HeadLimits, type StartLine } from './head.js';
import type { Headers, InterleavedFrame, RtspMessage } from './message.js';

export interface FramerLimits extends HeadLimits {
  /** Bytes of start line and header fields together, with the blank line. */
  readonly head: number;
  /** Bytes of one body. */
  readonly body: number;
  /** A body above `body` but not above this is read and thrown away, which keeps the connection. */
  readonly discard: number;
  /** Blank lines in front of a message (RFC 2068 4.1 wants some to be ignored). */
  readonly blankLines: number;
}

export const DEFAULT_LIMITS: FramerLimits = {
  startLine: 8192,
  headerLine: 8192,
  headerCount: 100,
  head: 65_536,
  body: 262_144,
  discard: 4_194_304,
  blankLines: 32,
};

const LF = 0x0a;
const CR = 0x0d;
const DOLLAR = 0x24;
const FRAME_HEADER = 4;
const MIN_BUFFER = 1024;

/** push() what arrived, then call next() until it returns undefined: that bounds what is held back to one message. */
export class Framer {
  readonly #limits: FramerLimits;
  // Bytes start..end of the buffer wait. It is only ever written behind `end`, and replaced when full, never moved
  // in place, so that bodies and payloads can be handed out as views of it.
  #buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  #searched = 0; // waiting bytes in which no end of line is left to find
  #line = 0; // offset among them at which the current line begins
  #blankLines = 0;
  #discard = 0; // bytes still to come of a body that nobody wants
  #head: { start: StartLine; headers: Headers; bodyLength: number } | undefined;
  #broken: RtspError | undefined;

  constructor(limits: Partial<FramerLimits> = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** Takes the chunk over: the caller must not write into it afterwards. */
  push(chunk: Buffer): void {
    if (this.#broken || chunk.length === 0) return;
    const waiting = this.#end - this.#start;
    if (waiting === 0) {
      this.#buffer = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      return;
    }
    if (this.#buffer.length - this.#end < chunk.length) this.#grow(waiting + chunk.length);
    this.#end += chunk.copy(this.#buffer, this.#end);
  }

  /**
   * The next message or frame, undefined when more bytes are needed.
   * @throws RtspError; with `framingIntact` the following call goes on behind the message at fault, without it every
   * further call throws the same error.
   */
  next(): RtspMessage | InterleavedFrame | undefined {
    if (this.#broken) throw this.#broken;
    this.#discardBody();
    if (!this.#head) {
      if (!this.#skipBlankLines()) return undefined;
      if (this.#buffer[this.#start] === DOLLAR) return this.#readFrame();
      const end = this.#findHeadEnd();
      if (end === undefined) return undefined;
      this.#readHead(end);
    }
    return this.#readBody();
  }

  /** Twice what is needed, so that each byte is copied twice at most on average. */
  #grow(needed: number): void {
    const buffer = Buffer.allocUnsafe(Math.max(MIN_BUFFER, 2 * needed));
    this.#end = this.#buffer.copy(buffer, 0, this.#start, this.#end);
    this.#start = 0;
    this.#buffer = buffer;
  }

  /** Bytes of a message that has begun and not ended. */
  get buffered(): number {
    return this.#waiting;
  }

  get #waiting(): number {
    return this.#end - this.#start;
  }

  /** Takes `count` waiting bytes away and returns them as a view. */
  #take(count: number): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#start + count);
    this.#start += count;
    this.#searched = 0;
    this.#line = 0;
    return taken;
  }

  #discardBody(): void {
    if (this.#discard > 0) this.#discard -= this.#take(Math.min(this.#discard, this.#waiting)).length;
  }

  /** False when the stream must go on first. */
  #skipBlankLines(): boolean {
    while (this.#discard === 0 && this.#waiting > 0) {
      const first = this.#buffer[this.#start];
      const length = first === LF ? 1 : first === CR ? 2 : 0;
      if (length > this.#waiting) return false;
      if (length === 0 || this.#buffer[this.#start + length - 1] !== LF) return true;
      this.#take(length);
      if (++this.#blankLines > this.#limits.blankLines)
        this.#break(new RtspError(400, `More than ${this.#limits.blankLines} blank lines before a message.`));
    }
    return false;
  }

  #readFrame(): InterleavedFrame | undefined {
    if (this.#waiting < FRAME_HEADER) return undefined;
    const channel = this.#buffer.readUInt8(this.#start + 1);
    const length = this.#buffer.readUInt16BE(this.#start + 2);
    if (this.#waiting < FRAME_HEADER + length) return undefined;
    this.#blankLines = 0;
    return { kind: 'frame', channel, payload: this.#take(FRAME_HEADER + length).subarray(FRAME_HEADER) };
  }

  /** Offset behind the blank line that ends the head. Looks at no more than `limits.head` bytes. */
  #findHeadEnd(): number | undefined {
    const window = this.#buffer.subarray(this.#start, Math.min(this.#end, this.#start + this.#limits.head));
    for (;;) {
      const lf = window.indexOf(LF, this.#searched);
      if (lf < 0) break;
      const blank = lf === this.#line || (lf === this.#line + 1 && window[this.#line] === CR);
      this.#searched = this.#line = lf + 1;
      if (blank) return lf + 1;
    }
    this.#searched = window.length;
    if (window.length < this.#limits.head) return undefined;
    return this.#break(this.#headTooLong(window.toString('latin1')));
  }

  #headTooLong(text: string): RtspError {
    const isResponse = text.startsWith('RTSP/');
    const detail = { framingIntact: false, cseq: peekCSeq(text), isResponse };
    return this.#line === 0 && !isResponse
      ? new RtspError(414, `The start line is longer than ${this.#limits.startLine} bytes.`, detail)
      : new RtspError(400, `The header is longer than ${this.#limits.head} bytes.`, detail);
  }

  #readHead(end: number): void {
    const { start, headers, bodyLength, error } = parseHead(this.#take(end).toString('latin1'), this.#limits);
    this.#blankLines = 0;
    if (bodyLength === undefined) this.#break(error!);
    else if (error || bodyLength > this.#limits.body)
      this.#refuse(bodyLength, error ?? tooLarge(headers, start!));
    else this.#head = { start: start!, headers, bodyLength };
  }

  /** The message is not wanted, but its end is known. */
  #refuse(bodyLength: number, error: RtspError): never {
    if (bodyLength > this.#limits.discard) this.#break(error);
    this.#discard = bodyLength;
    throw error;
  }

  #readBody(): RtspMessage | undefined {
    const { start, headers, bodyLength } = this.#head!;
    if (this.#waiting < bodyLength) return undefined;
    this.#head = undefined;
    return { ...start, headers, body: this.#take(bodyLength) };
  }

  #break(error: RtspError): never {
    const { status, message, cseq, isResponse } = error;
    this.#broken = new RtspError(status, message, { cseq, isResponse, framingIntact: false });
    this.#buffer = Buffer.alloc(0);
    this.#start = this.#end = 0;
    throw this.#broken;
  }
}

function tooLarge(headers: Headers, start: StartLine): RtspError {
  const cseq = peekCSeq(`CSeq: ${headers.get('CSeq') ?? ''}`);
  return new RtspError(413, 'The body is larger than is accepted here.', {
    cseq,
    isResponse: start.kind === 'response',
  });
}
