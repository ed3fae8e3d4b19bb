// SPDX-License-Identifier: Apache-2.0
// What the source plays and since when: one PLAY upstream for all who ask at the same time, and what the later ones
// are told of sequence numbers, timestamps and position (RFC 2326 10.5, 12.29, 12.33).

import { RtspError } from '../rtsp/errors.js';
import type { RtspResponse } from '../rtsp/message.js';
import { formatRange, isNpt, parseRange, type NptRange, type Range } from '../rtsp/range.js';
import { readScale } from '../rtsp/scale.js';
import { parseRtpInfo, type RtpInfo } from '../rtsp/rtp-info.js';
import { placeOfText } from '../rtsp/url.js';
import { nptOf } from '../state/position.js';
import { nowMs, type Context } from './context.js';
import type { Description } from './description.js';
import type { StartRecord } from './records.js';
import type { Track } from './track.js';
import type { ViewerTrack } from './viewer-track.js';

/** What a viewer asks of PLAY, as it says it (RFC 2326 12.29, 12.34). */
export interface PlayWish {
  readonly range?: string | undefined;
  readonly scale?: string | undefined;
}

/** Where a track begins for a viewer; empty where nobody can tell. */
export type TrackStart = Pick<RtpInfo, 'seq' | 'rtptime'>;

export interface PlayAnswer {
  /** The value of Range; undefined: none is known. */
  readonly range: string | undefined;
  readonly startOf: (viewer: ViewerTrack) => TrackStart;
  /** That it plays at (RFC 2326 12.34); absent: 1. */
  readonly scale?: number;
}

interface Start {
  readonly range: Range | undefined;
  readonly info: ReadonlyMap<Track, TrackStart>;
  readonly atNs: bigint;
  readonly scale: number;
}

interface Relay {
  readonly tracks: readonly Track[];
  readonly done: Promise<void>;
}

/** The last picture is shown for a while. */
const NEAR_END_SECONDS = 2;
/** How long the first packets of a stream that goes on are awaited. */
const SETTLE_MS = 300;

