// SPDX-License-Identifier: Apache-2.0
// Where cells run, one after the other: namespaces of a source, the proxy and a viewer, with IPv4 and IPv6 on both links.
import { createTopology, type Namespace, type Topology } from '../netns/topology.js';
import type { Family } from './cell.js';

const IPV6 = { server: 'fd00:77::2', proxyUp: 'fd00:77::1', proxyDown: 'fd00:78::1', viewer: 'fd00:78::2' };

export const inUrl = (address: string): string => (address.includes(':') ? `[${address}]` : address);

export class Stage {
  static async open(): Promise<Stage> {
    const topology = await createTopology({ viewers: 1 });
    try {
      const { server, proxy, viewers } = topology;
      const own = (where: Namespace, device: string, address: string) =>
        where.run('ip', ['addr', 'add', `${address}/64`, 'dev', device, 'nodad']);
      await own(server, 'eth0', IPV6.server);
      await own(proxy, 'up0', IPV6.proxyUp);
      await own(proxy, 'down0', IPV6.proxyDown);
      await own(viewers[0]!, 'eth0', IPV6.viewer);
      await server.run('ip', ['route', 'add', '239.0.0.0/8', 'dev', 'eth0']);
      return new Stage(topology);
    } catch (error) {
      await topology.close();
      throw error;
    }
  }

  private constructor(readonly topology: Topology) {}

  get source(): Namespace {
    return this.topology.server;
  }

  get proxy(): Namespace {
    return this.topology.proxy;
  }

  get viewer(): Namespace {
    return this.topology.viewers[0]!;
  }

  sourceAddress(ip: Family): string {
    return ip === 'ipv6' ? IPV6.server : this.topology.upstream.server.address;
  }

  /** As viewers know it. */
  proxyAddress(ip: Family): string {
    return ip === 'ipv6' ? IPV6.proxyDown : this.topology.downstream[0]!.proxy.address;
  }

  /** As sources and publishers know it. */
  proxyAddressUpstream(ip: Family): string {
    return ip === 'ipv6' ? IPV6.proxyUp : this.topology.upstream.proxy.address;
  }

  /** Ends whatever a cell has left running at the proxy's two ends. */
  async clearEnds(): Promise<void> {
    await Promise.all([this.source, this.viewer].map((where) => where.clear()));
  }

  /** Ends all that runs here. */
  async clear(): Promise<void> {
    await Promise.all([this.clearEnds(), this.proxy.clear()]);
  }

  close(): Promise<void> {
    return this.topology.close();
  }
}
