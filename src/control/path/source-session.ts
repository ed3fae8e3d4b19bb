// SPDX-License-Identifier: Apache-2.0
// One connection to a source and the session there, if there is one: the requests of it, and what keeps it alive. Where a
// source is lost and asked anew, this is what is new.

import { parseSession, DEFAULT_SESSION_TIMEOUT } from '../rtsp/session.js';
import { RtspError } from '../rtsp/errors.js';
import type { RtspResponse } from '../rtsp/message.js';
import type { Route } from '../config/path-table.js';
import { credentialsOf } from '../rtsp/url.js';
import type { Context } from './context.js';
import { readDescription, type Description } from './description.js';
import { KeepAlive, type KeepAliveParts } from './keep-alive.js';
import { Refusal, refusedBySource } from './refusal.js';
import { inSession, Upstream } from './upstream.js';

export class SourceSession {
  readonly upstream: Upstream;
  /** Given by the source; undefined until the first SETUP is answered. */
  id: string | undefined;
  timeoutSeconds = DEFAULT_SESSION_TIMEOUT;
  readonly #context: Context;
  #keepAlive: KeepAlive | undefined;

  /** `gone`: as Upstream's. */
  constructor(context: Context, { url, config }: Route, gone: (why: Refusal) => void) {
    this.#context = context;
    const { sourceCa: authority, sourceFingerprint: fingerprint } = config;
    const target = { url, credentials: credentialsOf(config.source.url), trust: { authority, fingerprint } };
    this.upstream = new Upstream(context, target, gone);
  }

  /** The first SETUP is answered, or a former process has had it. */
  begun(
    id: string,
    timeoutSeconds: number,
    keepAlive: Omit<KeepAliveParts, 'upstream' | 'sessionId' | 'timeoutSeconds'>,
  ): void {
    this.id = id;
    this.timeoutSeconds = timeoutSeconds;
    this.#keepAlive?.close();
    this.#keepAlive = new KeepAlive(this.#context, {
      ...keepAlive,
      upstream: this.upstream,
      sessionId: id,
      timeoutSeconds,
    });
  }

  /** Rejects with a Refusal: the source's, or 502 where it describes nothing that can be used. */
  async describe(url: string): Promise<Description> {
    const answer = await this.upstream.request('DESCRIBE', url, [['Accept', 'application/sdp']]);
    return readDescription(url, this.#agreed('DESCRIBE', answer));
  }

  async setUp(control: string, transport: string): Promise<RtspResponse> {
    const answer = await this.upstream.request('SETUP', control, [['Transport', transport], ...this.headers]);
    return this.#agreed('SETUP', answer);
  }

  /** `aggregate`: the session's URL. */
  async play(aggregate: string, range: string | undefined): Promise<RtspResponse> {
    const headers: [string, string][] = range === undefined ? [] : [['Range', range]];
    const answer = await this.upstream.request('PLAY', aggregate, [...this.headers, ...headers]);
    return this.#agreed('PLAY', answer);
  }

  /** Whether it has paused. */
  async pause(aggregate: string, path: string): Promise<boolean> {
    const { status } = await this.upstream.request('PAUSE', aggregate, this.headers);
    if (status !== 200) this.#context.log.info({ resource: path, status }, 'the source does not pause');
    return status === 200;
  }

  /** Where there is a session and the source still listens. Resolves with how that went, for people. */
  async tearDown(aggregate: string): Promise<string | number | undefined> {
    this.endKeepAlive();
    if (this.id === undefined || this.upstream.closed) return undefined;
    const withinMs = this.#context.limits.teardownMs;
    const answer = this.upstream.request('TEARDOWN', aggregate, this.headers, { withinMs });
    return answer.then(
      ({ status }) => status,
      (error: Error) => error.message,
    );
  }

  endKeepAlive(): void {
    this.#keepAlive?.close();
  }

  close(why?: Refusal): void {
    this.endKeepAlive();
    this.upstream.close(why);
  }

  get headers(): (readonly [string, string])[] {
    return this.id === undefined ? [] : [inSession(this.id)];
  }

  #agreed(method: string, answer: RtspResponse): RtspResponse {
    if (answer.status !== 200) throw refusedBySource(this.#context.paths.table, method, answer);
    return answer;
  }
}

/** What the answer to the first SETUP says of the session. */
export function readSession(answer: RtspResponse): { readonly id: string; readonly timeoutSeconds: number } {
  try {
    const { id, timeout } = parseSession(answer.headers.get('Session') ?? '');
    return { id, timeoutSeconds: timeout ?? DEFAULT_SESSION_TIMEOUT };
  } catch (error) {
    if (error instanceof RtspError) throw new Refusal(502, 'the source opened no session');
    throw error;
  }
}
