// SPDX-License-Identifier: Apache-2.0
// One m= section that is set up upstream: its two UDP pairs, its stream in the datapath, its viewers. Opening builds
// aside and undoes on error: pairs, SETUP, datapath; closing goes the other way round.

import { nowMs, type Context } from './context.js';
import type { MediaDescription } from './description.js';
import { Groups } from './groups.js';
import type { StreamHandle, UdpPair } from './ports.js';
import { Refusal } from './refusal.js';
import { receiveViewerRtcp } from './report.js';
import { SourceReports } from './source-reports.js';
import { arrangeSource, bindPair, type Source, type SourceParts } from './source-transport.js';
import type { ViewerTrack } from './viewer-track.js';

export interface TrackParts extends SourceParts {
  /** For people: resource path and media. */
  readonly name: string;
}

interface Pairs {
  readonly upstream: UdpPair;
  readonly downstream: UdpPair;
}

export class Track {
  readonly media: MediaDescription;
  readonly upstream: UdpPair;
  readonly downstream: UdpPair;
  readonly stream: StreamHandle;
  readonly viewers = new Set<ViewerTrack>();
  readonly groups: Groups;
  readonly #context: Context;
  readonly #reports: SourceReports;
  readonly #announcedSsrc: number | undefined;
  #mediaMs: number;
  #packets = 0;
  #started = false;

  constructor(context: Context, parts: TrackParts, pairs: Pairs, source: Source, stream: StreamHandle) {
    this.#context = context;
    this.media = parts.media;
    this.upstream = pairs.upstream;
    this.downstream = pairs.downstream;
    this.stream = stream;
    this.groups = new Groups(context, this);
    this.#announcedSsrc = source.ssrc;
    this.#mediaMs = nowMs(context.clock);
    this.#reports = new SourceReports(context, pairs.upstream, source, stream);
    pairs.downstream.onRtcp((packet, from) => receiveViewerRtcp(context, this, packet, from));
  }

  /** The source's SSRC: what its packets say, until then what SETUP said. */
  get ssrc(): number | undefined {
    return this.stream.reception()?.ssrc ?? this.#announcedSsrc;
  }

  /** The source has been asked to PLAY it, and has agreed. */
  get started(): boolean {
    return this.#started;
  }

  begin(): void {
    this.#started = true;
    this.#mediaMs = nowMs(this.#context.clock);
    this.#reports.forgetBye();
  }

  halt(): void {
    this.#started = false;
  }

  /** When RTP or RTCP came last, as of the last call of this, monotonic milliseconds. */
  heard(now: number): number {
    const { packets } = this.stream.counters();
    if (packets !== this.#packets) this.#mediaMs = now;
    this.#packets = packets;
    return Math.max(this.#mediaMs, this.#reports.heardMs);
  }

  /** The source has said BYE and has sent no RTP for so long since. */
  finished(now: number, quietMs: number): boolean {
    this.heard(now);
    const { byeAtMs } = this.#reports;
    return byeAtMs !== undefined && now - Math.max(byeAtMs, this.#mediaMs) >= quietMs;
  }

  /** No more copies, no more reports. The ports stay ours until close(): the source may still be sending. */
  stop(): void {
    this.#reports.close();
    this.stream.close();
  }

  close(): void {
    this.stop();
    this.downstream.close();
    this.upstream.close();
  }
}

/** Rejects with a Refusal: the source's own, 502 for an answer that cannot be used, 503 for no ports or no room. */
export async function openTrack(context: Context, parts: TrackParts): Promise<Track> {
  const pairs = await bindPairs(context);
  let { upstream } = pairs;
  try {
    const arrival = await arrangeSource(context, parts, upstream);
    upstream = arrival.upstream;
    const { localAddress, source } = arrival;
    const { downstream } = pairs;
    const { clockRate, encoding } = parts.media;
    const stream = await context.datapath
      .open({ name: parts.name, localAddress, source, upstream, downstream, clockRate, encoding })
      .catch((error: Error) => {
        throw new Refusal(503, `the datapath refused the stream: ${error.message}`);
      });
    return new Track(context, parts, { upstream, downstream }, source, stream);
  } catch (error) {
    pairs.downstream.close();
    upstream.close();
    throw error;
  }
}

/** Both before the source is asked: without ports there is nothing to ask for. */
async function bindPairs(context: Context): Promise<Pairs> {
  const upstream = await bindPair(context);
  try {
    return { upstream, downstream: await bindPair(context) };
  } catch (error) {
    upstream.close();
    throw error;
  }
}
