// SPDX-License-Identifier: Apache-2.0
// What the next process must know of a resource (records.ts), and the way back from that.

import type { Context } from './context.js';
import { descriptionOf } from './description.js';
import type { ResourceRecord } from './records.js';
import type { Recording } from './recording.js';
import { Refusal } from './refusal.js';
import type { SourcePlay } from './source-play.js';
import type { SourceSession } from './source-session.js';
import { restoreTrack, type Track } from './track.js';

interface Recorded {
  readonly url: string;
  readonly path: string;
  readonly since: string;
  readonly link: string | undefined;
  readonly tracks: Map<string, Track>;
  readonly recording?: Recording | undefined;
}

/** Undefined: there is nothing to go on with. `left`: it takes no newcomers. */
export function resourceRecord(
  { url, path, since, link, tracks, recording }: Recorded,
  { id: sessionId, timeoutSeconds }: SourceSession,
  play: SourcePlay,
  left: boolean,
): ResourceRecord | undefined {
  const { description } = play;
  if (link === undefined || sessionId === undefined || !description) return undefined;
  return {
    ...{ url, path, since, link, sessionId, timeoutSeconds },
    ...{ sdp: description.sdp, base: description.base, left, own: recording?.own ?? false },
    start: play.record,
    tracks: [...tracks.values()].map((track) => track.record),
  };
}

/** Rejects with a Refusal when one of them is gone. */
export async function restoreTracks(
  context: Context,
  { path, tracks }: Recorded,
  record: ResourceRecord,
  play: SourcePlay,
): Promise<void> {
  const description = descriptionOf(record.sdp, record.base);
  play.description = description;
  for (const part of record.tracks) {
    const media = description.media.find(({ control }) => control === part.control);
    if (!media) throw new Refusal(503, 'its description does not fit');
    const name = `${path} ${media.media}`;
    tracks.set(media.control, await restoreTrack(context, { media, name }, part));
  }
  if (record.start) play.restore(record.start, tracks);
}
