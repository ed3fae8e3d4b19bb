// SPDX-License-Identifier: Apache-2.0
// Story 1: RTSP from a viewer in -> checked -> its method's file -> response out. Where the method needs the source, it
// asks the resource, whose connection holds the pending FIFO (resource.ts, upstream.ts, state/pending.ts).

import { RtspError } from '../rtsp/errors.js';
import {
  Headers,
  response,
  type InterleavedFrame,
  type RtspRequest,
  type RtspResponse,
} from '../rtsp/message.js';
import { parseSession } from '../rtsp/session.js';
import type { RtspUrl } from '../rtsp/url.js';
import { admit } from './admission.js';
import { announce } from './announce.js';
import { Challenge, CHALLENGED, type Authentication } from './authentication.js';
import type { Context } from './context.js';
import { describe } from './describe.js';
import { keepAlive, options } from './options.js';
import { pause } from './pause.js';
import { play } from './play.js';
import type { ViewerLink, ViewerRequests } from './ports.js';
import type { Publication } from './publication.js';
import { PUBLISHER_METHODS, recordNothing } from './record.js';
import { Refusal } from './refusal.js';
import { receiveInterleaved } from './report.js';
import type { Resources } from './resources.js';
import type { Session } from './session.js';
import { setUp } from './setup.js';
import { tearDown } from './teardown.js';
import { atPlace, viewerUrl } from './url-map.js';

export interface Story extends Context {
  readonly resources: Resources;
  readonly authentication: Authentication;
}

/** A request that has passed the checks all methods share. */
export interface Ask {
  readonly link: ViewerLink;
  readonly request: RtspRequest;
  /** As the viewer names it. For `*` (OPTIONS, GET_PARAMETER, SET_PARAMETER) our root. */
  readonly url: RtspUrl;
  readonly session: Session | undefined;
  /** What the connection publishes, where the request does not name another session. */
  readonly publication: Publication | undefined;
}

type Method = (story: Story, ask: Ask) => Promise<RtspResponse> | RtspResponse;

const VIEWERS_METHODS = new Map<string, Method>([
  ['OPTIONS', options],
  ['DESCRIBE', describe],
  ['SETUP', setUp],
  ['PLAY', play],
  ['PAUSE', pause],
  ['TEARDOWN', tearDown],
  ['GET_PARAMETER', keepAlive],
  ['SET_PARAMETER', keepAlive],
]);
/** On a connection that publishes some of them mean something else (record.ts). */
const METHODS = new Map<string, Method>([
  ...VIEWERS_METHODS,
  ['ANNOUNCE', announce],
  ['RECORD', recordNothing],
]);
const WITHOUT_URL = new Set(['OPTIONS', 'GET_PARAMETER', 'SET_PARAMETER']);
export const PUBLIC = [...VIEWERS_METHODS.keys()].join(', ');
export const PUBLIC_WITH_PUBLISHING = [...METHODS.keys()].join(', ');
const SERVER = 'rtsp-fanout';

export class Requests implements ViewerRequests {
  readonly #story: Story;

  constructor(story: Story) {
    this.#story = story;
  }

  async answer(link: ViewerLink, request: RtspRequest): Promise<RtspResponse> {
    const { links } = this.#story;
    if (!links.has(link)) links.set(link, new Set());
    let answer: RtspResponse;
    try {
      answer = await this.#carryOut(link, request);
    } catch (error) {
      answer = this.#refuse(link, request, error);
    }
    const cseq = cseqOf(request);
    const first: [string, string][] = cseq === undefined ? [] : [['CSeq', cseq]];
    return { ...answer, headers: new Headers([...first, ['Server', SERVER], ...answer.headers]) };
  }

