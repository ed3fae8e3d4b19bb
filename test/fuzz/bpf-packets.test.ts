// SPDX-License-Identifier: Apache-2.0
// Fuzzes the TC program for FUZZ_SECONDS (default 2): packets of the fixtures, mutated, through BPF_PROG_TEST_RUN in a
// network namespace of the test's own. Rules hold after each packet and after each batch; the beginning of a picture is
// asked of both its implementations. Prints its seed; FUZZ_SEED repeats a run. A frame that breaks a rule is printed, to
// be kept in test/fixtures/hostile-frames.ts.
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Codec, Viewer } from '../../src/control/kernel/abi.gen.js';
import { Layering } from '../../src/control/rtp/layering.js';
import { beginsPicture } from '../../src/control/rtp/picture.js';
import { DESCRIPTOR_CASES, DESCRIPTOR_ID } from '../fixtures/descriptors.js';
import { HOSTILE_FRAMES } from '../fixtures/hostile-frames.js';
import { KernelBench, TC_ACT_SHOT, TC_ACT_UNSPEC } from '../fixtures/kernel-bench.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { LAYER_CASES, payloadsOf } from '../fixtures/layer-cases.js';
import { layerBetween, layerBytes } from '../fixtures/layer-seen.js';
import { LOCAL, rtp, senderReport, SOURCE, udpFrame, type UdpFields } from '../fixtures/packets.js';
import { PAYLOAD_TYPE, payloadOf, PICTURE_CASES, rtpWith } from '../fixtures/picture-cases.js';
import { random } from '../fixtures/random.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const seconds = Number(process.env['FUZZ_SECONDS'] ?? 2);
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);

const ENCODINGS = ['H264', 'H265', 'VP8', 'VP9', 'AV1'] as const;
const CODECS = [Codec.H264, Codec.H265, Codec.VP8, Codec.VP9, Codec.AV1];
const VIEWERS = 3;
const WINDOW = 128;
const BATCH = 500;
/** Longest frame that is tried, and the shortest that BPF_PROG_TEST_RUN takes: with an IP header where its type says so. */
const LONGEST = 3000;
const SHORTEST = { ipv4: 34, ipv6: 54 };
const ETHERTYPE_IPV6 = 0x86dd;
const HEADERS = 42;
/** Reasons for which a packet ends before any copy of it is made. */
const WHOLE = ['not-source', 'malformed', 'no-viewer', 'no-ticket', 'fragment', 'ip-options', 'stale'];
/** What may happen to a copy here: the outlet takes 1500 bytes and is never full. */
const OF_COPIES = ['too-big', 'out-of-sequence'];

class Stage {
  readonly bench: KernelBench;
  readonly streams: {
    index: number;
    window: { first: number; size: number };
    slots: number[];
    ids: number[];
    layering: Layering;
  }[] = [];

  constructor(bench: KernelBench) {
    this.bench = bench;
    CODECS.forEach((codec, i) => {
      const window = { first: i * WINDOW, size: WINDOW };
      const known = {
        payloadType: PAYLOAD_TYPE,
        ...(codec === Codec.AV1 && { descriptorId: DESCRIPTOR_ID }),
      };
      bench.codec = { codec, ...known, cache: window };
      const index = bench.open(portsOf(i));
      const viewers = Array.from({ length: VIEWERS }, (_, viewer) => {
        bench.holdMs = viewer === 0 ? 600_000 : 0; // one is held back until a picture begins
        return bench.add(index, i * VIEWERS + viewer);
      });
      const [slots, ids] = [viewers.map(({ slot }) => slot), viewers.map(({ id }) => id)];
      const layering = new Layering({ name: ENCODINGS[i]!, ...known });
      this.streams.push({ index, window, slots, ids, layering });
    });
  }

  /** Packets and reports counted as come in, by stream. */
  get arrived(): number[] {
    return this.streams.map(({ index }) => {
      const { packets, rtcpPackets } = this.bench.state.stream(index);
      return packets + rtcpPackets;
    });
  }

