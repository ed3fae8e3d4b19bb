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
import { inSession, Upstream, type RequestOptions } from './upstream.js';

export interface DescribeOptions extends RequestOptions {
  /** Where the source sends us to a place of ours, that is the viewer's to follow. */
  readonly passesOn: boolean;
}

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
  /** Who is asked. */
  #at: RtspUrl;
  /** Who else may be asked now. */
  #others: readonly RtspUrl[] = [];
  #closed = false;
  #keepAlive: KeepAlive | undefined;

  /** `gone`: as Upstream's. */
  constructor(context: Context, route: PulledRoute, gone: (why: Refusal) => void, at = route.url) {
    this.#context = context;
    this.#route = route;
    this.#gone = gone;
    this.#at = at;
    this.upstream = this.#upstreamTo(at);
  }

  get at(): RtspUrl {
    return this.#at;
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

  /**
   * The first that is there of the source and its fallbacks describes what it has. Rejects with a Refusal: the last one's, or
   * 502 where it describes nothing that can be used.
   */
  async describe(how: DescribeOptions): Promise<Description> {
    this.#others = this.id === undefined ? othersThan(this.#route, this.#at) : [];
    try {
      for (;;) {
        const found = await this.#describeHere(how).catch((error: unknown) => this.#tryNext(error));
        if (found) return found;
      }
    } finally {
      this.#others = [];
    }
  }

  #tryNext(why: unknown): void {
    const [next, ...others] = this.#others;
    if (!next || this.#closed || !(why instanceof Refusal) || why.location !== undefined) throw why;
    const { place: resource } = this.#route;
    const { address: source } = this;
    this.#context.log.warn({ resource, source, why: why.message }, 'its fallback is asked');
    this.#others = others;
    this.#moveTo(next);
  }

  async #describeHere({ passesOn, ...options }: DescribeOptions): Promise<Description> {
    for (let redirects = 0; ; redirects++)
      try {
        return await this.#describe(formatRtspUrl(this.#at), options);
      } catch (error) {
        const to = error instanceof Refusal ? redirectOf(error, this.#at) : undefined;
        if (!to || (passesOn && (error as Refusal).location !== undefined)) throw error;
        if (redirects >= MOST_REDIRECTS || this.id !== undefined) throw error;
        this.#moveTo(to);
      }
  }

  async #describe(url: string, options: RequestOptions): Promise<Description> {
    const headers = [['Accept', 'application/sdp']] as const;
    const answer = await this.upstream.request('DESCRIBE', url, headers, options);
    return readDescription(url, this.#agreed('DESCRIBE', answer));
  }

  #moveTo(to: RtspUrl): void {
    const { host, port, scheme } = this.#at;
    this.#at = to;
    const isSame = host === to.host && port === to.port && scheme === to.scheme;
    if (isSame && !this.upstream.closed) return;
    this.upstream.close();
    this.upstream = this.#upstreamTo(to);
  }

  /** Name and password are for the server that they were given for. */
  #upstreamTo(url: RtspUrl): Upstream {
    const {
      source,
      fallbacks = [],
      sourceCa: authority,
      sourceFingerprint: fingerprint,
      sourceTransport,
    } = this.#route.config;
    const own = [source, ...fallbacks].find((one) =>
      (['scheme', 'host', 'port'] as const).every((part) => one.url[part] === url[part]),
    );
    const credentials = own && credentialsOf(own.url);
    const trust = { authority, fingerprint };
    const tunnelled = sourceTransport === 'http';
    return new Upstream(this.#context, { url, credentials, trust, tunnelled }, (why) => {
      if (this.#others.length === 0) this.#gone(why); // else somebody else is asked now
    });
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
    this.#closed = true;
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

/** Who may be asked in its place, the next one first; none where there are no fallbacks. */
export function othersThan({ url, fallbacks }: PulledRoute, at: RtspUrl): readonly RtspUrl[] {
  if (fallbacks.length === 0) return [];
  const all = [url, ...fallbacks];
  const index = all.findIndex((one) => formatRtspUrl(one) === formatRtspUrl(at));
  return [...all.slice(index + 1), ...all.slice(0, Math.max(index, 0))];
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
