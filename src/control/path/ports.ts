// SPDX-License-Identifier: Apache-2.0
// What the stories in this folder need from the outside, as interfaces. net/ and kernel/ implement them; main.ts
// plugs them together; unit tests plug in fakes. Nothing here knows a socket, a map or a file.

import type { InterleavedFrame, RtspRequest, RtspResponse } from '../rtsp/message.js';
import type { Deadlines } from '../state/deadlines.js';
import type { Limits } from '../state/limits.js';
import type { Tally } from '../state/tally.js';
import type { AskHook } from './hook-port.js';
import type { ConnectSource, SourceEvents, SourceLink } from './source-port.js';

/** An IP address in its one spelling (state/address.ts; never a host name) and a UDP port, host order. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Milliseconds of a monotonic clock, and wall-clock time for what people read. Injected, so that tests own time. */
export interface Clock {
  /** CLOCK_MONOTONIC, nanoseconds: the same clock as the kernel programs' bpf_ktime_get_ns. */
  monotonicNs(): bigint;
  /** Wall clock, milliseconds since 1970. */
  wallMs(): number;
}

export interface Timers {
  /** Calls `run` again and again until the returned function is called. */
  every(ms: number, run: () => void): () => void;
}

/** That many cryptographically random bytes. */
export type Random = (bytes: number) => Buffer;

/** What is used of pino. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Where a viewer's packets go that are interleaved with its RTSP answers (RFC 2326 10.12). */
export interface FrameSink {
  /** Whole `$` frames. The buffer is shared with other viewers: it is not copied, and nobody may change it any more. */
  send(frames: Buffer): void;
  /** Bytes that wait for room in the connection. */
  readonly queued: number;
}

/** A viewer's RTSP connection as the stories see it. */
export interface ViewerLink extends FrameSink {
  readonly remote: Endpoint;
  /** Our address as this viewer knows it. */
  readonly local: Endpoint;
  /** Encrypted: nobody on the way reads it. */
  readonly secure: boolean;
  /** Closes it at once; an answer that is being written still goes out. */
  close(): void;
  /**
   * Sees to it that the connection outlives this process, if anybody holds it. Returns its name for the next one.
   * Undefined as well: TLS or a tunnel, which end with the process.
   */
  hold(): string | undefined;
  /** Paths of its connection, where that is MPTCP. */
  readonly subflows?: number | undefined;
  /** Bytes that the system has taken for the viewer: while they grow, somebody reads. */
  readonly taken: number;
}

/** Who answers viewers: story 1. */
export interface ViewerRequests {
  /** Called for one request of a link at a time. Never rejects. */
  answer(link: ViewerLink, request: RtspRequest): Promise<RtspResponse>;
  /** A `$` frame came: RTCP of an interleaved viewer, or nothing that was asked for. */
  frame(link: ViewerLink, frame: InterleavedFrame): void;
  /** The link is gone, from whichever side. Called once. */
  closed(link: ViewerLink): void;
  /** Whether a session depends on the link: if so it is not closed for being idle. */
  holds(link: ViewerLink): boolean;
}

export interface ListenerOptions {
  readonly requests: ViewerRequests;
  readonly deadlines: Deadlines;
  readonly limits: Limits;
  readonly refused: Tally;
  readonly log: Log;
}

export interface Listener {
  readonly address: Endpoint;
  /** Where TLS is spoken. */
  readonly tlsAddress: Endpoint | undefined;
  /** Connections that are open. */
  readonly connections: number;
  /** Accepts no more, closes what is open. */
  close(): Promise<void>;
  /** A connection that a former process of ours has held. Undefined: it is gone. */
  restore(name: string): ViewerLink | undefined;
  /** Takes no further request; resolves when those under way have been answered. */
  quiesce(): Promise<void>;
  /** Reads certificate and key again, for connections from now on. @throws Error, one sentence: they stay as they were */
  reloadTls(): void;
}

