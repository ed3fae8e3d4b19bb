// SPDX-License-Identifier: Apache-2.0
// Links that are not plain: VLANs on both sides, a source whose packets come merged (GSO), and a viewer's link too small for
// the source's packets.
import t from 'tap';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import type { Namespace, Topology } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { canMeasure } from '../../tools/wire/counter.js';
import { LoadPath } from './load-path.js';

// The runner's limit for a file is the one that counts, not tap's 30 s.
t.setTimeout(280_000);

const skip = canNetns() ?? canMeasure() ?? false;
/** Of the kernel; the name is that of a device in a namespace that is gone at once. */
const noVlan = canRun('unshare', [
  ...[
    '--net',
    'sh',
    '-c',
    'ip link add name va type veth peer name vb && ip link add link va name va.1 type vlan id 1',
  ],
]);
const VIEWERS = 3;
const burst = (count: number, bytes: number, ...more: string[]) => [
  ...['--pps', '2000', '--bytes', String(bytes), '--burst', '20', '--count', String(count), ...more],
];

/** The addresses of the device go to a VLAN on it. */
async function tag(namespace: Namespace, device: string, id: number, cidrs: string[]): Promise<string> {
  const vlan = `${device}.${id}`;
  await namespace.run('ip', ['link', 'add', 'link', device, 'name', vlan, 'type', 'vlan', 'id', String(id)]);
  await namespace.run('ip', ['address', 'flush', 'dev', device]);
  for (const cidr of cidrs) await namespace.run('ip', ['address', 'add', cidr, 'dev', vlan]);
  await namespace.run('ip', ['link', 'set', vlan, 'up']);
  return vlan;
}

async function tagBothSides({ server, proxy, viewers, upstream, downstream }: Topology): Promise<void> {
  await tag(server, 'eth0', 10, [`${upstream.server.address}/24`]);
  await tag(proxy, 'up0', 10, [`${upstream.proxy.address}/24`]);
  await tag(proxy, 'down0', 20, [`${downstream[0]!.proxy.address}/16`]);
  const addresses = downstream[0]!.addresses.map((address) => `${address}/16`);
  await tag(viewers[0]!, 'eth0', 20, addresses);
}

t.test('source and viewers behind VLANs', { skip: noVlan ?? skip }, async (t) => {
  const path = await LoadPath.build({ addresses: VIEWERS, prepare: tagBothSides, viewerDevice: 'eth0.20' });
  try {
    const { crowd, result } = await path.join(VIEWERS, 100);
    t.equal(result.joined, VIEWERS, JSON.stringify(result));
    await path.send(burst(200, 466));
    path.sendSenderReport();
    await until('the sender report', async () => (await path.counter.read()).rtcp === VIEWERS);
    const { rows, ...totals } = await path.counter.settled();
    t.match(totals, { rtp: 200 * VIEWERS, rtcp: VIEWERS });
    t.equal(rows.length, VIEWERS);
    for (const row of rows) t.match(row, { packets: 200, lost: 0, duplicated: 0, reordered: 0 });
    const { facts } = await path.product.status();
    t.match(facts['devices'], /up0\.10/);
    t.equal(facts['viewers served by user space'], 0);
    await path.leave(crowd);
  } finally {
    await path.close();
  }
});

t.test('a source that sends by UDP_SEGMENT', { skip }, async (t) => {
  const whole = { gso: true, 'tx-udp-segmentation': true };
  const path = await LoadPath.build({
    addresses: VIEWERS,
    prepare: async ({ server, proxy }) => {
      await server.offloads('eth0', whole);
      await proxy.offloads('up0', { ...whole, gro: true });
      await proxy.offloads('down0', { 'tx-udp-segmentation': false }); // they leave one by one: the counter sees datagrams
    },
  });
  try {
    const { crowd } = await path.join(VIEWERS, 100);
    const before = Number((await path.product.status()).facts['passes']);
    await path.send(burst(2000, 466, '--gso', '20'));
    const { rows, rtp } = await path.counter.settled();
    t.equal(rtp, 2000 * VIEWERS);
    for (const row of rows)
      t.match(row, { packets: 2000, bytes: 2000 * 466, lost: 0, duplicated: 0, reordered: 0 });
    const [stream] = await path.product.streams();
    t.equal(stream!.tracks[0]!.packets, 2000, 'datagrams are counted, not what they came in');
    for (const client of await path.product.clients())
      t.match(client.tracks[0], { packets: 2000, bytes: 2000 * 466, drops: 0 });
    const passes = Number((await path.product.status()).facts['passes']) - before;
    t.ok(passes >= 100 && passes < 1000, `they came merged: ${passes} passes for 100 bursts`);
    await path.leave(crowd);
  } finally {
    await path.close();
  }
});

t.test("packets too large for a viewer's link", { skip }, async (t) => {
  const path = await LoadPath.build({ addresses: VIEWERS });
  try {
    await path.topology.proxy.run('ip', ['link', 'set', 'down0', 'mtu', '1200']);
    const { crowd } = await path.join(VIEWERS, 100);
    await path.send(burst(40, 1400));
    await path.send(burst(60, 1172, '--first-seq', '40')); // the largest that fits
    const { rtp } = await path.counter.settled();
    t.equal(rtp, 60 * VIEWERS);
    t.equal((await path.product.status()).drops['too-big'], 40 * VIEWERS);
    for (const client of await path.product.clients()) t.match(client.tracks[0], { packets: 60, drops: 40 });
    await path.topology.proxy.run('ip', ['link', 'set', 'down0', 'mtu', '1500']);
    await until('the change of the link to be seen', async () => {
      await path.send(burst(1, 1400, '--first-seq', '100'));
      return (await path.counter.settled()).rtp > 60 * VIEWERS;
    });
    await path.leave(crowd);
  } finally {
    await path.close();
  }
});
