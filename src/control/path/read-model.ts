// SPDX-License-Identifier: Apache-2.0
// What is going on, as the rows of api/types.ts: read when asked for, nothing is kept for it.

import type {
  ClientExtendedRow,
  ClientLayersRow,
  ClientLossRow,
  ClientRow,
  ClientTrackRow,
  ClientVoiceRow,
  PathRow,
  ReportRow,
  StatusRow,
  StreamRow,
  StreamTrackRow,
} from '../api/types.js';
import { entryName, rootRoute } from '../config/path-table.js';
import type { VoiceMetrics } from '../rtcp/extended.js';
import { PUBLISH } from '../config/source-template.js';
import { formatRtspUrl, withoutCredentials } from '../rtsp/url.js';
import { isoTime, type Context } from './context.js';
import type { Watched } from './watched.js';
import type { Reception } from './ports.js';
import type { Publication } from './publication.js';
import type { Session } from './session.js';
import type { Track } from './track.js';
import type { ViewerTrack } from './viewer-track.js';

export function clientRow(session: Session): ClientRow {
  const { number: id, address, port, since, id: rtspId } = session;
  const waiting =
    session.state === 'playing' && [...session.tracks.values()].some(({ heldBack }) => heldBack);
  const state = waiting ? 'waiting' : session.state;
  const tracks = [...session.tracks.values()].map(clientTrackRow);
  return {
    ...{ id, role: 'viewer', address, port, stream: session.resource.path, state, since, session: rtspId },
    subflows: session.subflows ?? null,
    tracks,
  };
}

/** As a viewer's, with what has come from it instead of what was sent. */
export function publisherRow(context: Context, publication: Publication): ClientRow {
  const { number: id, link, path: stream, state, since, id: session, recorded } = publication;
  const { address, port } = link.remote;
  const tracks = [...(recorded?.tracks.values() ?? [])].map((track) => publisherTrackRow(context, track));
  const { subflows = null } = link;
  return { ...{ id, role: 'publisher', address, port, stream, state, since, session }, subflows, tracks };
}

function publisherTrackRow(context: Context, track: Track): ClientTrackRow {
  const { packets, bytes } = track.stream.counters();
  const { source, media } = track;
  const [rtpPort, rtcpPort] = source.channels ?? [source.rtpPort, source.rtcpPort];
  return {
    media: media.media,
    transport: source.channels ? 'tcp' : 'udp',
    ...{ rtpPort, rtcpPort, group: null, servedBy: null, packets, bytes, drops: 0, queue: null },
    loss: receivedLoss(context, track),
    extended: null,
    layers: null,
  };
}

/** What we would report to the publisher, from its first packet on. */
function receivedLoss({ clock }: Context, { stream, media }: Track): ClientLossRow | null {
  const reception = stream.reception();
  if (!reception) return null;
  const { received, jitter } = reception;
  const cumulative = lostOf(reception);
  return {
    fraction: Math.max(0, cumulative) / Math.max(1, received + cumulative),
    cumulative,
    jitterMs: inMs(jitter, media.clockRate),
    roundTripMs: null,
    at: isoTime(clock.wallMs()),
  };
}

/** RFC 3550 A.3; modulo 2^32, since both numbers wrap. */
function lostOf({ extendedMaxSeq, baseSeq, received }: Reception): number {
  return (extendedMaxSeq - baseSeq + 1 - received) | 0;
}

function clientTrackRow(viewer: ViewerTrack): ClientTrackRow {
  const { packets, bytes, drops, pictures = 0 } = viewer.counters;
  const { group, link } = viewer;
  const [rtpPort, rtcpPort] = viewer.ports;
  const servedBy = viewer.servedBy ?? null;
  return {
    media: viewer.track.media.media,
    transport: link ? 'tcp' : group ? 'multicast' : 'udp',
    rtpPort,
    rtcpPort,
    group: group?.address ?? null,
    servedBy,
    packets,
    bytes,
    drops,
    queue: link ? { bytes: link.queued, picturesDropped: pictures } : null,
    loss: lossRow(viewer),
    extended: extendedRow(viewer),
    layers: layersRow(viewer),
  };
}

function layersRow({ track, layers, counters }: ViewerTrack): ClientLayersRow | null {
  if (!track.layers.seen) return null;
  const { policy, allowance, wanted, bandwidth, changes } = layers;
  return {
    ...{ policy, allowance, wanted, changes },
    bandwidth: bandwidth === undefined ? null : Math.round(8 * bandwidth),
    thinned: counters.thinned ?? 0,
  };
}

export function reportRows({ resource, tracks }: Session): ReportRow[] {
  return [...tracks.values()].flatMap((viewer) => {
    const row = lossRow(viewer);
    if (!row) return [];
    const { fraction, jitterMs, roundTripMs } = row;
    return { stream: resource.path, media: viewer.track.media.media, fraction, jitterMs, roundTripMs };
  });
}