  get wholeDrops(): number {
    const drops = this.bench.drops();
    return WHOLE.reduce((sum, reason) => sum + (drops[reason] ?? 0), 0);
  }

  /** The rule that this frame breaks, if any. */
  run(frame: Buffer): string | undefined {
    const [arrived, dropped] = [this.arrived, this.wholeDrops];
    const media = this.streams.map(({ index }) => this.bench.state.stream(index).packets);
    const rates = this.streams.map(({ index }) => layerBytes(this.bench.state, index));
    const pictures = this.streams.map((stream) => this.#picture(stream));
    const { verdict, packet } = this.bench.ingress(frame);
    const counted = this.arrived.map((now, i) => now - arrived[i]!);
    const came = counted.reduce((sum, n) => sum + n, 0);
    const drops = this.wholeDrops - dropped;
    if (verdict !== TC_ACT_SHOT && verdict !== TC_ACT_UNSPEC) return `verdict ${verdict}`;
    if (verdict === TC_ACT_UNSPEC && !packet.equals(frame)) return 'changed, and left to others';
    if (verdict === TC_ACT_UNSPEC && drops > 0) return 'dropped, and left to others';
    if (came > 1 || drops > 1 || (verdict === TC_ACT_SHOT && came + drops !== 1))
      return `${came} counted, ${drops} drops, verdict ${verdict}`;
    const at = counted.indexOf(1);
    if (verdict !== TC_ACT_SHOT || at < 0) return undefined;
    const isRtp = this.bench.state.stream(this.streams[at]!.index).packets > media[at]!;
    return (isRtp && this.#layer(at, frame, rates[at]!)) || this.#beginning(at, frame, pictures[at]);
  }

  /** Which layer an RTP packet that has just come was taken for. */
  #layer(at: number, frame: Buffer, before: readonly number[]): string | undefined {
    const { index, layering } = this.streams[at]!;
    const packet = frame.subarray(HEADERS, HEADERS - 8 + frame.readUInt16BE(38));
    const header = {
      sequence: packet.readUInt16BE(2),
      timestamp: packet.readUInt32BE(4),
      ssrc: packet.readUInt32BE(8),
    };
    const wanted = layering.place(packet, header).layer;
    const seen = layerBetween(before, layerBytes(this.bench.state, index), packet.length);
    return seen === wanted ? undefined : `${ENCODINGS[at]}: layer ${seen}, ${wanted} in TypeScript`;
  }

  /** Other layers for one viewer of each stream. */
  allow(layer: number): void {
    for (const { slots, ids } of this.streams) this.bench.state.commands.allow(slots[1]!, ids[1]!, layer);
  }

  /** Packets that stood in for ends of pictures. */
  #ends(slot: number): number {
    return Number(this.bench.state.tables.viewers.getBigUint64(slot * Viewer.SIZE + Viewer.ends, true));
  }

