// SPDX-License-Identifier: Apache-2.0
// One m= section that is set up upstream: its two UDP pairs, its stream in the datapath, its viewers. Opening builds
// aside and undoes on error: pairs, SETUP, datapath; closing goes the other way round.

import { RtspError } from '../rtsp/errors.js';
import type { RtspResponse } from '../rtsp/message.js';
import { formatTransport, parseTransport, type Transport } from '../rtsp/transport.js';
import { isIPv4 } from 'node:net';
import { nowMs, type Context } from './context.js';
import type { MediaDescription } from './description.js';
import type { Endpoint, StreamHandle, UdpPair } from './ports.js';
import { Refusal } from './refusal.js';
import { receiveViewerRtcp } from './report.js';
import { SourceReports } from './source-reports.js';
import type { ViewerTrack } from './viewer-track.js';

export interface TrackParts {
  readonly media: MediaDescription;
  /** For people: resource path and media. */
  readonly name: string;
  /** Asks the source: SETUP of the track with that Transport. Resolves with a 200. */
  readonly setUp: (transport: string) => Promise<RtspResponse>;
  /** Our and the source's end of the RTSP connection, as soon as SETUP has been answered. */
  readonly ends: () => { readonly local: Endpoint; readonly remote: Endpoint };
}

export class Track {
  readonly media: MediaDescription;
  readonly upstream: UdpPair;
  readonly downstream: UdpPair;
  readonly stream: StreamHandle;
  readonly viewers = new Set<ViewerTrack>();
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

interface Pairs {
  readonly upstream: UdpPair;
  readonly downstream: UdpPair;
}

interface Source {
  readonly address: string;
  readonly rtpPort: number;
  readonly rtcpPort: number;
  readonly ssrc: number | undefined;
}

/** Rejects with a Refusal: the source's own, 502 for an answer that cannot be used, 503 for no ports or no room. */
export async function openTrack(context: Context, parts: TrackParts): Promise<Track> {
  const pairs = await bindPairs(context);
  try {
    const { rtpPort, rtcpPort } = pairs.upstream;
    const clientPort = { low: rtpPort, high: rtcpPort };
    const answer = await parts.setUp(
      formatTransport({ profile: 'RTP/AVP', lower: 'UDP', delivery: 'unicast', clientPort }),
    );
    const { local, remote } = parts.ends();
    const source = readSource(answer, remote);
    const stream = await context.datapath
      .open({
        name: parts.name,
        localAddress: local.address,
        source,
        ...pairs,
        clockRate: parts.media.clockRate,
        encoding: parts.media.encoding,
      })
      .catch((error: Error) => {
        throw new Refusal(503, `the datapath refused the stream: ${error.message}`);
      });
    return new Track(context, parts, pairs, source, stream);
  } catch (error) {
    pairs.downstream.close();
    pairs.upstream.close();
    throw error;
  }
}

async function bindPairs({ bindUdpPair }: Context): Promise<Pairs> {
  const noPorts = (error: Error): never => {
    throw new Refusal(503, `no UDP ports: ${error.message}`);
  };
  const upstream = await bindUdpPair().catch(noPorts);
  try {
    return { upstream, downstream: await bindUdpPair() };
  } catch (error) {
    upstream.close();
    return noPorts(error as Error);
  }
}

/** Where the source sends from (RFC 2326 12.39). `source=` counts only as an address; 0.0.0.0 tells nothing. */
function readSource(answer: RtspResponse, remote: Endpoint): Source {
  const transport = readTransport(answer);
  const { lower, delivery, interleaved, source, serverPort, ssrc } = transport;
  if (lower !== 'UDP' || delivery === 'multicast' || interleaved)
    throw new Refusal(502, 'the source chose another transport than the one it was offered');
  const named = source !== undefined && isIPv4(source) && source !== '0.0.0.0';
  const rtpPort = serverPort?.low ?? 0;
  const rtcpPort = serverPort?.high ?? (rtpPort === 0 || rtpPort === 65_535 ? 0 : rtpPort + 1);
  return { address: named ? source : remote.address, rtpPort, rtcpPort, ssrc };
}

function readTransport(answer: RtspResponse): Transport {
  try {
    return parseTransport(answer.headers.get('Transport') ?? '')[0]!;
  } catch (error) {
    if (error instanceof RtspError) throw new Refusal(502, `the source's Transport: ${error.message}`);
    throw error;
  }
}
