// SPDX-License-Identifier: Apache-2.0
// What the source plays and since when: one PLAY upstream for all who ask at the same time, and what the later ones
// are told of sequence numbers, timestamps and position (RFC 2326 10.5, 12.29, 12.33).

import { RtspError } from '../rtsp/errors.js';
import type { RtspResponse } from '../rtsp/message.js';
import { formatRange, isNpt, parseRange, type Range } from '../rtsp/range.js';
import { parseRtpInfo, type RtpInfo } from '../rtsp/rtp-info.js';
import { nptOf } from '../state/position.js';
import { nowMs, type Context } from './context.js';
import type { Description } from './description.js';
import type { Track } from './track.js';
import { placeOfText } from './url-map.js';

/** Where a track begins for a viewer; empty where nobody can tell. */
export type TrackStart = Pick<RtpInfo, 'seq' | 'rtptime'>;

export interface PlayAnswer {
  /** The value of Range; undefined: none is known. */
  readonly range: string | undefined;
  readonly startOf: (track: Track) => TrackStart;
}

interface Start {
  readonly range: Range | undefined;
  readonly info: ReadonlyMap<Track, TrackStart>;
  readonly atNs: bigint;
}

interface Relay {
  readonly tracks: readonly Track[];
  readonly done: Promise<void>;
}

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

  /** `relay` asks the source. Who wants the same while it is asked shares the answer, a refusal too. */
  async start(tracks: readonly Track[], relay: () => Promise<void>): Promise<PlayAnswer> {
    if (tracks.every((track) => track.started)) return this.#now(tracks);
    const shared = this.#relay;
    if (shared && tracks.every((track) => track.started || shared.tracks.includes(track))) {
      await shared.done;
      return this.#asStarted();
    }
    const mine: Relay = { tracks, done: relay() };
    this.#relay = mine;
    try {
      await mine.done;
    } finally {
      if (this.#relay === mine) this.#relay = undefined;
    }
    return this.#asStarted();
  }

  /** The source has agreed to play these tracks. */
  started(answer: RtspResponse, tracks: readonly Track[]): void {
    for (const track of tracks) track.begin();
    const info = new Map<Track, TrackStart>();
    for (const { url, seq, rtptime } of parseRtpInfo(answer.headers.get('RTP-Info') ?? '')) {
      const track = trackOf(url, tracks);
      if (track)
        info.set(track, { ...(seq !== undefined && { seq }), ...(rtptime !== undefined && { rtptime }) });
    }
    this.#start = { range: readRange(answer), info, atNs: this.#context.clock.monotonicNs() };
  }

  stopped(tracks: Iterable<Track>): void {
    for (const track of tracks) track.halt();
  }

  /** For those who were there before the source began: its own words. */
  #asStarted(): PlayAnswer {
    const { range, info } = this.#start!;
    return { range: range && formatRange(range), startOf: (track) => info.get(track) ?? {} };
  }

  /** For those who join: what they will get. */
  #now(tracks: readonly Track[]): PlayAnswer {
    return { range: this.#rangeNow(tracks), startOf: (track) => this.#next(track) ?? {} };
  }

  /** The packet after the newest; before the first one what the source announced. */
  #next(track: Track): TrackStart | undefined {
    const { atNs, info } = this.#start!;
    const reception = track.stream.reception();
    if (!reception || reception.arrivalNs < atNs) return info.get(track);
    return { seq: (reception.extendedMaxSeq + 1) & 0xffff, rtptime: reception.timestamp };
  }

  #rangeNow(tracks: readonly Track[]): string | undefined {
    const all = this.description?.range;
    if (this.description?.live !== false || !all || !isNpt(all)) return 'npt=now-';
    const told = this.#start!.range;
    const range = told && isNpt(told) ? told : all;
    const first = typeof range.start === 'number' ? range.start : 0;
    for (const track of tracks) {
      const begin = this.#start!.info.get(track)?.rtptime;
      const rtptime = this.#next(track)?.rtptime;
      const { clockRate } = track.media;
      if (begin === undefined || rtptime === undefined || clockRate === 0) continue;
      const atMs = Number(this.#start!.atNs / 1_000_000n);
      const from = { nptSeconds: first, rtpTime: begin, clockRate, atMs };
      return formatRange({
        unit: 'npt',
        start: nptOf(from, rtptime, nowMs(this.#context.clock)),
        end: range.end,
      });
    }
    return undefined; // the source never said which timestamp its start has: no position can be told
  }
}

/** RTP-Info names a track by its control URL, and some servers by a relative or otherwise altered one. */
function trackOf(url: string, tracks: readonly Track[]): Track | undefined {
  const place = placeOfText(url);
  const same = tracks.find(
    ({ media }) => media.control === url || (place && placeOfText(media.control) === place),
  );
  return (
    same ??
    tracks.find(({ media }) => media.control.endsWith(`/${url}`)) ??
    (tracks.length === 1 ? tracks[0] : undefined)
  );
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
