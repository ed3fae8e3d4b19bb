// SPDX-License-Identifier: Apache-2.0
// What the API and proxyctl show: plain JSON-able rows. Produced by path/read-model.ts; nothing here has behaviour.
// Packets and bytes are RTP packets and their UDP payload; times called `since` are ISO 8601, UTC.

/** One session of one viewer, or what a publisher publishes. */
export interface ClientRow {
  /** What `kick` takes: 1, 2, 3 … in order of arrival, never reused while the process lives. */
  readonly id: number;
  readonly role: 'viewer' | 'publisher';
  /** The viewer's address and the TCP port of the RTSP connection that opened the session. */
  readonly address: string;
  readonly port: number;
  /** Path (and query) of the stream, as in `StreamRow.path`. */
  readonly stream: string;
  /** `ready`: set up, never played; `waiting`: plays, but a track is held back until a picture begins; `paused`: has played.
   * Of a publisher: `announced`, `ready`, `publishing`, `paused`. */
  readonly state: 'announced' | 'ready' | 'waiting' | 'playing' | 'publishing' | 'paused';
  /** When the session was opened. */
  readonly since: string;
  /** Our RTSP session identifier, as the viewer knows it. */
  readonly session: string;
  /** Paths of its connection at the moment, where that is multipath TCP; null: it is not. */
  readonly subflows: number | null;
  readonly tracks: readonly ClientTrackRow[];
}

/** One m= section that this viewer has set up. */
export interface ClientTrackRow {
  /** `video`, `audio`, `application` … (the m= line's first word). */
  readonly media: string;
  /** `tcp`: interleaved with the answers on its RTSP connection. */
  readonly transport: 'udp' | 'tcp' | 'multicast';
  /** The viewer's UDP ports, or its group's, or its channels. */
  readonly rtpPort: number;
  readonly rtcpPort: number;
  /** The multicast group that it gets its copies by, with all others there; null: it has copies of its own. */
  readonly group: string | null;
  /** Who makes its copies; null while nothing is sent (ready, paused). */
  readonly servedBy: 'kernel' | 'userspace' | null;
  /** Sent since the session's first PLAY, pauses included; of a publisher's track: received. */
  readonly packets: number;
  readonly bytes: number;
  /** Copies that were not sent. */
  readonly drops: number;
  /** Of an interleaved track; null: it is none. */
  readonly queue: ClientQueueRow | null;
  /** What its last receiver report said; null until there is one. Of a publisher's track: what we have seen since it began. */
  readonly loss: ClientLossRow | null;
  /** What its extended reports (RFC 3611) said last; null: it sends none. */
  readonly extended: ClientExtendedRow | null;
  /** How much of a layered stream it gets; null: no layers have been seen in the stream. */
  readonly layers: ClientLayersRow | null;
}

export interface ClientExtendedRow {
  /** Between us and the viewer, milliseconds; null: it does not answer our reference time. */
  readonly roundTripMs: number | null;
  /** Of the statistics summary (4.6), about the packets since the one before; null: not in it. */
  readonly lost: number | null;
  readonly duplicates: number | null;
  readonly jitterMs: ClientJitterRow | null;
  /** VoIP metrics (4.7). */
  readonly voice: ClientVoiceRow | null;
}

/** Milliseconds; null when the SDP does not tell the clock rate. */
export interface ClientJitterRow {
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  readonly deviation: number | null;
}

/** As the viewer has measured them; null: it has not. */
export interface ClientVoiceRow {
  /** Shares of all packets, 0 to 1: lost on the way, and come too late or too early to be played. */
  readonly lossRate: number;
  readonly discardRate: number;
  readonly roundTripMs: number;
  readonly endSystemDelayMs: number;
  /** 0 to 100. */
  readonly rFactor: number | null;
  /** Mean opinion scores, 1 to 5: listening, and conversation. */
  readonly mosListening: number | null;
  readonly mosConversational: number | null;
}

export interface ClientQueueRow {
  /** What waits for room in the connection, of all its tracks. */
  readonly bytes: number;
  /** Pictures that were left out because the viewer was too slow; their packets are among `drops`. */
  readonly picturesDropped: number;
}

export interface ClientLossRow {
  /** Lost of what was expected between the last two reports, 0 to 1. */
  readonly fraction: number;
  /** Lost since the viewer began, signed: duplicates make it negative (RFC 3550 6.4.1). */
  readonly cumulative: number;
  /** Interarrival jitter, milliseconds; null when the SDP does not tell the clock rate. */
  readonly jitterMs: number | null;
  /** Round trip between us and the viewer, milliseconds; null until a report answers a sender report. */
  readonly roundTripMs: number | null;
  /** When that report came. */
  readonly at: string;
}

export interface ClientLayersRow {
  readonly policy: 'aimd' | 'thesis' | 'off';
  /** Highest layer that it is sent, 0 to 7; 7 is all there is. */
  readonly allowance: number;
  /** Highest that its policy would let it have; higher than `allowance` while our own interface or its connection is full. */
  readonly wanted: number;
  /** What its policy takes its way to carry, bits per second of RTP; null until a report has come. */
  readonly bandwidth: number | null;
  /** How often the allowance has changed. */
  readonly changes: number;
  /** Packets that were left out on purpose. */
  readonly thinned: number;
}

