// SPDX-License-Identifier: Apache-2.0
// One connection to a source and the session there, if there is one: the requests of it, and what keeps it alive. Where a
// source is lost and asked anew, this is what is new.

import { parseSession, DEFAULT_SESSION_TIMEOUT } from '../rtsp/session.js';
import { RtspError } from '../rtsp/errors.js';
import type { RtspResponse } from '../rtsp/message.js';
import type { PulledRoute } from '../config/path-table.js';
import { credentialsOf, formatRtspUrl, parseRtspUrl, withoutCredentials, type RtspUrl } from '../rtsp/url.js';
import { endpointText } from '../state/address.js';
import type { Context } from './context.js';
import { readDescription, type Description } from './description.js';
import { KeepAlive, type KeepAliveParts } from './keep-alive.js';
import { Refusal, refusedBySource } from './refusal.js';
import type { PlayWish } from './source-play.js';
import { inSession, Upstream } from './upstream.js';

/** One after the other. */
const MOST_REDIRECTS = 5;

export class SourceSession {
  upstream: Upstream;
  /** Given by the source; undefined until the first SETUP is answered. */
  id: string | undefined;
  timeoutSeconds = DEFAULT_SESSION_TIMEOUT;
  readonly #context: Context;
  readonly #route: PulledRoute;
  readonly #gone: (why: Refusal) => void;
  #at: RtspUrl;
  #keepAlive: KeepAlive | undefined;

  /** `gone`: as Upstream's. */
  constructor(context: Context, route: PulledRoute, gone: (why: Refusal) => void, at = route.url) {
    this.#context = context;
    this.#route = route;
    this.#gone = gone;
    this.#at = at;
    this.upstream = this.#upstreamTo(at);
  }

  /** `address:port`, the name until it is connected. */
  get address(): string {
    const { address, port } = this.upstream.ends?.remote ?? { address: this.#at.host, port: this.#at.port };
    return endpointText(address, port);
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
  /** `passesOn`: where the source sends us to a place of ours, that is the viewer's to follow. */
  async describe({ passesOn }: { passesOn: boolean }): Promise<Description> {
    for (let redirects = 0; ; redirects++)
      try {
        return await this.#describe(formatRtspUrl(this.#at));
      } catch (error) {
        const to = error instanceof Refusal ? redirectOf(error, this.#at) : undefined;
        if (!to || (passesOn && (error as Refusal).location !== undefined)) throw error;
        if (redirects >= MOST_REDIRECTS || this.id !== undefined) throw error;
        this.#moveTo(to);
      }
  }

  async #describe(url: string): Promise<Description> {
    const answer = await this.upstream.request('DESCRIBE', url, [['Accept', 'application/sdp']]);
    return readDescription(url, this.#agreed('DESCRIBE', answer));
  }

  #moveTo(to: RtspUrl): void {
    const { host, port, scheme } = this.#at;
    this.#at = to;
    if (host === to.host && port === to.port && scheme === to.scheme) return;
    this.upstream.close();
    this.upstream = this.#upstreamTo(to);
  }

  /** Name and password are for the server that they were given for. */
  #upstreamTo(url: RtspUrl): Upstream {
    const {
      source,
      sourceCa: authority,
      sourceFingerprint: fingerprint,
      sourceTransport,
    } = this.#route.config;
    const isOwn = (['scheme', 'host', 'port'] as const).every((part) => source.url[part] === url[part]);
    const credentials = isOwn ? credentialsOf(source.url) : undefined;
    const trust = { authority, fingerprint };
    const tunnelled = sourceTransport === 'http';
    return new Upstream(this.#context, { url, credentials, trust, tunnelled }, this.#gone);
  }

  async setUp(control: string, transport: string): Promise<RtspResponse> {
    const answer = await this.upstream.request('SETUP', control, [['Transport', transport], ...this.headers]);
    return this.#agreed('SETUP', answer);
  }

  /** `aggregate`: the session's URL. */
  async play(aggregate: string, { range, scale }: PlayWish): Promise<RtspResponse> {
    const headers: [string, string][] = [];
    if (scale !== undefined) headers.push(['Scale', scale]);
    if (range !== undefined) headers.push(['Range', range]);
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

/** A URL that we can go to; undefined: none. Nobody sends us from TLS to without. */
export function redirectOf({ redirect }: Refusal, from: RtspUrl): RtspUrl | undefined {
  if (redirect === undefined) return undefined;
  try {
    const url = withoutCredentials(parseRtspUrl(redirect));
    return url.scheme === 'rtsps' || (url.scheme === 'rtsp' && from.scheme === 'rtsp') ? url : undefined;
  } catch (error) {
    if (error instanceof RtspError) return undefined;
    throw error;
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
