// SPDX-License-Identifier: Apache-2.0
// What the camera answers to each RTSP method (RFC 2326 chapter 10).

import { response, type RtspRequest, type RtspResponse } from '../../src/control/rtsp/message.js';
import { RtspError } from '../../src/control/rtsp/errors.js';
import { formatRtpInfo } from '../../src/control/rtsp/rtp-info.js';
import { formatSession, parseSession } from '../../src/control/rtsp/session.js';
import { formatTransport, parseTransport } from '../../src/control/rtsp/transport.js';
import { parseRtspUrl } from '../../src/control/rtsp/url.js';
import { describeSource } from './description.js';
import type { LiveSource } from './live-source.js';
import { SESSION_TIMEOUT, type Session, type Sessions } from './sessions.js';

/** Both ends of the RTSP connection that a request came by. */
export interface Peer {
  readonly localAddress: string;
  readonly address: string;
}

export interface Context {
  readonly sources: ReadonlyMap<string, LiveSource>;
  readonly sessions: Sessions;
}

export interface Answer {
  readonly response: RtspResponse;
  /** To be done when the response has been written. */
  readonly then?: () => void;
}

type Handler = (context: Context, request: RtspRequest, peer: Peer) => Answer;

const HANDLERS: Readonly<Record<string, Handler>> = {
  OPTIONS: (context, request) => {
    if (request.headers.has('Session')) sessionOf(context, request);
    return { response: response(200, [['Public', Object.keys(HANDLERS).join(', ')]]) };
  },
  DESCRIBE: describe,
  SETUP: setup,
  PLAY: play,
  PAUSE: pause,
  TEARDOWN: teardown,
  GET_PARAMETER: (context, request) => {
    if (request.headers.has('Session')) sessionOf(context, request);
    return { response: response(200) };
  },
};

/** Never throws: a request that cannot be served has an answer, too. CSeq and Session are filled in. */
export function answer(context: Context, request: RtspRequest, peer: Peer): Answer {
  const cseq = request.headers.get('CSeq');
  let result: Answer;
  try {
    if (cseq === undefined || !/^\d{1,10}$/.test(cseq)) fail(400, 'The request has no CSeq.');
    if (request.headers.has('Require')) fail(551, 'The camera supports no options.');
    const handler = Object.hasOwn(HANDLERS, request.method) ? HANDLERS[request.method] : undefined;
    result = handler ? handler(context, request, peer) : fail(501, `The camera knows no ${request.method}.`);
  } catch (error) {
    if (!(error instanceof RtspError)) throw error;
    result = { response: refusal(error, request) };
  }
  if (cseq !== undefined) result.response.headers.set('CSeq', cseq);
  return result;
}

function refusal(error: RtspError, request: RtspRequest): RtspResponse {
  const text = Buffer.from(`${error.message}\r\n`, 'latin1');
  const refused = response(error.status, [['Content-Type', 'text/plain']], text);
  if (error.status === 501) refused.headers.set('Allow', Object.keys(HANDLERS).join(', '));
  if (error.status === 551) refused.headers.set('Unsupported', request.headers.get('Require')!);
  return refused;
}

function fail(status: number, message: string): never {
  throw new RtspError(status, message);
}

/** The source that a URI names, and the track of it where it names one; a query is of no meaning here. */
function resolve({ sources }: Context, uri: string): { source: LiveSource; track: number | undefined } {
  const { path, query } = parseRtspUrl(uri);
  const track = /\/trackID=(\d{1,3})\/?$/.exec(query ?? path)?.[1];
  const bare = query === undefined ? path.replace(/\/trackID=\d{1,3}\/?$/, '') : path;
  const source = sources.get(bare.replace(/\/$/, '') || '/');
  if (!source) fail(404, 'The camera has no such path.');
  return { source, track: track === undefined ? undefined : Number(track) };
}

function sessionOf({ sessions }: Context, request: RtspRequest): Session {
  const header = request.headers.get('Session');
  const session = header === undefined ? undefined : sessions.find(parseSession(header).id);
  return session ?? fail(454, 'The camera has no such session.');
}

