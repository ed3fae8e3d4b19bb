// SPDX-License-Identifier: Apache-2.0
// Makes the link to viewers narrow: a token bucket (TBF) at the proxy's end, with a device's usual queue.
import { cpus } from 'node:os';
import type { Topology } from '../netns/topology.js';

/** Ethernet, IPv4, UDP. */
export const HEADERS = 14 + 20 + 8;
const BUCKET_BYTES = 32_768;
export const QUEUE_PACKETS = 1000;
/** Of the link to viewers: one for each CPU, as a NIC has. */
export const LINK_QUEUES = Math.min(cpus().length, 16);

/**
 * One transmit queue meanwhile: a veth with more, GRO and no XDP program at its far end stops for ever when one of the others is
 * full (Linux 6.16 to 6.18.45, CVE-2026-74742).
 */
async function useQueues({ proxy, downstream, viewers }: Topology, count: number): Promise<void> {
  const queues = ['tx', `${count}`, 'rx', `${count}`];
  await proxy.run('ethtool', ['-L', downstream[0]!.proxy.device, ...queues]);
  await viewers[0]!.run('ethtool', ['-L', 'eth0', ...queues]);
}

/** To so many bits per second of Ethernet frames, for packets of that many bytes behind the UDP header. */
export async function narrow(topology: Topology, bitsPerSecond: number, bytes: number): Promise<void> {
  const { proxy, downstream } = topology;
  await useQueues(topology, 1);
  await proxy.run('tc', [
    ...[
      'qdisc',
      'replace',
      'dev',
      downstream[0]!.proxy.device,
      'root',
      'tbf',
      'rate',
      `${Math.round(bitsPerSecond)}bit`,
    ],
    ...['burst', `${BUCKET_BYTES}`, 'limit', `${QUEUE_PACKETS * (bytes + HEADERS)}`],
  ]);
}

export async function widen(topology: Topology): Promise<void> {
  await topology.proxy.run('tc', ['qdisc', 'del', 'dev', topology.downstream[0]!.proxy.device, 'root']);
  await useQueues(topology, LINK_QUEUES);
}
