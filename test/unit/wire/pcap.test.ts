// SPDX-License-Identifier: Apache-2.0
// The judge of checksums is itself judged: two frames that Linux sent over veth with tx checksum offload off (tcpdump
// called both right), and each spoilt in one place.
import t from 'tap';
import { readCapture } from '../../../tools/wire/pcap.js';

const FILE_HEADER = 'd4c3b2a1' + '02000400' + '0000000000000000' + '00000400' + '01000000';
/** 10.77.0.1:5000 > 10.77.0.2:5004 "hello": an odd length. */
const IPV4 =
  'd6a7356fc4c7dab5ed8652970800' +
  '45000021617740004011c4b80a4d00010a4d0002' +
  '1388138c000d8051' +
  '68656c6c6f';
/** fd77::1 5000 > fd77::2 5004 "hello". */
const IPV6 =
  'd6a7356fc4c7dab5ed86529786dd' +
  '600fe04d000d1140fd770000000000000000000000000001fd770000000000000000000000000002' +
  '1388138c000d99fb' +
  '68656c6c6f';

function capture(...frames: Buffer[]): Buffer {
  const records = frames.map((frame) => {
    const header = Buffer.alloc(16);
    header.writeUInt32LE(frame.length, 8);
    header.writeUInt32LE(frame.length, 12);
    return Buffer.concat([header, frame]);
  });
  return Buffer.concat([Buffer.from(FILE_HEADER, 'hex'), ...records]);
}

function spoilt(hex: string, at: number, value?: number): Buffer {
  const frame = Buffer.from(hex, 'hex');
  frame[at] = value ?? frame[at]! ^ 1;
  return frame;
}

const judge = (frame: Buffer) => {
  const { udp, others, unreadable } = readCapture(capture(frame));
  return udp[0]
    ? `${udp[0].header} ${udp[0].checksum}`
    : others
      ? 'other'
      : unreadable
        ? 'unreadable'
        : 'nothing';
};

t.test('what Linux sent is right, and read as tcpdump reads it', async (t) => {
  const { udp } = readCapture(capture(Buffer.from(IPV4, 'hex'), Buffer.from(IPV6, 'hex')));
  t.match(udp, [
    { number: 1, source: '10.77.0.1', sourcePort: 5000, destination: '10.77.0.2', destinationPort: 5004 },
    { number: 2, source: 'fd77:0:0:0:0:0:0:1', destination: 'fd77:0:0:0:0:0:0:2', destinationPort: 5004 },
  ]);
  t.strictSame(
    udp.map((p) => [p.header, p.checksum, p.payload.toString()]),
    [
      ['right', 'right', 'hello'],
      ['none', 'right', 'hello'],
    ],
  );
});

t.test('every single wrong bit shows', async (t) => {
  t.equal(judge(spoilt(IPV4, 14 + 8)), 'wrong right', 'time to live');
  t.equal(judge(spoilt(IPV4, 14 + 19)), 'wrong wrong', 'destination: in both sums');
  t.equal(judge(spoilt(IPV4, 14 + 20)), 'right wrong', 'source port');
  t.equal(judge(spoilt(IPV4, 46)), 'right wrong', 'last byte of the payload');
  t.equal(judge(spoilt(IPV6, 14 + 39)), 'none wrong', 'IPv6 destination');
  t.equal(judge(spoilt(IPV6, 66)), 'none wrong', 'IPv6 payload');
});

t.test('what cannot be judged is not called right', async (t) => {
  const zero = Buffer.from(IPV4, 'hex');
  zero.writeUInt16BE(0, 14 + 26);
  t.equal(judge(zero), 'right none');
  t.equal(judge(Buffer.from(IPV4, 'hex').subarray(0, 46)), 'unreadable', 'cut short');
  t.equal(judge(spoilt(IPV4, 14 + 6, 0x20)), 'unreadable', 'a fragment');
  t.equal(judge(spoilt(IPV4, 14 + 9, 6)), 'other', 'TCP');
  t.equal(judge(spoilt(IPV4, 13, 6)), 'other', 'ARP');
});

t.test('a file that is none is refused', async (t) => {
  t.throws(() => readCapture(Buffer.alloc(0)), /empty/);
  t.throws(() => readCapture(Buffer.alloc(24)), /not a classic capture/);
  t.throws(() => readCapture(capture(Buffer.from(IPV4, 'hex')).subarray(0, -1)), /ends within a frame/);
  t.throws(() => readCapture(capture(Buffer.from(IPV4, 'hex')).subarray(0, 30)), /ends within a record/);
  const linuxCooked = capture();
  linuxCooked.writeUInt32LE(113, 20);
  t.throws(() => readCapture(linuxCooked), /not of Ethernet/);
});