/** Where viewers connect to; without a host at all addresses, of both families. */
export interface ListenAt {
  readonly host: string | undefined;
  readonly port: number;
  /** MPTCP, for those who speak it. */
  readonly mptcp?: boolean;
  /** Where they connect to with TLS as well. */
  readonly tls?: { readonly at: ListenAt; readonly files: TlsFiles } | undefined;
}

/** Names of PEM files: the certificate, with those that lead to a known authority behind it, and its private key. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Rejects when the address cannot be had (in use, not ours, not allowed): one sentence for the command line. */
export type OpenListener = (at: ListenAt, options: ListenerOptions) => Promise<Listener>;

export type { ConnectSource, SourceAddress, SourceEvents, SourceLink, SourceTrust } from './source-port.js';

/** Binds a pair; rejects when no adjacent ports are left. With `sender` it sends to that group and hears reports to it. */
export type BindUdpPair = (sender?: MulticastSender) => Promise<UdpPair>;

/** A device of this host, by which multicast (IPv4) goes or comes. */
export interface Device {
  readonly name: string;
  /** Its IPv4 address that others there know us by. */
  readonly address: string;
}

/** We send to the group: RTCP sent to it, to the pair's own RTCP port, is heard as well. */
export interface MulticastSender {
  readonly group: string;
  readonly device: Device;
  /** Routers that a packet may pass, and one more: 1 stays on the link. */
  readonly ttl: number;
}

/** Somebody else sends to the group: only what comes from `source` is heard. */
export interface MulticastReceiver {
  readonly group: string;
  readonly rtpPort: number;
  readonly rtcpPort: number;
  readonly source: string;
  /** Our address on the device where the source is. */
  readonly localAddress: string;
  /** Of reports that we send to the group. */
  readonly ttl: number;
}

/** Binds the group's ports and joins it; rejects with what the system says. close() leaves it. */
export type JoinGroup = (receiver: MulticastReceiver) => Promise<UdpPair>;

/**
 * The device by which multicast is to leave for a viewer: the one that is wanted, by name or address, else the one that
 * leads to the viewer. Undefined: there is none with an IPv4 address, or the viewer is on this host.
 */
export type DeviceFor = (viewer: string, wanted: string | undefined) => Promise<Device | undefined>;

/** Two adjacent UDP ports of ours, RTP even and RTCP odd (RFC 3550 11), bound to all local addresses; or one for both (RFC 5761). */
export interface UdpPair {
  readonly rtpPort: number;
  readonly rtcpPort: number;
  /** Adds a handler: the user-space engine and the stories listen to the same pair. Nothing is called after close(). */
  onRtp(handler: (packet: Buffer, from: Endpoint) => void): void;
  onRtcp(handler: (packet: Buffer, from: Endpoint) => void): void;
  /** Fire and forget; a send error (ICMP, ENOBUFS) is reported to `onSendError`, never thrown. */
  sendRtp(packet: Buffer, to: Endpoint): void;
  sendRtcp(packet: Buffer, to: Endpoint): void;
  close(): void;
}

/** A stream (one m= section) as the datapath must know it. */
export interface StreamSpec {
  /** For people: resource path and media, e.g. `/camera video`. */
  readonly name: string;
  /** Where the source sends to: our address as the source knows it, or a multicast group. RTP and RTCP ports are those of `upstream`. */
  readonly localAddress: string;
  /** The only address that counts as the source, and its ports; 0: any port of it. */
  readonly source: { readonly address: string; readonly rtpPort: number; readonly rtcpPort: number };
  /** Receives from the source. */
  readonly upstream: UdpPair;
  /** Viewers are served from these ports, and report to them. */
  readonly downstream: UdpPair;
  /** RTP timestamp units per second (a=rtpmap); 0 when the SDP does not tell. */
  readonly clockRate: number;
  /** What is sent, by its name in a=rtpmap (`H264`), and its payload type: where the datapath knows how to tell the
   * beginning of a picture, a viewer begins with one. `descriptorId`: of AV1's dependency descriptors, which tell layers,
   * among the RTP header extensions. */
  readonly encoding?:
    | { readonly name: string; readonly payloadType: number; readonly descriptorId?: number | undefined }
    | undefined;
}

