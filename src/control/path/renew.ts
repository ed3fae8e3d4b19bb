// SPDX-License-Identifier: Apache-2.0
// A source anew behind viewers that stay: DESCRIBE, SETUP of the tracks that there were, PLAY. The tracks must be the same
// by media and codec, for nobody tells the viewers otherwise.

import type { RtspResponse } from '../rtsp/message.js';
import type { MediaTransport } from '../config/path-table.js';
import type { Description, MediaDescription } from './description.js';
import { isAboutOne, Refusal } from './refusal.js';
import type { SourceSession } from './source-session.js';
import { arrangeSource, bindPair } from './source-transport.js';
import type { Track } from './track.js';

export interface RenewParts {
  readonly source: SourceSession;
  /** What viewers were told. */
  readonly description: Description;
  /** By the control URL of that description. */
  readonly tracks: Map<string, Track>;
  readonly transport: MediaTransport;
  readonly range: string | undefined;
  readonly setUp: (control: string, transport: string) => Promise<RtspResponse>;
  /** Nobody waits any more. */
  readonly ended: () => boolean;
}

/** The source's URLs as they are now. */
export interface Renewed {
  readonly aggregate: string;
  /** By the former ones. */
  readonly controls: ReadonlyMap<string, string>;
}

/** Decoders have lost what the former one's pictures refer to. */
export const FROM_PICTURE = { fromPicture: true };

/** Rejects with a Refusal, and leaves nothing open then; 410: what the source has now is something else. */
export async function renew(parts: RenewParts): Promise<Renewed> {
  const { source } = parts;
  try {
    return await renewAll(parts);
  } catch (error) {
    await source.tearDown(parts.description.aggregate);
    source.close();
    throw error;
  }
}

async function renewAll(parts: RenewParts): Promise<Renewed> {
  const { source, tracks, ended } = parts;
  const description = await source.describe({ passesOn: false });
  const sections = sameSections(parts.description, description);
  let { transport } = parts;
  for (const [control, track] of [...tracks])
    try {
      if (ended()) throw new Refusal(503, 'nobody watches any more');
      await renewTrack(parts, track, sections.get(control), transport);
      if (track.interleaved) transport = 'tcp';
    } catch (error) {
      if (!(error instanceof Refusal && isAboutOne(error) && isSpare(track, tracks))) throw error;
      tracks.delete(control);
      track.close();
    }
  if (ended()) throw new Refusal(503, 'nobody watches any more');
  await source.play(description.aggregate, { range: parts.range });
  for (const track of tracks.values()) track.begin();
  const controls = [...sections].map(([control, media]) => [control, media.control] as const);
  return { aggregate: description.aggregate, controls: new Map(controls) };
}

async function renewTrack(
  { source, setUp }: RenewParts,
  track: Track,
  media: MediaDescription | undefined,
  transport: MediaTransport,
): Promise<void> {
  if (!media) throw new Refusal(410, 'the source came back with other tracks');
  const wanted = {
    ...{ media, transport, frames: source.upstream, ends: () => source.upstream.ends! },
    setUp: (offer: string) => setUp(media.control, offer),
  };
  await track.renew(async (context) => arrangeSource(context, wanted, await bindPair(context)), FROM_PICTURE);
}

/** Nobody watches it, but somebody another, and is not to suffer for it. */
function isSpare(track: Track, tracks: ReadonlyMap<string, Track>): boolean {
  return track.viewers.size === 0 && [...tracks.values()].some(({ viewers }) => viewers.size > 0);
}

/** The m= sections that a decoder takes for the former ones, in their order, by the former control URL. */
export function sameSections(before: Description, now: Description): Map<string, MediaDescription> {
  const left = [...now.media];
  const same = new Map<string, MediaDescription>();
  for (const media of before.media) {
    const at = left.findIndex((other) => isSame(media, other));
    if (at >= 0) same.set(media.control, left.splice(at, 1)[0]!);
  }
  return same;
}

/** What `media`, a section of `now`, was before; undefined: there was none that is the same. */
export function sectionBefore(
  before: Description,
  now: Description,
  media: MediaDescription,
): MediaDescription | undefined {
  const unchanged = before.media.find((one) => one.control === media.control && isSame(one, media));
  if (unchanged) return unchanged;
  const [control] = [...sameSections(before, now)].find(([, section]) => section === media) ?? [];
  return before.media.find((one) => one.control === control);
}

function isSame(a: MediaDescription, b: MediaDescription): boolean {
  return (
    a.media === b.media &&
    a.payloadType === b.payloadType &&
    a.clockRate === b.clockRate &&
    a.encoding?.name.toUpperCase() === b.encoding?.name.toUpperCase() &&
    a.encoding?.payloadType === b.encoding?.payloadType &&
    a.encoding?.descriptorId === b.encoding?.descriptorId
  );
}