/** One resource of the source: one upstream connection and at most one upstream session. */
export interface StreamRow {
  /** Path (and query) as viewers ask for it. */
  readonly path: string;
  /** `connecting`: no session upstream yet; `ready`: set up; `ending`: TEARDOWN is under way. */
  readonly state: 'connecting' | 'ready' | 'playing' | 'reconnecting' | 'ending';
  /** `address:port` of the source's RTSP connection, or its host name until it is connected. */
  readonly upstream: string;
  /** The publisher that it comes from, by its `ClientRow.id`; null: there is none, or its source is asked for it. */
  readonly publisher: number | null;
  /** Paths of that connection at the moment, where it is multipath TCP; null: it is not. */
  readonly subflows: number | null;
  /** Sessions of viewers, playing or not. */
  readonly viewers: number;
  /** One viewer's, because it has paused or sought: others of the path have another. */
  readonly own: boolean;
  /** Newcomers join it. Not those that are one viewer's, earlier starts of a recording, and what has ended. */
  readonly open: boolean;
  /** Where in a recording it is, seconds of normal play time; null: it does not play, is live, or it cannot be told. */
  readonly position: number | null;
  readonly since: string;
  readonly tracks: readonly StreamTrackRow[];
}

/** One m= section that is set up upstream. */
export interface StreamTrackRow {
  readonly media: string;
  readonly payloadType: number | null;
  /** RTP timestamp units per second; null when the SDP does not tell. */
  readonly clockRate: number | null;
  /** 8 hexadecimal digits; null until it is known. */
  readonly ssrc: string | null;
  /** Received from the source. */
  readonly packets: number;
  readonly bytes: number;
  /** Expected minus received (RFC 3550 A.3), signed; null until the first packet. */
  readonly lost: number | null;
  /** Interarrival jitter on the way from the source, milliseconds; null when it cannot be told. */
  readonly jitterMs: number | null;
  /** Between us and the source, milliseconds; null: it does not answer reference times (RFC 3611, `a=rtcp-xr:rcvr-rtt`). */
  readonly roundTripMs: number | null;
  /** Our RTP ports (RTCP is one above): where the source sends to, and where viewers are served from. */
  readonly upstreamPort: number;
  readonly downstreamPort: number;
  /** null: no packet has told its layer. */
  readonly layers: StreamLayersRow | null;
}

export interface StreamLayersRow {
  /** What the number of a layer is. */
  readonly notion: 'dependency' | 'temporal' | 'spatial';
  /** Of layers 0 to 7, each without those below it, bits per second of RTP, averaged over about three seconds. */
  readonly rates: readonly number[];
}

/** One path or pattern of the configuration. */
export interface PathRow {
  /** As the file names it; `*` is everything else, and an empty one our root, where the command line named a source's URL. */
  readonly name: string;
  /** The same with a slash in front. `StreamRow.path` without its query, but for patterns, and a root that stands for another path. */
  readonly path: string;
  /** With its variables, without credentials; or `publish`. Of our root: what it stands for. */
  readonly source: string;
  /** Why its source could not be had when it was asked last, one sentence; null: it could, or nobody has asked for ten minutes. */
  readonly trouble: string | null;
  /** Streams that are open by it; a pattern may have several. What our root stands for counts there, and not by its pattern. */
  readonly streams: number;
  /** Sessions of viewers of those, playing or not. */
  readonly viewers: number;
  /** Sent to viewers since the proxy started, those included who have left; and copies that were not sent. Who is served by
   * multicast counts as if it had copies of its own. */
  readonly packets: number;
  readonly bytes: number;
  readonly drops: number;
  /** Those of its streams that are one viewer's, because it has paused or sought in a recording, and how many may be. */
  readonly own: number;
  readonly mostOwn: number;
  /** A recording is started anew for who comes so long after its newest start, milliseconds; null: it is not. */
  readonly staggerMs: number | null;
  /** How many viewers each of the names that it stands for may have; null: no limit. */
  readonly maxViewers: number | null;
}

export interface StatusRow {
  readonly engine: 'userspace' | 'tc' | 'xdp';
  /** One sentence: why this engine and not another. */
  readonly why: string;
  /** `address:port` we listen on, and the source's URL, without credentials, or the file of `--config`, as the command line gave it. */
  readonly listen: string;
  readonly source: string;
  readonly uptimeMs: number;
  /** RTSP connections of viewers that are open. */
  readonly connections: number;
  /** Sessions of viewers, playing or not. */
  readonly viewers: number;
  readonly streams: number;
  /** Packets and copies that the datapath dropped, by reason. Reasons with zero are there too. */
  readonly drops: Readonly<Record<string, number>>;
  /** What the control plane refused, by reason: connections, requests, RTCP packets. Only what has happened. */
  readonly refused: Readonly<Record<string, number>>;
  /** Engine-specific facts, e.g. tickets out, devices attached. */
  readonly facts: Readonly<Record<string, string | number>>;
}

/** The last receiver report of a viewer about one track. */
export interface ReportRow extends Pick<ClientLossRow, 'fraction' | 'jitterMs' | 'roundTripMs'> {
  /** As `ClientRow.stream` and `ClientTrackRow.media`. */
  readonly stream: string;
  readonly media: string;
}

/** What the API asks the proxy for. */
export interface ProxyView {
  clients(): ClientRow[];
  /** Of all viewers who have sent any: a part of `clients`, for less. */
  reports(): ReportRow[];
  streams(): StreamRow[];
  paths(): PathRow[];
  status(): StatusRow;
  /** Ends that viewer's session as if it had vanished: it gets an RTCP BYE, its connection is closed; a publisher's just so.
   * False: no such id. */
  kick(id: number): boolean;
  /** Ends every session and every upstream session. Answers how many viewers that were. */
  flush(): number;
}