  /** The RTP timestamp of what the cache begins with; undefined: nothing, or what the next packet takes the place of. */
  #picture({ index, window }: Stage['streams'][number]): number | undefined {
    const { next, begin } = this.bench.state.tickets(index);
    if (begin === undefined || next - begin >= WINDOW) return undefined;
    const kept = this.bench.state.cache.read(window, begin);
    return kept.is === 'packet' ? kept.bytes.readUInt32BE(4) : undefined;
  }

  /** What the cache made of an RTP packet that has just come. `picture`: of which it was before. */
  #beginning(at: number, frame: Buffer, picture: number | undefined): string | undefined {
    const { index, window } = this.streams[at]!;
    const { next, begin } = this.bench.state.tickets(index);
    const kept = this.bench.state.cache.read(window, next - 1);
    if (kept.is !== 'packet') return undefined;
    const payload = frame.subarray(HEADERS, HEADERS - 8 + frame.readUInt16BE(38));
    if (!kept.bytes.equals(payload)) return `kept ${kept.bytes.toString('hex')}`;
    const wanted =
      beginsPicture(payload, { name: ENCODINGS[at]!, payloadType: PAYLOAD_TYPE }) &&
      payload.readUInt32BE(4) !== picture;
    return wanted === (begin === next - 1) ? undefined : `${wanted} in TypeScript that a picture begins`;
  }

  /** The rule that is broken when all that is under way has arrived, if any. */
  async settled(): Promise<string | undefined> {
    const { state } = this.bench;
    for (let i = 0; i < 200 && state.ticketsOut() > 0; i++) await new Promise((next) => setTimeout(next, 5));
    if (state.ticketsOut() > 0) return `${state.ticketsOut()} tickets are still out`;
    for (const [i, { index, slots }] of this.streams.entries()) {
      const { packets, rtcpPackets, refused } = state.stream(index);
      for (const slot of slots) {
        const v = state.viewer(slot);
        const sum = v.packets + v.rtcpPackets + v.drops + v.held + v.thinned - this.#ends(slot);
        if (sum !== packets + rtcpPackets - refused)
          return `${ENCODINGS[i]}: ${packets} + ${rtcpPackets} came, ${refused} refused; a viewer has ${JSON.stringify(v)}`;
      }
    }
    const unknown = Object.keys(this.bench.drops()).filter(
      (r) => !WHOLE.includes(r) && !OF_COPIES.includes(r),
    );
    return unknown.length > 0 ? `drops: ${unknown.join(' ')}` : undefined;
  }

  /** Every stream still serves every viewer, or the rule that is broken. */
  async alive(): Promise<string | undefined> {
    const sent = () =>
      this.streams.flatMap(({ slots }) => slots.map((s) => this.bench.state.viewer(s).packets));
    const before = sent();
    for (const [i, name] of ENCODINGS.entries()) {
      const row = PICTURE_CASES.find(({ encoding, begins }) => encoding === name && begins)!;
      // Of a jump a viewer that is thinned gets what comes second (RFC 3550 A.1); what comes late it may not get at all, and
      // the first of these may.
      for (const seq of [20_000, 20_001, 20_002, 25_000, 25_001, 25_002]) {
        const rule = this.run(udpFrame(rtpWith(payloadOf(row), { seq }), { port: portsOf(i).rtp }));
        if (rule) return rule;
      }
    }
    const wrong = await this.settled();
    return wrong ?? (sent().every((n, i) => n > before[i]!) ? undefined : 'a viewer no longer gets packets');
  }
}

function portsOf(stream: number): { rtp: number; rtcp: number } {
  return { rtp: LOCAL.rtpPort + 2 * stream, rtcp: LOCAL.rtcpPort + 2 * stream };
}

type Below = ReturnType<typeof random>;

/** Header extensions with payloads behind them. */
const EXTENDED = DESCRIPTOR_CASES.flatMap(({ packets }) =>
  packets.map(({ extension, payload }) => Buffer.concat([extension, payload])),
);
const PAYLOADS = [...PICTURE_CASES.map(payloadOf), ...LAYER_CASES.flatMap(payloadsOf)];

/** A frame that is nearly right. */
function newFrame(below: Below): Buffer {
  const { rtp: port, rtcp: rtcpPort } = portsOf(below(CODECS.length));
  const pick = () => PAYLOADS[below(PAYLOADS.length)]!;
  switch (below(10)) {
    case 0:
      return HOSTILE_FRAMES[below(HOSTILE_FRAMES.length)]!.frame;
    case 1:
      return udpFrame(senderReport(), { port: rtcpPort, sourcePort: SOURCE.rtcpPort });
    case 2:
      return udpFrame(rtp({ seq: below(65536) }, below(1600)), { port });
    case 3:
      return udpFrame(rtpWith(pick()), { port, ...wrongField(below) });
    case 4:
    case 5:
      return udpFrame(extendedWith(EXTENDED[below(EXTENDED.length)]!, below), {
        port: portsOf(ENCODINGS.indexOf('AV1')).rtp,
      });
    default: {
      const seq = below(65536);
      return udpFrame(
        rtpWith(mutate(pick(), below), { seq, csrcs: below(16), extensionWords: below(4) - 1 }),
        {
          port,
        },
      );
    }
  }
}