export class SourcePlay {
  description: Description | undefined;
  readonly #context: Context;
  #start: Start | undefined;
  #relay: Relay | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  playing(tracks: Iterable<Track>): boolean {
    for (const track of tracks) if (track.started) return true;
    return false;
  }

  /**
   * `relay` asks the source. Who wants the same while it is asked shares the answer, a refusal too. `added` are those of
   * `viewers` that get copies only since just now. `anew`: the source is asked even if it plays.
   */
  async start(
    viewers: readonly ViewerTrack[],
    added: readonly ViewerTrack[],
    anew: boolean,
    relay: () => Promise<void>,
  ): Promise<PlayAnswer> {
    const tracks = viewers.map(({ track }) => track);
    if (!anew && tracks.every((track) => track.started)) return this.#now(viewers, added);
    const shared = this.#relay;
    if (!anew && shared && tracks.every((track) => track.started || shared.tracks.includes(track))) {
      await shared.done;
      return this.#asStarted(added);
    }
    const mine: Relay = { tracks, done: relay() };
    this.#relay = mine;
    try {
      await mine.done;
    } finally {
      if (this.#relay === mine) this.#relay = undefined;
    }
    return this.#asStarted(added);
  }

  /** The source has agreed to play these tracks. */
  started(answer: RtspResponse, tracks: readonly Track[]): void {
    for (const track of tracks) track.begin();
    const info = new Map<Track, TrackStart>();
    const told = parseRtpInfo(answer.headers.get('RTP-Info') ?? '');
    for (const { url, seq, rtptime } of told) {
      const track =
        trackOf(url, tracks) ?? (told.length === 1 && tracks.length === 1 ? tracks[0] : undefined);
      if (track)
        info.set(track, { ...(seq !== undefined && { seq }), ...(rtptime !== undefined && { rtptime }) });
    }
    const atNs = this.#context.clock.monotonicNs();
    this.#start = {
      range: readRange(answer),
      info,
      atNs,
      scale: readScale(answer.headers.get('Scale')) ?? 1,
    };
  }

  /** What it said of sequence numbers and timestamps at its start is not what viewers see from now on. */
  renewed(): void {
    const { range, scale } = this.#start!;
    this.#start = { range, scale, info: new Map(), atNs: this.#context.clock.monotonicNs() };
  }

  /** The source's answer, for the next process. */
  get record(): StartRecord | null {
    if (!this.#start) return null;
    const { range, info, atNs, scale } = this.#start;
    const byControl = [...info].map(([track, start]) => [track.media.control, start] as const);
    return { range: range ? formatRange(range) : null, atNs: `${atNs}`, info: byControl, scale };
  }

  restore({ range, atNs, info, scale }: StartRecord, tracks: ReadonlyMap<string, Track>): void {
    const known = info.flatMap(([control, start]) => {
      const track = tracks.get(control);
      return track ? [[track, start] as const] : [];
    });
    this.#start = {
      range: range === null ? undefined : parseRange(range),
      info: new Map(known),
      atNs: BigInt(atNs),
      scale,
    };
  }

  stopped(tracks: Iterable<Track>): void {
    for (const track of tracks) track.halt();
  }

  /** For those who were there before the source began: its own words. One of their tracks may have played before. */
  #asStarted(added: readonly ViewerTrack[]): PlayAnswer {
    const { range, info, scale } = this.#start!;
    return {
      scale,
      range: range && formatRange(range),
      startOf: (viewer) =>
        (added.includes(viewer) ? fromCache(viewer) : undefined) ?? announced(viewer, info),
    };
  }

  /** For those who join: what they will get. */
  #now(viewers: readonly ViewerTrack[], added: readonly ViewerTrack[]): PlayAnswer {
    const starts = new Map(viewers.map((viewer) => [viewer, this.#startNow(viewer, added.includes(viewer))]));
    const { scale } = this.#start!;
    return { scale, range: this.#rangeNow(starts), startOf: (viewer) => starts.get(viewer) ?? {} };
  }

  /** The packet that the datapath begins with, or the one after the newest; before the first what the source announced. */
  #startNow(viewer: ViewerTrack, added: boolean): TrackStart {
    const { atNs, info } = this.#start!;
    const { track, heldBack } = viewer;
    const cached = added ? fromCache(viewer) : undefined;
    if (cached) return cached;
    const reception = track.stream.reception();
    if (!reception || reception.arrivalNs < atNs) return announced(viewer, info);
    if (heldBack) return {}; // some packet to come, nobody knows which
    const { seqOffset, timestampOffset } = reception.sent ?? { seqOffset: 0, timestampOffset: 0 };
    return {
      seq: (reception.extendedMaxSeq + 1 + seqOffset) & 0xffff,
      rtptime: (reception.timestamp + timestampOffset) >>> 0,
    };
  }

  #rangeNow(starts: ReadonlyMap<ViewerTrack, TrackStart>): string | undefined {
    const all = this.description?.range;
    if (this.description?.live !== false || !all) return 'npt=now-';
    if (!isNpt(all)) return undefined;
    const { first, info } = this.#first(all);
    for (const [{ track }, { rtptime }] of starts) {
      const begin = announcedTime(track, info);
      if (begin === undefined || rtptime === undefined || track.media.clockRate === 0) continue;
      return formatRange({
        unit: 'npt',
        start: this.#npt(track, begin, rtptime, first),
        end: this.#end(all),
      });
    }
    return undefined; // the source never said which timestamp its start has: no position can be told
  }

  /** Normal play time of what is being sent, seconds; where timestamps do not tell, by the time that has passed. */
  position(tracks: Iterable<Track>): number | undefined {
    const all = this.description?.range;
    if (!this.#start || !all || !isNpt(all)) return undefined;
    const { first, info, atNs, scale } = this.#first(all);
    for (const track of tracks) {
      const begin = info.get(track)?.rtptime;
      const reception = track.stream.reception();
      if (begin === undefined || !reception || reception.arrivalNs < atNs || track.media.clockRate === 0)
        continue;
      return this.#npt(track, begin, reception.timestamp, first);
    }
    return Math.max(0, first + (Number(this.#context.clock.monotonicNs() - atNs) / 1e9) * scale);
  }

  /** What it was last asked to play is over, or will be in a moment. */
  isNearEnd(tracks: Iterable<Track>): boolean {
    const all = this.description?.range;
    const end = all && isNpt(all) && this.#start ? this.#end(all) : undefined;
    const position = this.position(tracks);
    return end !== undefined && position !== undefined && position >= end - NEAR_END_SECONDS;
  }

  /** What the first packets of streams that go on show to viewers is known, or they do not come soon. */
  async settled(): Promise<void> {
    const { deadlines, clock } = this.#context;
    const untilMs = nowMs(clock) + SETTLE_MS;
    const tracks = [...this.#start!.info.keys()];
    while (tracks.some(({ offsets }) => offsets === undefined) && nowMs(clock) < untilMs)
      await new Promise<void>((resolve) => void deadlines.in(0, resolve));
  }

  #first(all: NptRange): Start & { readonly first: number } {
    const start = this.#start!;
    const range = start.range && isNpt(start.range) ? start.range : all;
    return { ...start, first: typeof range.start === 'number' ? range.start : 0 };
  }

  #end(all: NptRange): number | undefined {
    const { range } = this.#start!;
    return range && isNpt(range) ? range.end : all.end;
  }

  #npt({ media }: Track, begin: number, rtpTime: number, first: number): number {
    const { atNs, scale } = this.#start!;
    const from = {
      nptSeconds: 0,
      rtpTime: begin,
      clockRate: media.clockRate,
      atMs: Number(atNs / 1_000_000n),
    };
    return Math.max(0, first + nptOf(from, rtpTime, nowMs(this.#context.clock)) * scale);
  }
}

function fromCache({ first }: ViewerTrack): TrackStart | undefined {
  return first && { seq: first.seq, rtptime: first.timestamp };
}

/**
 * The source's words. Who is held back may not get the first packet that the source sends; the timestamp stays true, for
 * it is that of the start of the range (RFC 2326 12.33).
 */
function announced({ track, missesStart }: ViewerTrack, info: ReadonlyMap<Track, TrackStart>): TrackStart {
  const { seq } = info.get(track) ?? {};
  const rtptime = announcedTime(track, info);
  const { offsets } = track;
  if (!offsets) return {};
  return {
    ...(seq !== undefined && !missesStart && { seq: (seq + offsets.seqOffset) & 0xffff }),
    ...(rtptime !== undefined && { rtptime }),
  };
}

/** As viewers see it. */
function announcedTime(track: Track, info: ReadonlyMap<Track, TrackStart>): number | undefined {
  const rtptime = info.get(track)?.rtptime;
  const { offsets } = track;
  return rtptime === undefined || !offsets ? undefined : (rtptime + offsets.timestampOffset) >>> 0;
}

/** RTP-Info names a track by its control URL, and some servers by a relative or otherwise altered one. */
function trackOf(url: string, tracks: readonly Track[]): Track | undefined {
  const place = placeOfText(url);
  const same = tracks.find(
    ({ media }) => media.control === url || (place && placeOfText(media.control) === place),
  );
  return same ?? tracks.find(({ media }) => media.control.endsWith(`/${url}`));
}

function readRange(answer: RtspResponse): Range | undefined {
  const value = answer.headers.get('Range');
  if (value === undefined) return undefined;
  try {
    return parseRange(value);
  } catch (error) {
    if (error instanceof RtspError) return undefined;
    throw error;
  }
}