  frame(link: ViewerLink, frame: InterleavedFrame): void {
    const isTaken = this.#story.publications.of(link)?.frames.receive(frame);
    if (!isTaken) receiveInterleaved(this.#story, link, frame);
  }

  closed(link: ViewerLink): void {
    const sessions = this.#story.links.get(link) ?? [];
    this.#story.links.delete(link);
    this.#story.publications.of(link)?.close('its connection was closed');
    for (const session of [...sessions]) session.linkClosed(link);
  }

  holds(link: ViewerLink): boolean {
    const { links, publications } = this.#story;
    return publications.of(link) !== undefined || (links.get(link)?.size ?? 0) > 0;
  }

  async #carryOut(link: ViewerLink, request: RtspRequest): Promise<RtspResponse> {
    checkCSeq(request);
    checkRequire(request);
    const method = METHODS.get(request.method);
    if (!method) throw unknownMethod(request.method);
    const anyUrl = request.uri === '*' && WITHOUT_URL.has(request.method);
    const url = viewerUrl(anyUrl ? '/' : request.uri, link);
    const session = await this.#session(link, request, url);
    const publication = session ? undefined : this.#story.publications.of(link);
    const ask = { link, request, url, session, publication };
    const step = publication && PUBLISHER_METHODS.get(request.method);
    publication?.heard();
    return step ? step(this.#story, ask, publication) : method(this.#story, ask);
  }

  /**
   * Only from the address that opened it: an identifier that leaks is of no use elsewhere. Nor is it to who may not watch;
   * therefore OPTIONS, which is free otherwise, is not when it names a session.
   */
  async #session(link: ViewerLink, request: RtspRequest, url: RtspUrl): Promise<Session | undefined> {
    const value = request.headers.get('Session');
    if (value === undefined) return undefined;
    const { id } = parseSession(value);
    if (this.#story.publications.of(link)?.id === id) return undefined;
    const session = this.#story.sessions.get(id);
    if (!session || session.address !== link.remote.address) throw new Refusal(454, 'no such session');
    const established = this.#story.links.get(link)?.has(session) === true;
    await admit(this.#story, { link, request, url, established }, session.resource.route);
    if (session.closed || !this.#story.links.has(link)) throw new Refusal(454, 'the session has ended');
    session.usedBy(link);
    session.heard();
    return session;
  }

  #refuse(link: ViewerLink, request: RtspRequest, error: unknown): RtspResponse {
    const { log, refused } = this.#story;
    const { address, port } = link.remote;
    if (!(error instanceof Refusal || error instanceof RtspError)) {
      log.error(
        { err: error, address, port, method: request.method },
        'a request failed: this is a fault of ours',
      );
      refused.add('request-500');
      return response(500);
    }
    refused.add(error instanceof Challenge ? CHALLENGED : `request-${error.status}`);
    log.debug({ address, port, method: request.method, status: error.status, why: error.message }, 'refused');
    const { headers, reason } = error instanceof Refusal ? error : { headers: [], reason: '' };
    const answer = response(error.status, headers, undefined, reason);
    const location = error instanceof Refusal ? error.location : undefined;
    if (location !== undefined)
      answer.headers.set('Location', atPlace(viewerUrl(request.uri, link), location));
    return answer;
  }
}

/** RFC 2326 12.17: in every request. Without it the answer cannot be told apart from others. */
function checkCSeq(request: RtspRequest): void {
  if (cseqOf(request) === undefined) throw new Refusal(400, 'no CSeq, or none that is a number');
}

function cseqOf({ headers }: RtspRequest): string | undefined {
  const text = headers.get('CSeq') ?? '';
  return /^\d{1,10}$/.test(text) ? text : undefined;
}

/** RFC 2326 12.32: options without which the viewer does not want an answer. We have none. */
function checkRequire({ headers }: RtspRequest): void {
  const options = [...headers.getAll('Require'), ...headers.getAll('Proxy-Require')];
  if (options.length > 0)
    throw new Refusal(551, 'an option that is not known is required', {
      headers: [['Unsupported', options.join(', ')]],
    });
}

function unknownMethod(method: string): Refusal {
  return method === 'REDIRECT' // RFC 2326 10.10: from a server only
    ? new Refusal(405, `${method} is not for viewers`, { headers: [['Allow', PUBLIC]] })
    : new Refusal(501, 'the method is not known');
}