/** A viewer of one stream, or all of a multicast group at once, as the datapath must know it. */
export interface ViewerSpec {
  /** Our own number for it, unique for the life of the process, 1 to 2^32-1. */
  readonly id: number;
  /** Our address as this viewer knows it: the source address of its copies. */
  readonly localAddress: string;
  /** The viewer's address: always that of its RTSP connection. Or the group's, which some viewer has asked for. */
  readonly address: string;
  /** The same twice: RTP and RTCP go to one port, from the stream's port for RTP (RFC 5761). */
  readonly rtpPort: number;
  readonly rtcpPort: number;
  /** `address` is a group: packets leave by this device, with this time to live, from these ports instead of the stream's. */
  readonly multicast?: { readonly device: Device; readonly ttl: number; readonly pair: UdpPair } | undefined;
  /** A former process has served it already: it goes on in the middle of a picture. */
  readonly goesOn?: boolean;
  /** When it is thinned its sequence numbers are closed up and ends of pictures marked; false: neither. */
  readonly rewrite?: boolean;
  /** It is served on its RTSP connection; its ports are channels, 0 to 255. */
  readonly interleaved?: Interleaved | undefined;
}

export interface Interleaved {
  readonly sink: FrameSink;
  /** With more than this waiting no further picture is begun: the viewer is too slow. Bytes. */
  readonly queueBytes: number;
  /** Packets are left out from now on, because the viewer is too slow (true), or no longer (false). */
  dropping(begins: boolean): void;
}

/** Counted by whoever makes the copies. All monotonic from the viewer's add on. */
export interface ViewerCounters {
  /** RTP copies handed to the egress. */
  readonly packets: number;
  /** Their UDP payload, bytes. */
  readonly bytes: number;
  readonly rtcpPackets: number;
  /** Copies that were not sent, for whatever reason. */
  readonly drops: number;
  /** RTP packets withheld because no picture had begun yet. */
  readonly held?: number;
  /** RTP packets, and their UDP payload in bytes, left out on purpose by its allowance: neither drops nor loss. */
  readonly thinned?: number;
  readonly thinnedBytes?: number;
  /** Of an interleaved viewer: pictures left out because it was too slow. Their packets are among `drops`. */
  readonly pictures?: number;
}

export interface StreamCounters {
  /** RTP from the source. */
  readonly packets: number;
  readonly bytes: number;
  readonly rtcpPackets: number;
  /** Refused whole at the entrance because no ticket was free. */
  readonly refused: number;
  /** Packets that are not with all viewers yet, because there was no room at the egress. Absent: none ever waits. */
  readonly waiting?: number;
}

/** The layers of a stream, 0 (base) to 7: docs/layers.md. */
export interface StreamLayers {
  /** What a layer's number is; undefined: no packet has told its layer yet, all count as 0, and nobody is thinned. */
  readonly notion: 'dependency' | 'temporal' | 'spatial' | undefined;
  /** Of each of the 8 layers, without those below it: bytes/s of UDP payload, averaged as docs/layers.md says. */
  readonly averages: readonly number[];
}

/** What RFC 3550 A.1, A.3 and A.8 keep of a source. `undefined` from the port until the first RTP packet. */
export interface Reception {
  readonly ssrc: number;
  /** Extended highest sequence number received: cycles << 16 | max_seq, unsigned 32 bits. */
  readonly extendedMaxSeq: number;
  /** First extended sequence number. */
  readonly baseSeq: number;
  readonly received: number;
  /** Interarrival jitter, RTP timestamp units (A.8's estimate, already divided by 16). */
  readonly jitter: number;
  /** RTP timestamp of the packet with the highest sequence number, and when it arrived. */
  readonly timestamp: number;
  readonly arrivalNs: bigint;
  /** What viewers see: the source's SSRC replaced, offsets added (modulo 2^16 and 2^32). Absent: just what the source sends. */
  readonly sent?: { readonly ssrc: number; readonly seqOffset: number; readonly timestampOffset: number };
}

