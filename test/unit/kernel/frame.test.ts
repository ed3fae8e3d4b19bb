// SPDX-License-Identifier: Apache-2.0
// Frames that user space sends in the kernel's stead, read back as a capture of them would be.
import fc from 'fast-check';
import t from 'tap';
import { FrameWriter, packetLength } from '../../../src/control/kernel/frame.js';
import { addressBytes, addressText } from '../../../src/control/state/address.js';
import { readCapture } from '../../../tools/wire/pcap.js';

const ENDS = [
  { source: '192.0.2.1', address: '198.51.100.255', header: 'right' },
  { source: '2001:db8::1', address: '2001:db8:ffff::2', header: 'none' },
  { source: 'fe80::1%eth0', address: 'fe80::2%eth0', header: 'none' },
] as const;

function capture(frame: Uint8Array): Buffer {
  const header = Buffer.alloc(24 + 16);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt32LE(1, 20);
  header.writeUInt32LE(frame.length, 24 + 8);
  header.writeUInt32LE(frame.length, 24 + 12);
  return Buffer.concat([header, frame]);
}

t.test('both families: addresses, ports, payload, checksums', async (t) => {
  const hop = {
    ifindex: 1,
    mtu: 1500,
    mac: Buffer.from('020000000001', 'hex'),
    sourceMac: Buffer.from('020000000002', 'hex'),
  };
  const memory = new DataView(new ArrayBuffer(2048));
  for (const ends of ENDS)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(0xffff), (payload, port) => {
        new Uint8Array(memory.buffer).fill(0xee); // what an earlier frame left
        const writer = new FrameWriter(memory, { ...ends, hop, sourcePort: 20_002, port });
        writer.payload.fill(0xff);
        writer.write(300); // a longer one before it
        writer.payload.set(payload);
        const length = writer.write(payload.length);
        const frame = new Uint8Array(memory.buffer, 0, length);
        const { udp, others, unreadable } = readCapture(capture(frame));
        t.same(
          [udp.length, others, unreadable, length - 14],
          [1, 0, 0, packetLength(ends.address, payload.length)],
        );
        const [packet] = udp;
        t.match(packet, { sourcePort: 20_002, destinationPort: port, ttl: 64, trafficClass: 0 });
        t.match(packet, { header: ends.header, checksum: 'right' });
        t.ok(packet!.payload.equals(payload));
        t.same(
          [packet!.source, packet!.destination].map((text) => addressText(addressBytes(text))),
          [ends.source, ends.address].map((text) => addressText(addressBytes(text))),
        );
      }),
    );
});
