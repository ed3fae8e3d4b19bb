// SPDX-License-Identifier: Apache-2.0
// PLAY (RFC 2326 10.5): the viewer gets copies first, then the source is asked to play, where it does not yet. On a session
// that plays already and is shared it changes nothing: ffmpeg sends `npt=0.000-` with its first PLAY, whenever it comes.

import { response, type RtspResponse } from '../rtsp/message.js';
import { parseRange } from '../rtsp/range.js';
import { formatRtpInfo } from '../rtsp/rtp-info.js';
import { formatScale, readScale } from '../rtsp/scale.js';
import { parseRtspUrl, placeOf, type RtspUrl } from '../rtsp/url.js';
import { makeOwn, seeks, wishToGoOn, type Undo } from './own-session.js';
import { Refusal } from './refusal.js';
import type { Ask, Story } from './request.js';
import type { Session } from './session.js';
import type { PlayAnswer, PlayWish } from './source-play.js';
import type { ViewerTrack } from './viewer-track.js';

export async function play(story: Story, ask: Ask): Promise<RtspResponse> {
  const session = sessionFor(ask);
  const { headers } = ask.request;
  const wish = readWish(ask);
  const answer = await session.resource.use(() => playAsWished(story, session, wish));
  const fields: [string, string][] = [['Session', session.header]];
  if (answer.range !== undefined) fields.push(['Range', answer.range]);
  if (headers.has('Scale')) fields.push(['Scale', formatScale(answer.scale ?? 1)]);
  if (headers.has('Speed')) fields.push(['Speed', formatScale(1)]);
  return response(200, [...fields, ['RTP-Info', rtpInfo(session, answer)]]);
}

/** @throws RtspError 457, Refusal 400 */
function readWish({ request: { headers } }: Ask): PlayWish {
  const range = headers.get('Range');
  if (range !== undefined) parseRange(range);
  const scale = headers.get('Scale');
  if (scale !== undefined && readScale(scale) === undefined)
    throw new Refusal(400, 'Scale is no number other than 0');
  return { range, scale };
}

/** The session that PLAY or PAUSE is about. Its tracks are controlled together. */
export function sessionFor({ session, url }: Ask): Session {
  if (!session) throw new Refusal(454, 'no Session header');
  if (session.tracks.size > 1 && trackAt(session, url))
    throw new Refusal(460, 'the tracks of a session are played together');
  if (session.tracks.size === 0) throw new Refusal(455, 'the session has no track');
  return session;
}

/** The track that a URL names, if it names one of this session's. */
export function trackAt(session: Session, url: RtspUrl): ViewerTrack | undefined {
  return [...session.tracks.values()].find((track) => placeOf(parseRtspUrl(track.url)) === placeOf(url));
}

async function playAsWished(story: Story, session: Session, wish: PlayWish): Promise<PlayAnswer> {
  if (seeks(session, wish.range)) return playOnItsOwn(session, wish, await makeOwn(story, session));
  const goOn = wish.range === undefined ? wishToGoOn(session) : undefined;
  const undo = goOn && (await makeOwn(story, session).catch(noRoom));
  if (goOn && undo) return playOnItsOwn(session, { ...goOn, scale: wish.scale }, undo);
  return start(session, wish);
}

/** Then it goes on where the others are, and is told so. */
function noRoom(error: unknown): undefined {
  if (!(error instanceof Refusal)) throw error;
}

async function playOnItsOwn(session: Session, wish: PlayWish, undo: Undo): Promise<PlayAnswer> {
  try {
    return await session.resource.use(() => start(session, wish));
  } catch (error) {
    await undo();
    throw error;
  }
}

async function start(session: Session, wish: PlayWish): Promise<PlayAnswer> {
  const added = await session.start();
  try {
    const answer = await session.resource.play(session, added, wish);
    if (session.closed) throw new Refusal(454, 'the session has ended');
    session.state = 'playing';
    return answer;
  } catch (error) {
    for (const track of added) track.stop();
    throw error;
  }
}

/** Per track, in the viewer's own URLs. */
function rtpInfo(session: Session, answer: PlayAnswer): string {
  const tracks = [...session.tracks.values()];
  return formatRtpInfo(tracks.map((track) => ({ url: track.url, ...answer.startOf(track) })));
}
