// SPDX-License-Identifier: Apache-2.0
// A viewer that seeks in a recorded source, or goes on after a pause, gets a session of its own at the source: with others
// in it a Range would move them, too (RFC 2326 10.5). Alone it keeps the one it has, which newcomers do not join any more.

import { parseRange, isNpt, type Range } from '../rtsp/range.js';
import type { Described } from './description.js';
import { Refusal } from './refusal.js';
import { sameSections } from './renew.js';
import type { Story } from './request.js';
import type { Resource } from './resource.js';
import type { Session } from './session.js';
import type { PlayWish } from './source-play.js';
import type { Track } from './track.js';
import type { ViewerTrack } from './viewer-track.js';

/** Undoes makeOwn(), where the source then refuses to play. */
export type Undo = () => Promise<void>;

/** Whether that Range is for this viewer only, in the state in which it is asked for. */
export function seeks({ state, resource }: Session, range: string | undefined): boolean {
  if (!resource.recording || resource.recording.own || range === undefined) return false;
  const wanted = parseRange(range);
  if (isNpt(wanted) && wanted.start === 'now') return false;
  return state === 'paused' || !isFromBeginning(wanted, resource.recording.end);
}

/** What players say who want all there is: ffmpeg sends `npt=0.000-` with its first PLAY. */
function isFromBeginning(range: Range, end: number | undefined): boolean {
  if (!isNpt(range) || range.start !== 0) return false;
  return range.end === undefined || (end !== undefined && range.end >= end);
}

/** Where it was when it paused, if it may go on from there. */
export function wishToGoOn({ state, resource, pausedAt }: Session): PlayWish | undefined {
  if (state !== 'paused' || pausedAt === undefined || !resource.recording || resource.recording.own)
    return undefined;
  return { range: `npt=${pausedAt.toFixed(3)}-` };
}

/** @throws Refusal 457: there are as many already as there may be, or others get the same packets. */
export function checkRoomForOwn(story: Story, { resource, tracks }: Session): void {
  const { name, ownSessions } = resource.route.config;
  if (story.resources.ownOf(name) >= ownSessions)
    throw new Refusal(457, 'the path has as many sessions of their own as it may have');
  if ([...tracks.values()].some(({ group }) => group))
    throw new Refusal(457, 'who is served by multicast gets what all others get');
}

/**
 * Rejects with a Refusal; nothing has changed then. The resource that the session leaves must be in use (Resource.use)
 * until the source has agreed to play, as the new one then has a session.
 */
export async function makeOwn(story: Story, session: Session): Promise<Undo> {
  checkRoomForOwn(story, session);
  const { resource: former } = session;
  if (former.recording!.becomeOwn()) return async () => undefined;
  const own = story.resources.own(former.route);
  return own.use(async () => {
    const tracks = await setUpAgain(own, session);
    if (session.closed) throw new Refusal(454, 'the session has ended');
    const before = new Map([...session.tracks.values()].map((viewer) => [viewer, viewer.track]));
    const served = [...before.keys()].filter((viewer) => viewer.servedBy !== undefined);
    session.moveTo(own, tracks);
    return async () => {
      if (session.closed || former.state === 'ending') return;
      session.moveTo(former, before);
      await Promise.all(served.map((viewer) => viewer.start()));
    };
  });
}

/** Its tracks, in another session at the same source. */
async function setUpAgain(own: Resource, session: Session): Promise<Map<ViewerTrack, Track>> {
  const { description: before } = descriptionOf(session);
  const description = await own.describe();
  const sections = sameSections(before, description);
  const tracks = new Map<ViewerTrack, Track>();
  for (const viewer of session.tracks.values()) {
    const media = sections.get(viewer.track.media.control);
    if (!media) throw new Refusal(502, 'the source has other tracks now');
    tracks.set(viewer, await own.setUp(description, media, viewer));
  }
  return tracks;
}

/** That its tracks were set up from. */
function descriptionOf({ resource }: Session): Described {
  return resource.meaning(resource.route.place)!;
}
