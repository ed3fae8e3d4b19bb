// SPDX-License-Identifier: Apache-2.0
// One m= section that is set up upstream: its two UDP pairs, its stream in the datapath, its viewers. Opening builds
// aside and undoes on error: pairs, SETUP, datapath; closing goes the other way round.

import { buildGoodbye } from '../rtcp/build.js';
import { ChurnSet } from '../state/churn.js';
import { nowMs, type Context } from './context.js';
import type { MediaDescription } from './description.js';
import { Groups } from './groups.js';
import type { StreamHandle, UdpPair } from './ports.js';
import type { TrackRecord } from './records.js';
import { Refusal } from './refusal.js';
import { muxedPair } from './muxed-pair.js';
import { receiveMuxedRtcp, receiveViewerRtcp } from './report.js';
import { SharedPair } from './shared-pair.js';
import { SourceReports } from './source-reports.js';
import { arrangeSource, bindPair, type Arrival, type Source, type SourceParts } from './source-transport.js';
import { TrackLayers } from './track-layers.js';
import type { ViewerTrack } from './viewer-track.js';

export interface TrackParts {
  readonly media: MediaDescription;
  /** For people: resource path and media. */
  readonly name: string;
}

/** Sees to it that it comes, and says where; rejects with a Refusal, and leaves nothing open then. */
export type Arrive = (context: Context) => Promise<Arrival>;

interface Pairs {
  readonly upstream: UdpPair;
  /** Another track's as well, where it is shared already. */
  readonly downstream: UdpPair | SharedPair;
}

/** What is added to what the source sends, before viewers see it; modulo 2^16 and 2^32. */
export interface Offsets {
  readonly seqOffset: number;
  readonly timestampOffset: number;
}

const AS_IT_COMES: Offsets = { seqOffset: 0, timestampOffset: 0 };

export class Track {
  readonly media: MediaDescription;
  upstream: UdpPair;
  readonly downstream: SharedPair;
  /** It is served from another track's ports. */
  readonly borrows: boolean;
  readonly stream: StreamHandle;
  readonly viewers = new ChurnSet<ViewerTrack>();
  readonly groups: Groups;
  readonly #context: Context;
  #reports: SourceReports;
  readonly layers: TrackLayers;
  #feeder: UdpPair | undefined;
  #announcedSsrc: number | undefined;
  #mediaMs: number;
  #packets = 0;
  #source: Source;
  #localAddress: string;
  readonly #name: string;
  #started = false;
  #closed = false;
  /** Since when another source stands behind it than at first. */
  #renewedNs: bigint | undefined;

  constructor(context: Context, media: MediaDescription, pairs: Pairs, parts: StreamParts) {
    const { source, stream } = parts;
    this.#context = context;
    this.media = media;
    this.#source = source;
    this.#localAddress = parts.localAddress;
    this.#feeder = parts.feeder;
    this.#name = parts.name;
    this.upstream = pairs.upstream;
    const { downstream } = pairs;
    this.borrows = downstream instanceof SharedPair;
    this.downstream = downstream instanceof SharedPair ? downstream : new SharedPair(downstream);
    this.stream = stream;
    this.groups = new Groups(context, this);
    this.#announcedSsrc = source.ssrc;
    this.#mediaMs = nowMs(context.clock);
    this.#reports = this.#report(parts.reportSsrc);
    this.layers = new TrackLayers(context, stream, this.viewers);
    if (this.borrows) return; // who lends hears them
    downstream.onRtcp((packet, from) => receiveViewerRtcp(context, this.downstream, packet, from));
    downstream.onRtp((packet, from) => receiveMuxedRtcp(context, this.downstream, packet, from));
  }

  /** As viewers see it: what the packets say, until then what SETUP said. */
  get ssrc(): number | undefined {
    const received = this.stream.reception();
    return received?.sent?.ssrc ?? received?.ssrc ?? this.#announcedSsrc;
  }

  /** Under which we report, to the source and to viewers. */
  get ownSsrc(): number {
    return this.#reports.ssrc;
  }

  /** Between us and the source, milliseconds; undefined: it does not tell. */
  get roundTripMs(): number | undefined {
    return this.#reports.roundTripMs;
  }