/** Sequence numbers are near each other, so that one packet's templates count for the next. */
function extendedWith(bytes: Buffer, below: Below): Buffer {
  const packet = rtpWith(below(2) ? mutate(bytes, below) : bytes, { seq: 30_000 + below(500) });
  packet[0]! |= 0x10;
  return packet;
}

function wrongField(below: Below): UdpFields {
  const fields: UdpFields[] = [
    { from: '10.0.0.9' },
    { sourcePort: 1 },
    { port: 1 },
    { fragment: below(65536) },
    { headerWords: below(16) },
    { version: below(16) },
    { protocol: below(256) },
    { etherType: below(65536) },
    { udpLengthOff: below(100) - 20 },
    { ipLengthOff: below(100) - 20, udpLengthOff: below(100) - 20 },
  ];
  return fields[below(fields.length)]!;
}

function mutate(from: Buffer, below: Below): Buffer {
  const bytes = Buffer.from(from);
  const at = below(bytes.length + 1);
  switch (below(6)) {
    case 0:
      return bytes;
    case 1: // one bit
      if (at < bytes.length) bytes[at]! ^= 1 << below(8);
      return bytes;
    case 2: // a byte that is often a limit
      if (at < bytes.length) bytes[at] = [0, 1, 0x1f, 0x7f, 0x80, 0xff][below(6)]!;
      return bytes;
    case 3: // cut
      return bytes.subarray(0, at);
    case 4: // longer
      return Buffer.concat([bytes, Buffer.alloc(below(200), below(256))]);
    default: // a part of it twice
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(below(at + 1))]);
  }
}

function usable(frame: Buffer): Buffer {
  const ipv6 = frame.length >= 14 && frame.readUInt16BE(12) === ETHERTYPE_IPV6;
  const least = ipv6 ? SHORTEST.ipv6 : SHORTEST.ipv4;
  if (frame.length >= least) return frame.subarray(0, LONGEST);
  return Buffer.concat([frame, Buffer.alloc(least - frame.length)]);
}

t.test(
  `packets into the TC program, FUZZ_SEED=${seed}`,
  { skip, timeout: (seconds + 60) * 1000 },
  async (t) => {
    const below = random(seed);
    const bench = await KernelBench.create();
    t.teardown(() => bench.close());
    const stage = new Stage(bench);
    let wrong: string | undefined;
    const attempt = (frame: Buffer) => {
      const rule = stage.run(frame);
      if (rule) wrong = `${rule}: ${frame.toString('hex')}`;
    };
    for (const { frame } of HOSTILE_FRAMES) attempt(frame);
    t.equal(wrong ?? (await stage.alive()), undefined, 'the frames that were kept');

    const end = performance.now() + seconds * 1000;
    let frames = 0;
    while (!wrong && performance.now() < end) {
      stage.allow(below(9) % 8);
      for (let i = 0; i < BATCH && !wrong; i++, frames++) {
        let frame = newFrame(below);
        if (below(4) === 0) frame = mutate(frame, below);
        attempt(usable(frame));
      }
      wrong ??= (await stage.settled()) ?? (await stage.alive());
    }
    t.equal(wrong, undefined);
    const arrived = stage.arrived.reduce((sum, n) => sum + n, 0);
    t.comment(`${frames} frames, ${arrived} of them served`, stage.bench.drops());
    t.ok(arrived > frames / 10 && arrived < frames, 'some are served and some refused');
    t.ok(frames > 100 * seconds, 'enough frames were tried');
  },
);
