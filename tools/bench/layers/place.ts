// SPDX-License-Identifier: Apache-2.0
// server -> proxy -> router -> crowd in network namespaces; the bottleneck is a token bucket with a plain queue, at the
// proxy's own interface or at the router's.
import { run } from '../../netns/child.js';
import { createTopology, Namespace, type Topology } from '../../netns/topology.js';

/** Where the narrow link begins. */
export type Bottleneck = 'own' | 'router';

const CROWD = '10.66.0.2';
const ROUTER = '10.66.0.1';
const BUCKET = 16_384;
/** Of the queue: so much time, and at least so many bytes. */
const QUEUE = { seconds: 0.04, bytes: 25_000 };
export class Place {
  readonly crowdAddress = CROWD;

  static async build(): Promise<Place> {
    const topology = await createTopology();
    const router = topology.viewers[0]!;
    const crowd = new Namespace(router.name.replace(/viewer0$/, 'crowd'));
    try {
      await run('ip', ['netns', 'add', crowd.name]);
      await run('ip', ['-n', router.name, 'link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', crowd.name]); // prettier-ignore
      await setUp(router, 'out0', ROUTER);
      await setUp(crowd, 'eth0', CROWD);
      await crowd.run('ip', ['route', 'add', 'default', 'via', ROUTER]);
      await topology.proxy.run('ip', [
        'route',
        'add',
        '10.66.0.0/24',
        'via',
        topology.downstream[0]!.viewer.address,
      ]);
      await router.run('sh', ['-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']); // the namespace's own
      return new Place(topology, router, crowd);
    } catch (error) {
      await crowd.remove().catch(() => {});
      await topology.close();
      throw error;
    }
  }

  private constructor(
    readonly topology: Topology,
    readonly router: Namespace,
    readonly crowd: Namespace,
  ) {}

  /** As the viewers know the proxy. */
  get proxyAddress(): string {
    return this.topology.downstream[0]!.proxy.address;
  }

  /** Bits per second of Ethernet frames. */
  async narrow(where: Bottleneck, rate: number): Promise<void> {
    const [namespace, device] =
      where === 'own'
        ? ([this.topology.proxy, this.topology.downstream[0]!.proxy.device] as const)
        : ([this.router, 'out0'] as const);
    const limit = Math.max(QUEUE.bytes, (rate / 8) * QUEUE.seconds);
    const shape = ['rate', `${Math.round(rate)}bit`, 'burst', `${BUCKET}`, 'limit', `${Math.round(limit)}`];
    await namespace.run('tc', ['qdisc', 'replace', 'dev', device, 'root', 'handle', '1:', 'tbf', ...shape]);
  }

  async close(): Promise<void> {
    await this.crowd.remove();
    await this.topology.close();
  }
}

async function setUp(namespace: Namespace, device: string, address: string): Promise<void> {
  const lines = [`addr add ${address}/24 dev ${device}`, `link set ${device} up`, 'link set lo up', ''];
  await namespace.run('ip', ['-batch', '-'], lines.join('\n'));
  await namespace.offloads(device, { gro: true, gso: false, tso: false });
}