/** One door to a stream in a datapath. Every method is safe after close(): it does nothing. */
export interface StreamHandle {
  /** Resolves when the viewer gets copies: every packet that arrives later reaches it exactly once. */
  add(viewer: ViewerSpec): Promise<ViewerHandle>;
  counters(): StreamCounters;
  layers(): StreamLayers;
  reception(): Reception | undefined;
  /**
   * Another source, or the same one anew, takes the place of the stream's; downstream pair, clock rate and encoding are as
   * before. Viewers stay: they go on seeing one SSRC, sequence numbers that go on, timestamps later by what passed.
   * Throws when the datapath cannot hear it; then nothing comes until it is retargeted again. `fromPicture`: what comes
   * before a picture begins is dropped, for as long as a viewer would be held back (where the encoding tells).
   */
  retarget(spec: StreamSpec, options?: { readonly fromPicture?: boolean }): void;
  /** When the sender report whose NTP timestamp has these middle 32 bits was sent on to the viewers. */
  senderReportSentNs(ntpMiddle: number): bigint | undefined;
  /** Removes the stream and any viewer that is left. */
  close(): void;
}

export interface ViewerHandle {
  /** Who makes this viewer's copies: the kernel, or this process where the kernel engine cannot serve it. */
  readonly servedBy: 'kernel' | 'userspace';
  /** The first RTP packet that this viewer gets, where that is known beforehand: it joins from the picture cache. */
  readonly first?: { readonly seq: number; readonly timestamp: number } | undefined;
  /** Nothing was sent to it yet, and nothing is until a picture begins or its time is up. */
  readonly heldBack?: boolean;
  counters(): ViewerCounters;
  /**
   * What its last receiver report said; stored for the layer policy. Raw fields (RFC 3550 6.4.1): `fraction` in
   * 1/256, `cumulative` signed, `jitter` in RTP timestamp units.
   */
  loss(report: { fraction: number; cumulative: number; jitter: number }): void;
  /**
   * From the next picture on it gets no layer above that one, 0 to 7; 7, as it begins, is all there is. Upwards where the
   * stream lets it (docs/layers.md). A multicast group has one allowance: all.
   */
  allow(layer: number): void;
  /** When this has returned, no further copy is made for the viewer. */
  remove(): void;
}

export interface DropCount {
  /** Stable kebab-case name of the reason, e.g. `not-source`. */
  readonly reason: string;
  readonly count: number;
}

/** The data plane: whoever copies RTP. One per process, chosen at start. */
export interface Datapath {
  readonly engine: 'userspace' | 'tc' | 'xdp';
  /** One sentence for people: why this engine and not another. */
  readonly why: string;
  open(spec: StreamSpec): Promise<StreamHandle>;
  /** All reasons, those with zero included. */
  drops(): readonly DropCount[];
  /** Everything that a killed predecessor's kernel state was wanted for has been opened and added again: the rest goes. */
  settled?(): void;
  /** Engine-specific facts for `proxyctl status`, e.g. tickets out, devices attached. */
  facts(): Readonly<Record<string, string | number>>;
  /** Removes everything. */
  close(): Promise<void>;
}

/** Sockets that a former process of ours has held; undefined: it is gone. */
export interface FormerSockets {
  source(name: string, events: SourceEvents): SourceLink | undefined;
  udpPair(rtpPort: number): Promise<UdpPair | undefined>;
  /** Datagrams that came meanwhile, and wait since the pairs were taken, are delivered now. */
  deliver(): void;
}

/** What the next process must know of this one is noted here: JSON by key. A key has no blank. */
export interface Notebook {
  put(key: string, record: unknown): void;
  remove(key: string): void;
}

/** All of the surroundings but the datapath; net/system-ports.ts has the real ones. */
export interface Surroundings {
  readonly openListener: OpenListener;
  readonly connect: ConnectSource;
  readonly bindUdpPair: BindUdpPair;
  readonly joinGroup: JoinGroup;
  readonly deviceFor: DeviceFor;
  readonly askHook: AskHook;
  readonly former: FormerSockets;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}