function withSession(session: Session, headers: [string, string][] = []): RtspResponse {
  return response(200, [
    ['Session', formatSession({ id: session.id, timeout: SESSION_TIMEOUT })],
    ...headers,
  ]);
}

function describe(context: Context, { uri, headers }: RtspRequest, { localAddress }: Peer): Answer {
  const { source } = resolve(context, uri);
  const accept = headers.get('Accept') ?? '*/*';
  if (!/application\/(sdp|\*)|\*\/\*/i.test(accept))
    fail(406, 'The camera describes itself in application/sdp only.');
  const fields: [string, string][] = [
    ['Content-Type', 'application/sdp'],
    ['Content-Base', uri.endsWith('/') ? uri : `${uri}/`],
  ];
  return { response: response(200, fields, Buffer.from(describeSource(source, localAddress), 'latin1')) };
}

function setup(context: Context, request: RtspRequest, peer: Peer): Answer {
  const { source, track: named } = resolve(context, request.uri);
  const number = named ?? (source.tracks.length === 1 ? 0 : fail(459, 'SETUP is for one track.'));
  const track = source.tracks[number] ?? fail(404, 'The camera has no such track.');
  const offered = parseTransport(request.headers.getAll('Transport').join(','));
  const chosen = offered.find(
    ({ profile, lower, delivery, clientPort }) =>
      profile === 'RTP/AVP' && lower === 'UDP' && delivery !== 'multicast' && clientPort,
  );
  if (!chosen?.clientPort) fail(461, 'The camera sends RTP/AVP over UDP unicast only.');

  const known = request.headers.has('Session') ? sessionOf(context, request) : undefined;
  if (known && known.source !== source) fail(459, 'The session is one of another path.');
  if (known?.playing) fail(455, 'The session is playing.');
  const session = known ?? context.sessions.create(source) ?? fail(453, 'The camera has too many viewers.');
  const low = chosen.clientPort.low;
  const high = chosen.clientPort.high ?? Math.min(low + 1, 65_535);
  session.destinations.set(track, { address: peer.address, rtpPort: low, rtcpPort: high });
  const { rtp, rtcp } = track.sockets;
  const transport = formatTransport({
    profile: 'RTP/AVP',
    lower: 'UDP',
    delivery: 'unicast',
    source: peer.localAddress,
    clientPort: chosen.clientPort,
    serverPort: { low: rtp.address().port, high: rtcp.address().port },
    ssrc: track.ssrc,
  });
  const viewer = `${peer.address} ${low}-${high}`;
  context.sessions.notify('setup', { session: session.id, path: source.path, track: number, viewer });
  return { response: withSession(session, [['Transport', transport]]) };
}

function play(context: Context, request: RtspRequest): Answer {
  const session = controlled(context, request);
  const { source, destinations } = session;
  context.sessions.play(session);
  const base = request.uri.replace(/\/?(trackID=\d{1,3})?\/?$/, '');
  const info = source.tracks.flatMap((track, index) =>
    destinations.has(track) ? [{ url: `${base}/trackID=${index}`, ...track.next }] : [],
  );
  context.sessions.notify('play', { session: session.id, path: source.path });
  const fields: [string, string][] = [
    ['Range', 'npt=now-'],
    ['RTP-Info', formatRtpInfo(info)],
  ];
  return { response: withSession(session, fields), then: () => source.greet(destinations) };
}

function pause(context: Context, request: RtspRequest): Answer {
  const session = controlled(context, request);
  if (!session.playing) fail(455, 'The session is not playing.');
  context.sessions.pause(session);
  context.sessions.notify('pause', { session: session.id, path: session.source.path });
  return { response: withSession(session) };
}

/** Always of the whole session, also where the URI names a track. */
function teardown(context: Context, request: RtspRequest): Answer {
  const session = controlled(context, request);
  context.sessions.end(session);
  context.sessions.notify('teardown', { session: session.id, path: session.source.path });
  return { response: response(200) };
}

/** The session that PLAY, PAUSE or TEARDOWN is about, which its URI must agree with. */
function controlled(context: Context, request: RtspRequest): Session {
  const session = sessionOf(context, request);
  if (resolve(context, request.uri).source !== session.source)
    fail(404, 'The session is one of another path.');
  return session;
}