  #report(ssrc: number | undefined): SourceReports {
    const { upstream, stream, media } = this;
    return new SourceReports(this.#context, upstream, this.#source, stream, {
      ssrc,
      measures: media.answersReferenceTime,
    });
  }

  /** Where it comes from. */
  get source(): Source {
    return this.#source;
  }

  /** It comes within the RTSP connection. */
  get interleaved(): boolean {
    return this.#feeder !== undefined;
  }

  /**
   * Another source, or the same one anew, in the place of the former: viewers stay. Rejects as openTrack does; nothing
   * comes then until it is renewed again. `fromPicture`: StreamHandle.retarget.
   */
  async renew(arrive: Arrive, options?: { readonly fromPicture: boolean }): Promise<void> {
    const arrival = await arrive(this.#context);
    if (this.#closed) {
      arrival.upstream.close();
      arrival.feeder?.close();
      throw new Refusal(503, 'nobody watches any more');
    }
    const former = [this.upstream, this.#feeder];
    const { upstream, source, localAddress, feeder } = arrival;
    this.#reports.close();
    this.upstream = upstream;
    this.#source = source;
    this.#localAddress = localAddress;
    this.#feeder = feeder;
    const { clockRate, encoding } = this.media;
    const { downstream, stream } = this;
    this.#reports = this.#report(this.#reports.ssrc);
    for (const pair of former) pair?.close();
    try {
      const spec = { name: this.#name, source, localAddress, upstream, downstream, clockRate, encoding };
      stream.retarget(spec, options);
    } catch (error) {
      throw new Refusal(503, `the datapath refused the source: ${(error as Error).message}`);
    }
    this.#renewedNs = this.#context.clock.monotonicNs();
  }

  /** Undefined: not known before its first packet, which goes on from what viewers have seen. */
  get offsets(): Offsets | undefined {
    if (this.#renewedNs === undefined) return AS_IT_COMES;
    const received = this.stream.reception();
    return received && received.arrivalNs > this.#renewedNs ? received.sent : undefined;
  }

  /** For the next process. */
  get record(): TrackRecord {
    return {
      control: this.media.control,
      upstream: this.upstream.rtpPort,
      downstream: this.downstream.rtpPort,
      localAddress: this.#localAddress,
      source: this.#source,
      started: this.#started,
      reportSsrc: this.ownSsrc,
    };
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

  /** Since when nothing of it has come, as of the last call of heard(). */
  quietMs(now: number): number {
    return now - this.#mediaMs;
  }

  /** In the source's name, to who gets copies; unless the source has said it itself. */
  sayGoodbye(): void {
    const { ssrc } = this;
    if (this.#reports.byeAtMs !== undefined || ssrc === undefined) return;
    const goodbye = buildGoodbye(ssrc, this.#context.cname);
    const served = [...this.viewers].filter(({ servedBy }) => servedBy !== undefined);
    for (const viewer of served) viewer.sendRtcp(goodbye);
    for (const group of new Set(served.flatMap(({ group }) => group ?? []))) group.tell(goodbye);
  }

  /** No more copies, no more reports. The ports stay ours until close(): the source may still be sending. */
  stop(): void {
    this.#reports.close();
    this.layers.close();
    this.stream.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.stop();
    this.downstream.close();
    this.upstream.close();
    this.#feeder?.close();
  }
}

interface StreamParts {
  readonly name: string;
  readonly feeder?: UdpPair | undefined;
  readonly source: Source;
  readonly localAddress: string;
  readonly stream: StreamHandle;
  readonly reportSsrc?: number;
}

/**
 * Rejects with a Refusal: the source's own, 502 for an answer that cannot be used, 503 for no ports or no room. `shared`:
 * where viewers are to be served from; it is closed with the track, or when this rejects.
 */
export async function openTrack(
  context: Context,
  parts: TrackParts,
  wanted: SourceParts,
  shared?: SharedPair,
): Promise<Track> {
  const offered = await bindPair(context).catch((error: Error) => {
    shared?.close();
    throw error;
  });
  const downstream =
    shared ??
    (await bindPair(context).catch((error: Error) => {
      offered.close(); // both before the source is asked: without ports there is nothing to ask for
      throw error;
    }));
  const arrival = await arrangeSource(context, wanted, offered).catch((error: Error) => {
    downstream.close();
    throw error;
  });
  return openArrived(context, parts, arrival, downstream);
}

/** Takes the pairs over. Rejects with Refusal 503. */
export async function openArrived(
  context: Context,
  parts: TrackParts,
  arrival: Arrival,
  downstream: UdpPair,
): Promise<Track> {
  const { upstream, feeder, source, localAddress } = arrival;
  const pairs = { upstream, downstream };
  const { name, media } = parts;
  try {
    const stream = await openStream(context, parts, pairs, arrival);
    return new Track(context, media, pairs, { name, source, localAddress, stream, feeder });
  } catch (error) {
    feeder?.close();
    upstream.close();
    downstream.close();
    throw error;
  }
}

/** A track that a former process has opened. Rejects with a Refusal when its ports are gone, or the datapath refuses. */
export async function restoreTrack(context: Context, parts: TrackParts, record: TrackRecord): Promise<Track> {
  const { localAddress, started, reportSsrc } = record;
  const source: Source = { ...record.source, ssrc: record.source.ssrc };
  const former = await context.former.udpPair(record.upstream);
  const upstream = former && source.rtcpMux ? muxedPair(former) : former;
  const downstream = await context.former.udpPair(record.downstream);
  try {
    if (!upstream || !downstream) throw new Refusal(503, 'its UDP ports are gone');
    const pairs = { upstream, downstream };
    const stream = await openStream(context, parts, pairs, { source, localAddress });
    const track = new Track(context, parts.media, pairs, {
      name: parts.name,
      source,
      localAddress,
      stream,
      reportSsrc,
    });
    if (started) track.begin();
    return track;
  } catch (error) {
    downstream?.close();
    upstream?.close();
    throw error;
  }
}

function openStream(
  { datapath }: Context,
  { media, name }: TrackParts,
  pairs: Pairs,
  { source, localAddress }: { readonly source: Source; readonly localAddress: string },
): Promise<StreamHandle> {
  const { clockRate, encoding } = media;
  return datapath
    .open({ name, source, localAddress, ...pairs, clockRate, encoding })
    .catch((error: Error) => {
      throw new Refusal(503, `the datapath refused the stream: ${error.message}`);
    });
}
