// SPDX-License-Identifier: Apache-2.0
// Packet by packet: checksums as they would be on a real wire, strangers that must reach nobody, and everything that is
// not ours, untouched.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { until } from '../../tools/netns/wait.js';
import { canMeasure } from '../../tools/wire/counter.js';
import { readCapture } from '../../tools/wire/pcap.js';
import { LoadPath } from './load-path.js';
import { temporaryFolder } from './product.js';

// The runner's limit for a file is the one that counts, not tap's 30 s.
t.setTimeout(280_000);

const skip = canNetns() ?? canMeasure() ?? false;
const burst = (count: number, bytes = 466) => [
  ...['--pps', '2000', '--bytes', String(bytes), '--burst', '10', '--count', String(count)],
];

// The kernel leaves the sum to the device (CHECKSUM_PARTIAL), or has put it in; and our egress device takes over, or not.
// Only with tx off at our egress does a capture behind it show what a real wire would.
for (const source of [true, false])
  t.test(
    `checksums, the source's tx offload ${source ? 'on' : 'off'}`,
    { skip: canRun('tcpdump', ['--version']) ?? skip },
    async (t) => {
      const VIEWERS = 5;
      const path = await LoadPath.build({ addresses: VIEWERS });
      try {
        const { server, proxy, viewers, downstream } = path.topology;
        await server.offloads('eth0', { tx: source });
        await proxy.offloads('down0', { tx: false });
        const { crowd, result } = await path.join(VIEWERS, 100);
        t.equal(result.joined, VIEWERS, JSON.stringify(result));
        const file = join(temporaryFolder(), 'wire.pcap');
        const copies = VIEWERS * (40 + 40 + 1);
        const dump = await viewers[0]!.spawn('tcpdump', [
          ...['-i', 'eth0', '-U', '-s', '0', '-w', file, '-c', String(copies), '-B', '16384', '-Z', 'root'],
          'udp and dst portrange 20000-29999',
        ]);
        await dump.output(/listening on/);
        await path.send(burst(40));
        await path.send(burst(40, 467)); // an odd length
        path.sendSenderReport();
        const exit = await dump.finish();
        t.equal(exit.code, 0, dump.describe());

        const { udp, unreadable } = readCapture(readFileSync(file));
        t.equal(udp.length, copies);
        t.equal(unreadable, 0);
        t.strictSame(
          udp.filter((p) => p.checksum !== 'right' || p.header !== 'right').slice(0, 3),
          [],
          'every checksum is right',
        );
        t.ok(
          udp.every((p) => p.source === downstream[0]!.proxy.address),
          'from the address that the viewer knows',
        );
        const sr = udp.filter((p) => p.payload[1] === 200);
        t.equal(sr.length, VIEWERS, 'each viewer got the sender report');
        t.ok(
          sr.every((p) => p.destinationPort % 2 === 1 && p.sourcePort % 2 === 1),
          'on its RTCP port',
        );
        await path.leave(crowd);
      } finally {
        await path.close();
      }
    },
  );

t.test('a stranger reaches no viewer and is counted; what is not ours passes', { skip }, async (t) => {
  const path = await LoadPath.build({ addresses: 3 });
  try {
    const { server, proxy, upstream } = path.topology;
    await server.run('ip', ['addr', 'add', '10.77.0.66/24', 'dev', 'eth0']);
    const { crowd } = await path.join(3, 100);
    const notSource = async () => (await path.product.status()).drops['not-source']!;
    const media = await path.mediaPort();
    await path.send([...burst(20), '--ssrc', '7']);
    t.equal((await path.counter.settled()).rtp, 60, 'the source is heard');
    t.equal(await notSource(), 0);

    await path.send([...burst(30), '--ssrc', '66'], 5002);
    t.equal(await notSource(), 30, "the source's address, another port");
    const stranger = ['--to', `${upstream.proxy.address}:${media}`, '--from', '10.77.0.66:5000'];
    await server.run('build/wire/burst', [...stranger, ...burst(40), '--ssrc', '66']);
    t.equal(await notSource(), 70, 'another address, the same port');
    const { rows } = await path.counter.settled();
    t.strictSame(
      rows.map((row) => [row.ssrc, row.packets]),
      [
        [7, 20],
        [7, 20],
        [7, 20],
      ],
      'no viewer got any of it',
    );

    // Beside the stream, on the device that carries our program: UDP to another port arrives as it was sent.
    const listener = await proxy.spawn(process.execPath, [
      '-e',
      `const got = []; require('dgram').createSocket('udp4').on('message', (m, from) => {
        got.push([from.address, from.port, m.length, m.readUInt16BE(2)].join(' '));
        if (got.length === 50) console.log(JSON.stringify(got));
      }).bind(40001, '0.0.0.0', () => console.log('bound'));`,
    ]);
    await listener.output(/bound/);
    await path.send(burst(50, 1000), 5002, 40_001);
    const [line] = await listener.output(/^\[.*\]$/m);
    const wanted = Array.from({ length: 50 }, (_, i) => `${upstream.server.address} 5002 1000 ${i}`);
    t.strictSame(JSON.parse(line), wanted, 'all of it, in order');
    t.equal((await path.counter.settled()).rtp, 60);
    t.equal(await notSource(), 70);

    await path.send([...burst(20), '--ssrc', '7', '--first-seq', '20']);
    await until('the source to be heard as before', async () => (await path.counter.read()).rtp === 120);
    await path.leave(crowd);
  } finally {
    await path.close();
  }
});