function lossRow({ loss, track, extended }: ViewerTrack): ClientLossRow | null {
  if (!loss) return null;
  return {
    fraction: loss.fraction / 256,
    cumulative: loss.cumulative,
    jitterMs: inMs(loss.jitter, track.media.clockRate),
    roundTripMs: loss.roundTripMs ?? extended?.roundTripMs ?? null,
    at: isoTime(loss.atMs),
  };
}

function extendedRow({ extended, track }: ViewerTrack): ClientExtendedRow | null {
  if (!extended) return null;
  const { roundTripMs = null, statistics, voice } = extended;
  const ms = (units: number) => inMs(units, track.media.clockRate);
  const jitter = statistics?.jitter;
  return {
    roundTripMs,
    lost: statistics?.lost ?? null,
    duplicates: statistics?.duplicates ?? null,
    jitterMs: jitter
      ? { min: ms(jitter.min), max: ms(jitter.max), mean: ms(jitter.mean), deviation: ms(jitter.deviation) }
      : null,
    voice: voice ? voiceRow(voice) : null,
  };
}

function voiceRow(voice: VoiceMetrics): ClientVoiceRow {
  const { lossRate, discardRate, roundTripMs, endSystemDelayMs, rFactor } = voice;
  const { mosListening, mosConversational } = voice;
  return { lossRate, discardRate, roundTripMs, endSystemDelayMs, rFactor, mosListening, mosConversational };
}

export function streamRow(resource: Watched, open: boolean): StreamRow {
  const { path, state, address: upstream, since, recording } = resource;
  const tracks = [...resource.tracks.values()].map(streamTrackRow);
  const publisher = resource.publisher?.number ?? null;
  const viewers = resource.sessions.size;
  const { own = false, position } = recording ?? {};
  const at = state === 'playing' ? (position ?? null) : null;
  const { subflows = null } = resource;
  const from = { path, state, upstream, publisher, subflows };
  return { ...from, viewers, own, open, position: at, since, tracks };
}

export function pathRows({ paths, troubles, sent }: Context, resources: Iterable<Watched>): PathRow[] {
  const byName = new Map<string, Watched[]>();
  for (const resource of resources) {
    const name = entryName(paths.table, resource.route);
    byName.set(name, [...(byName.get(name) ?? []), resource]);
  }
  const root = rootRoute(paths.table);
  return paths.table.paths.map(({ name, source, maxViewers = null, ownSessions: mostOwn, stagger }) => {
    const open = byName.get(name) ?? [];
    const viewers = open.reduce((sum, { sessions }) => sum + sessions.size, 0);
    const url = source === PUBLISH ? source : formatRtspUrl(withoutCredentials(source.url));
    const from = root && name === '' ? formatRtspUrl(root.url) : url;
    const own = open.filter(({ recording }) => recording?.own).length;
    const rules = { mostOwn, staggerMs: stagger || null, maxViewers };
    const trouble = troubles.of(name) ?? null;
    const streams = open.length;
    const { packets, bytes, drops } = sent.of(name, open);
    return {
      ...{ name, path: `/${name}`, source: from, trouble, streams, viewers, packets, bytes, drops, own },
      ...rules,
    };
  });
}

function streamTrackRow(track: Track): StreamTrackRow {
  const { media, stream, ssrc, upstream, downstream } = track;
  const { packets, bytes } = stream.counters();
  const reception = stream.reception();
  const { notion, averages } = stream.layers();
  return {
    media: media.media,
    payloadType: media.payloadType ?? null,
    clockRate: media.clockRate || null,
    ssrc: ssrc === undefined ? null : ssrc.toString(16).padStart(8, '0'),
    packets,
    bytes,
    lost: reception ? lostOf(reception) : null,
    jitterMs: reception ? inMs(reception.jitter, media.clockRate) : null,
    roundTripMs: track.roundTripMs ?? null,
    upstreamPort: upstream.rtpPort,
    downstreamPort: downstream.rtpPort,
    layers: notion === undefined ? null : { notion, rates: averages.map((rate) => Math.round(8 * rate)) },
  };
}

function inMs(timestampUnits: number, clockRate: number): number | null {
  return clockRate === 0 ? null : (timestampUnits / clockRate) * 1000;
}

/** The part of the status that does not come from the listener. */
export function statusRow(
  context: Context,
): Pick<StatusRow, 'engine' | 'why' | 'viewers' | 'drops' | 'refused' | 'facts'> {
  const { datapath, sessions, refused } = context;
  return {
    engine: datapath.engine,
    why: datapath.why,
    viewers: sessions.size,
    drops: Object.fromEntries(datapath.drops().map(({ reason, count }) => [reason, count])),
    refused: refused.toObject(),
    facts: datapath.facts(),
  };
}
