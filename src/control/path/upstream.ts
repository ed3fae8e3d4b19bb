// SPDX-License-Identifier: Apache-2.0
// One RTSP connection to the source: requests go out in order, each answer finds the request it belongs to
// (state/pending.ts), everything ends with an answer or an error within its time.

import { formatSession } from '../rtsp/session.js';
import { request, response, type RtspMessage, type RtspRequest, type RtspResponse } from '../rtsp/message.js';
import { serialize } from '../rtsp/serialize.js';
import type { RtspUrl } from '../rtsp/url.js';
import type { Deadline } from '../state/deadlines.js';
import type { Entry } from '../state/gate.js';
import { PendingRequests, type PendingRequest } from '../state/pending.js';
import { nowMs, type Context } from './context.js';
import type { Endpoint, SourceEvents, SourceLink, SourceTrust } from './ports.js';
import { Refusal } from './refusal.js';
import type { Frames } from './source-interleaved.js';
import { SourceLogin, type SourceCredentials } from './source-login.js';

export const USER_AGENT = 'rtsp-fanout';

/** What a source may ask of us (RFC 2326 10.1, 10.10). */
const KNOWN: readonly string[] = ['OPTIONS', 'REDIRECT'];

/** Whom to ask. */
export interface UpstreamTarget {
  readonly url: RtspUrl;
  readonly credentials: SourceCredentials | undefined;
  /** For rtsps://. */
  readonly trust: SourceTrust;
  /** It is asked by RTSP over HTTP. */
  readonly tunnelled: boolean;
}

/** As request() takes them. */
export interface RequestOptions {
  readonly optional?: boolean;
  readonly withinMs?: number;
}

interface Waiting extends PendingRequest {
  readonly message: RtspRequest;
  readonly deadline: Deadline;
  resolve(answer: RtspResponse): void;
  reject(why: Refusal): void;
}

export class Upstream implements Frames {
  readonly #context: Context;
  readonly #source: RtspUrl;
  readonly #trust: SourceTrust;
  readonly #tunnelled: boolean;
  readonly #gone: (why: Refusal) => void;
  readonly #pending: PendingRequests<Waiting>;
  readonly #login: SourceLogin;
  /** Who takes the `$` frames of which channel. */
  readonly #channels = new Map<number, (payload: Buffer) => void>();
  /** While the connection is being opened. */
  #entry: Entry | undefined;
  #startedBy: Deadline | undefined;
  #link: SourceLink | undefined;
  #ends: { local: Endpoint; remote: Endpoint } | undefined;
  #closed: Refusal | undefined;
  #cseq = 0;
  #heardMs: number;
  /** The connection's name where it is held for the next process. */
  #name: string | undefined;
  /** Answers up to this CSeq were awaited by a former process. */
  #formerCseq = 0;

  /** `gone` is called once if the connection ends from below; not after close(). */
  constructor(context: Context, target: UpstreamTarget, gone: (why: Refusal) => void) {
    const { url: source, credentials, trust, tunnelled } = target;
    this.#source = source;
    this.#trust = trust;
    this.#tunnelled = tunnelled;
    this.#context = context;
    this.#gone = gone;
    this.#pending = new PendingRequests(context.limits.pendingRequests);
    this.#heardMs = nowMs(context.clock);
    this.#login = new SourceLogin(credentials, context.random);
  }

