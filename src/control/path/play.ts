// SPDX-License-Identifier: Apache-2.0
// PLAY (RFC 2326 10.5): the viewer gets copies first, then the source is asked to play, where it does not yet. On a session
// that plays already it changes nothing, whatever its Range: ffmpeg sends `npt=0.000-` with every PLAY.

import { response, type RtspResponse } from '../rtsp/message.js';
import { parseRange } from '../rtsp/range.js';
import { formatRtpInfo } from '../rtsp/rtp-info.js';
import { parseRtspUrl, placeOf, type RtspUrl } from '../rtsp/url.js';
import { Refusal } from './refusal.js';
import type { Ask, Story } from './request.js';
import type { Session } from './session.js';
import type { PlayAnswer } from './source-play.js';
import type { ViewerTrack } from './viewer-track.js';

export async function play(_story: Story, ask: Ask): Promise<RtspResponse> {
  const session = sessionFor(ask);
  const range = ask.request.headers.get('Range');
  if (range !== undefined) parseRange(range); // 457
  const answer = await session.resource.use(() => start(session, range));
  const fields: [string, string][] = [['Session', session.header]];
  if (answer.range !== undefined) fields.push(['Range', answer.range]);
  return response(200, [...fields, ['RTP-Info', rtpInfo(session, answer)]]);
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

async function start(session: Session, range: string | undefined): Promise<PlayAnswer> {
  const added = await session.start();
  try {
    const answer = await session.resource.play(session, added, range);
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
