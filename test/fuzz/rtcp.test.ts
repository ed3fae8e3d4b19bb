// SPDX-License-Identifier: Apache-2.0
// Fuzzes the RTCP walk for FUZZ_SECONDS (default 2): the cases of test/fixtures, mutated. Prints its seed; FUZZ_SEED
// repeats a run. A datagram that breaks a rule is printed, to be kept in the table.
import t from 'tap';
import { parseCompound } from '../../src/control/rtcp/compound.js';
import type { RtcpPacket } from '../../src/control/rtcp/packet.js';
import { RTCP_CASES, bytesOf } from '../fixtures/rtcp-cases.js';
import { random } from '../fixtures/random.js';

const seconds = Number(process.env['FUZZ_SECONDS'] ?? 2);
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
const LARGEST = 65507;

function mutate(bytes: Buffer, other: Buffer, below: (n: number) => number): Buffer {
  const at = below(bytes.length + 1);
  switch (below(6)) {
    case 0: // one bit
      if (at < bytes.length) bytes[at]! ^= 1 << below(8);
      return bytes;
    case 1: // a byte that is often a limit
      if (at < bytes.length) bytes[at] = [0, 1, 0x1f, 0x7f, 0x80, 0xff][below(6)]!;
      return bytes;
    case 2: // cut
      return bytes.subarray(0, at);
    case 3: // another packet behind
      return Buffer.concat([bytes, other]);
    case 4: // another packet in the middle
      return Buffer.concat([bytes.subarray(0, at), other, bytes.subarray(at)]);
    default: // many of the same
      return Buffer.concat(Array<Buffer>(1 + below(40)).fill(bytes));
  }
}

/** How many bytes the packets had at least, by what was read of them. */
function leastSize(packet: RtcpPacket): number {
  switch (packet.kind) {
    case 'sr':
      return 28 + packet.blocks.length * 24;
    case 'rr':
      return 8 + packet.blocks.length * 24;
    case 'sdes':
      return 4 + packet.chunks.length * 8;
    case 'bye':
      return 4 + packet.ssrcs.length * 4;
    case 'app':
      return 12 + packet.dataLength;
    case 'xr':
      return 8 + packet.blocks.length * 4;
    case 'opaque':
      return packet.length;
  }
}

/** The rule that this datagram breaks, if any. */
function broken(datagram: Buffer): string | undefined {
  try {
    const result = parseCompound(datagram);
    if (!result.ok) return undefined;
    const [first] = result.packets;
    if (first?.kind !== 'sr' && first?.kind !== 'rr') return 'the first packet is no report';
    const least = result.packets.reduce((sum, packet) => sum + leastSize(packet), 0);
    if (least > datagram.length) return `read ${least} bytes out of ${datagram.length}`;
    return undefined;
  } catch (error) {
    return `threw ${String(error)}`;
  }
}

t.test(`RTCP, seed ${seed}`, (t) => {
  const below = random(seed);
  const seeds = RTCP_CASES.map(bytesOf);
  const pick = () => Buffer.from(seeds[below(seeds.length)]!);
  const until = performance.now() + seconds * 1000;
  let runs = 0;
  let accepted = 0;
  for (; performance.now() < until; runs++) {
    let datagram: Buffer = pick();
    for (let n = below(8); n > 0; n--) datagram = mutate(datagram, pick(), below).subarray(0, LARGEST);
    const rule = broken(datagram);
    if (rule) t.fail(`${rule}: ${datagram.toString('hex')}`);
    if (parseCompound(datagram).ok) accepted++;
  }
  t.comment(`${runs} datagrams, ${accepted} accepted`);
  t.ok(accepted > 0 && accepted < runs, 'some are accepted and some refused');
  t.end();
});