  freeChannel(): number | undefined {
    for (let low = 0; low < 256; low += 2)
      if (!this.#channels.has(low) && !this.#channels.has(low + 1)) return low;
    return undefined;
  }

  onFrame(channel: number, handler: (payload: Buffer) => void): boolean {
    if (this.#channels.has(channel)) return false;
    this.#channels.set(channel, handler);
    return true;
  }

  sendFrame(channel: number, payload: Buffer): void {
    if (!this.#closed) this.#link?.sendFrame(channel, payload);
  }

  /** Undefined until the connection is open. */
  get ends(): { readonly local: Endpoint; readonly remote: Endpoint } | undefined {
    return this.#ends;
  }

  /** Nothing can be asked any more. */
  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** Paths of the connection, where that is MPTCP. */
  get subflows(): number | undefined {
    return this.#closed ? undefined : this.#link?.subflows;
  }

  /** The connection outlives this process. Returns its name, if anybody holds it. */
  hold(): string | undefined {
    this.#name ??= this.#link?.hold();
    this.#noteCseq();
    return this.#name;
  }

  /** Goes on with the connection of a former process. False: it is gone. */
  restore(name: string, cseq: number): boolean {
    this.#cseq = this.#formerCseq = cseq;
    this.#name = name;
    this.#link = this.#context.former.source(name, this.#events);
    this.#noteCseq();
    return this.#link !== undefined && !this.#closed;
  }

  #noteCseq(): void {
    if (this.#name !== undefined) this.#context.notebook.put(`cseq/${this.#name}`, this.#cseq);
  }

  /** When the last message came, monotonic milliseconds. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /**
   * The final answer, whatever its status; a 401 only where we have no credentials, or wrong ones. `optional`: some
   * servers never answer this one, and that must block nothing.
   * Rejects with a Refusal: 502 the source cannot be reached or broke the protocol, 503 too much waits, 504 no answer.
   */
  async request(
    method: string,
    uri: string,
    headers: readonly (readonly [string, string])[] = [],
    options: RequestOptions = {},
  ): Promise<RtspResponse> {
    if (this.#admitted) await this.#admitted;
    for (let tries = 0; ; tries++) {
      const { challenge, headers: signed } = this.#login.sign(method, uri);
      const answer = await this.#ask(method, uri, [...headers, ...signed], options);
      if (answer.status !== 401 || !this.#login.challenged(answer, challenge, tries)) return answer;
    }
  }

  /** Undefined: now. Time begins to count for a request when its connection may be opened. */
  get #admitted(): Promise<void> | undefined {
    if (this.#link || this.#closed) return undefined;
    this.#entry ??= this.#context.starts.enter();
    return this.#entry.admitted;
  }

  #ask(
    method: string,
    uri: string,
    headers: readonly (readonly [string, string])[],
    { optional = false, withinMs = this.#context.limits.requestMs }: RequestOptions,
  ): Promise<RtspResponse> {
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      const cseq = ++this.#cseq;
      this.#noteCseq();
      const message = request(method, uri, [['CSeq', `${cseq}`], ['User-Agent', USER_AGENT], ...headers]);
      checkWritable(message);
      const deadline = this.#context.deadlines.in(withinMs, () => this.#timeOut(waiting));
      const waiting: Waiting = { cseq, optional, message, deadline, resolve, reject };
      if (!this.#pending.push(waiting)) {
        deadline.cancel();
        reject(new Refusal(503, 'too many requests wait for the source'));
        return;
      }
      this.#flush();
    });
  }

  /** Whoever waits gets `why`. */
  close(why = new Refusal(503, 'the connection to the source was closed')): void {
    if (this.#closed) return;
    this.#closed = why;
    this.#started();
    if (this.#name !== undefined) this.#context.notebook.remove(`cseq/${this.#name}`);
    this.#link?.close();
    for (const waiting of this.#pending.drain()) {
      waiting.deadline.cancel();
      waiting.reject(why);
    }
  }

  readonly #events: SourceEvents = {
    opened: (local, remote) => {
      this.#ends = { local, remote };
    },
    message: (message) => this.#receive(message),
    frame: (channel, payload) => this.#channels.get(channel)?.(payload),
    closed: (error) => this.#fail(new Refusal(502, `the source's connection is gone: ${error.message}`)),
  };

  #flush(): void {
    this.#link ??= this.#connect();
    for (let next = this.#pending.takeUnsent(); next; next = this.#pending.takeUnsent())
      this.#link.send(next.message);
  }

  #connect(): SourceLink {
    const { deadlines, limits, connect } = this.#context;
    this.#startedBy = deadlines.in(limits.startMs, () => this.#started());
    const { host, port, scheme, path, query } = this.#source;
    const tls = scheme === 'rtsps' ? this.#trust : undefined;
    const tunnel = this.#tunnelled ? `${path}${query === undefined ? '' : `?${query}`}` : undefined;
    return connect({ host, port, tls, tunnel }, this.#events);
  }

  /** It answers, is gone, or takes so long that others need not wait for it. */
  #started(): void {
    this.#startedBy?.cancel();
    this.#entry?.leave();
  }

  #receive(message: RtspMessage): void {
    this.#heardMs = nowMs(this.#context.clock);
    if (message.kind === 'request') this.#answer(message);
    else if (message.status >= 200) this.#match(message); // 1xx: the final answer is still to come
  }

  #match(answer: RtspResponse): void {
    const text = answer.headers.get('CSeq');
    const cseq = text === undefined ? undefined : /^\d{1,10}$/.test(text) ? Number(text) : NaN;
    if (cseq !== undefined && cseq <= this.#formerCseq) return;
    if (cseq !== undefined && this.#pending.isLate(cseq)) return;
    const waiting = this.#pending.answer(cseq);
    if (!waiting) {
      this.#fail(
        new Refusal(502, `the source answered CSeq ${text ?? '(none)'}, which is not the one it was asked`),
      );
      return;
    }
    waiting.deadline.cancel();
    this.#started();
    waiting.resolve(answer);
  }

  /** The source may ask as well (RFC 2326 10.1: OPTIONS in both directions). A connection of the proxy's has no more. */
  #answer({ method, headers }: RtspRequest): void {
    const cseq = headers.get('CSeq');
    const answer = response(KNOWN.includes(method) ? 200 : 501, cseq === undefined ? [] : [['CSeq', cseq]]);
    if (method === 'OPTIONS') answer.headers.append('Public', KNOWN.join(', '));
    this.#link?.send(answer);
    const redirect = headers.get('Location');
    if (method === 'REDIRECT')
      this.#fail(
        new Refusal(302, 'the source has sent us elsewhere', redirect === undefined ? {} : { redirect }),
      );
  }

  /** An answer that comes later than this is thrown away; without a connection there will be none. */
  #timeOut(waiting: Waiting): void {
    const why = new Refusal(504, `the source did not answer ${waiting.message.method} in time`);
    waiting.optional = true;
    waiting.reject(why);
    if (!this.#ends) this.#fail(new Refusal(504, 'the source could not be reached in time'));
  }

  #fail(why: Refusal): void {
    if (this.#closed) return;
    this.close(why);
    this.#gone(why);
  }
}

/** What cannot be written must not take a place among those that await their answer. @throws Refusal 502 */
function checkWritable(message: RtspRequest): void {
  try {
    serialize(message);
  } catch (error) {
    throw new Refusal(502, `the source cannot be asked: ${(error as Error).message}`);
  }
}

/** The Session header of a request in an upstream session. */
export function inSession(id: string): readonly [string, string] {
  return ['Session', formatSession({ id, timeout: undefined })];
}
