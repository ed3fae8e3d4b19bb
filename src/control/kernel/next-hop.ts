// SPDX-License-Identifier: Apache-2.0
// Where a datagram to an address leaves this host, and to which Ethernet address: asked from the kernel over rtnetlink
// and kept until the kernel says that a route, a neighbour or a link has changed.
import { createRtNetlink, rt, type RtNetlinkSocket } from 'netlink';
import type { ViewerSpec } from '../path/ports.js';
import { addressBytes, addressText, familyOf, isLinkLocal, zoneOf } from '../state/address.js';
import { isMulticastGroup } from '../state/multicast-addresses.js';
import { multicastMac } from './address.js';
import { hearRouteEvents } from './route-events.js';
import { portOfPrivateDevice } from './private-veth.js';
import type { Hearing } from './rtnetlink-events.js';

const FROM = ' from ';
const UDP = Buffer.of(17);
const FAMILY = { 4: { number: 2, bits: 32 }, 6: { number: 10, bits: 128 } } as const; // AF_INET, AF_INET6
/** The loopback device has this number in every network namespace. */
const LOOPBACK = 1;
const NLM_F_CREATE = 0x400;
/** How long an address may take to be resolved (ARP, RFC 4861) before a viewer is served otherwise. */
const RESOLVE_MS = 1000;
const POLL_MS = 20;
/** Changes come in bursts; one look after the burst is enough. */
const SETTLE_MS = 50;
/** Copies do not pass the neighbour table, so it is told now and then that its entries are in use. */
const REFRESH_MS = 20_000;
/** Addresses that nobody watches any more are still followed until the second refresh, so many at most: viewers come again. */
const MOST_IDLE = 1024;

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  readonly mac: Buffer;
  readonly type: 'ethernet' | 'loopback' | 'other';
}

export type NextHop =
  /** Over Ethernet. */
  | { readonly to: 'neighbour'; readonly link: Link; readonly mac: Buffer }
  /** An address of this host; `only`: no other device than the loopback may take packets to it (::1). */
  | { readonly to: 'local'; readonly link: Link; readonly only: boolean }
  /** It cannot be reached with an Ethernet frame of ours; `why` is a sentence. */
  | { readonly to: 'nowhere'; readonly why: string };

interface Known {
  readonly hop: NextHop;
  /** The address on the link that is asked for its MAC: the gateway, or the destination itself. */
  readonly via: string | undefined;
}

/**
 * What NextHops is asked for: an address, with ours that its copies come from, for rules may look at that (`10.1.2.3 from
 * 10.0.0.1`), or a group with the device by which it is reached (`239.1.2.3%eth0`).
 */
export function destinationOf({ address, localAddress, multicast }: ViewerSpec): string {
  return multicast ? `${address}%${multicast.device.name}` : `${address}${FROM}${localAddress}`;
}

export class NextHops {
  readonly #socket: RtNetlinkSocket;
  readonly #known = new Map<string, Known>();
  readonly #watchers = new Map<string, number>();
  /** Known and not watched, those first that have been so for longest; true: since before the last refresh. */
  readonly #idle = new Map<string, boolean>();
  /** Addresses that are being resolved: many viewers may come from one at once. */
  readonly #asked = new Map<string, Promise<Known>>();
  readonly #onChange: (address: string, hop: NextHop) => void;
  readonly #events: Hearing;
  readonly #refresh: NodeJS.Timeout;
  #settling: NodeJS.Timeout | undefined;
  /** The last question put: answers queue in the socket, and more than some 90 of them would end the process (adr/0006). */
  #asking: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** `onChange` is called for each watched address that from now on leaves another way. */
  constructor(onChange: (address: string, hop: NextHop) => void) {
    this.#onChange = onChange;
    this.#socket = createRtNetlink();
    this.#events = hearRouteEvents((neighbour) => this.#notice(neighbour));
    this.#refresh = setInterval(() => {
      this.#forgetIdle();
      void this.#useNeighbours();
    }, REFRESH_MS);
    this.#refresh.unref();
  }

  /** Resolves an address, with or without ours, or a group (destinationOf), waking the neighbour where its MAC is not known yet (at most RESOLVE_MS). */
  async resolve(address: string): Promise<NextHop> {
    return (this.#known.get(address) ?? (await this.#ask(address))).hop;
  }

  /** Resolves it, and reports changes until as many calls of unwatch(). */
  async watch(address: string): Promise<NextHop> {
    this.#watchers.set(address, (this.#watchers.get(address) ?? 0) + 1);
    this.#idle.delete(address);
    const known = this.#known.get(address);
    if (known && known.hop.to !== 'nowhere') return known.hop;
    let asked = this.#asked.get(address);
    if (!asked) {
      asked = this.#ask(address).finally(() => this.#asked.delete(address));
      this.#asked.set(address, asked);
    }
    const found = await asked;
    if (this.#watchers.has(address)) this.#known.set(address, found);
    return found.hop;
  }

  unwatch(address: string): void {
    const left = (this.#watchers.get(address) ?? 0) - 1;
    if (left > 0) {
      this.#watchers.set(address, left);
      return;
    }
    this.#watchers.delete(address);
    if (this.#known.get(address)?.hop.to === 'nowhere') this.#known.delete(address);
    if (!this.#known.has(address)) return;
    this.#idle.set(address, false);
    const [longest] = this.#idle.keys();
    if (this.#idle.size > MOST_IDLE) this.#forget(longest!);
  }

  #forget(address: string): void {
    this.#idle.delete(address);
    this.#known.delete(address);
  }

  #forgetIdle(): void {
    for (const [address, isOld] of [...this.#idle]) {
      if (isOld) this.#forget(address);
      else this.#idle.set(address, true);
    }
  }

  /** Devices that are up and carry Ethernet frames, the engine's own left out. */
  async devices(): Promise<Link[]> {
    const links = (await this.#put(() => this.#socket.getLinks()))
      .filter((answer) => answer.data.flags?.up)
      .map(toLink);
    return links.filter((link) => link.type !== 'other' && portOfPrivateDevice(link.name) === undefined);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#refresh);
    clearTimeout(this.#settling);
    this.#events.close();
    this.#socket.socket.close();
  }

  async #ask(destination: string): Promise<Known> {
    const [address = '', from] = destination.split(FROM);
    const [group = '', device] = address.split('%');
    const isGroup = device !== undefined && isMulticastGroup(group);
    try {
      if (isGroup) return await this.#askGroup(group, device);
      const route = await this.#route(address, from);
      const link = await this.#link(route.oif);
      if (route.local) return { hop: { to: 'local', link, only: address === '::1' }, via: undefined };
      if (link.type !== 'ethernet') return nowhere(`device ${link.name} is not an Ethernet device`);
      const mac = await this.#neighbour(link, route.via);
      const protocol = familyOf(route.via) === 4 ? 'ARP' : 'neighbour solicitation';
      if (!mac) return nowhere(`${route.via} does not answer ${protocol} on ${link.name}`);
      return { hop: { to: 'neighbour', link, mac }, via: route.via };
    } catch (error) {
      return nowhere(`no route to ${address}: ${(error as Error).message}`);
    }
  }

  async #askGroup(group: string, device: string): Promise<Known> {
    const link = (await this.devices()).find(({ name }) => name === device);
    if (!link) return nowhere(`device ${device} is down, or no Ethernet device`);
    if (link.type === 'loopback') return nowhere('multicast does not loop');
    return { hop: { to: 'neighbour', link, mac: multicastMac(group) }, via: undefined };
  }

  /** One question at a time. */
  #put<T>(question: () => Promise<T>): Promise<T> {
    const answer = this.#asking.then(question);
    this.#asking = answer.catch(() => undefined);
    return answer;
  }

  /** For UDP, which rules may look at as well. */
  async #route(address: string, from?: string): Promise<{ oif: number; via: string; local: boolean }> {
    const { number: family, bits } = FAMILY[familyOf(address)];
    const dst = Buffer.from(addressBytes(address));
    const zone = await this.#zone(address);
    const to = { dst, ipProto: UDP, ...(zone !== undefined && { oif: zone }) };
    const anyhow = () => this.#put(() => this.#socket.getRoute({ family, dstLen: bits }, to));
    const src = from !== undefined && familyOf(from) === familyOf(address) && Buffer.from(addressBytes(from));
    const [answer] = src
      ? await this.#put(() =>
          this.#socket.getRoute({ family, dstLen: bits, srcLen: bits }, { ...to, src }),
        ).catch(anyhow) // IPv4 says EINVAL where ours is not of this host (a transparent proxy's)
      : await anyhow();
    const local = answer?.data.type === 'LOCAL';
    const oif = local ? LOOPBACK : answer?.attrs.oif; // IPv6 names the device that has the address
    if (oif === undefined) throw new Error('the kernel names no device');
    return { oif, via: addressText(answer?.attrs.gateway ?? dst), local };
  }

  /** The device that a link-local address belongs to. */
  async #zone(address: string): Promise<number | undefined> {
    if (!isLinkLocal(address)) return undefined;
    const zone = zoneOf(address);
    if (zone === undefined) throw new Error('a link-local address needs its zone (fe80::1%eth0)');
    const [answer] = await this.#put(() => this.#socket.getLink({}, { ifname: zone }));
    return answer?.data.index;
  }

  async #link(ifindex: number): Promise<Link> {
    const [answer] = await this.#put(() => this.#socket.getLink({ index: ifindex }));
    if (!answer) throw new Error(`no device ${ifindex}`);
    return toLink(answer);
  }

  /** The MAC, asking the kernel to find it when it is not known; undefined when nobody answers. */
  async #neighbour(link: Link, via: string): Promise<Buffer | undefined> {
    const until = performance.now() + RESOLVE_MS;
    for (let asked = false; ; asked = true) {
      const mac = await this.#lookUp(link.ifindex, via);
      if (mac || performance.now() > until || this.#closed) return mac;
      if (!asked) await this.#use(link.ifindex, via);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #lookUp(ifindex: number, via: string): Promise<Buffer | undefined> {
    try {
      const neighbour = { dst: Buffer.from(addressBytes(via)) };
      const [found] = await this.#put(() =>
        this.#socket.getNeighbor({ family: FAMILY[familyOf(via)].number, ifindex }, neighbour),
      );
      const state = found?.data.state;
      return state?.failed || state?.incomplete ? undefined : found?.attrs.lladdr;
    } catch {
      return undefined; // ENOENT: never heard of
    }
  }

  /** NTF_USE: as if a packet had been sent to it. */
  async #use(ifindex: number, via: string): Promise<void> {
    const neighbour = { dst: Buffer.from(addressBytes(via)) };
    const use = { family: FAMILY[familyOf(via)].number, ifindex, flags: { use: true } as const };
    await this.#put(() => this.#socket.newNeighbor(use, neighbour, { flags: NLM_F_CREATE })).catch(
      () => undefined,
    );
  }

  async #useNeighbours(): Promise<void> {
    const seen = new Set<string>();
    for (const { hop, via } of this.#known.values()) {
      if (hop.to !== 'neighbour' || !via || seen.has(`${via}%${hop.link.name}`)) continue;
      seen.add(`${via}%${hop.link.name}`); // routers' link-local addresses may be the same on every link
      await this.#use(hop.link.ifindex, via);
    }
  }

  /** A change of a neighbour concerns those behind it, anything else everybody. */
  #notice(neighbour: string | undefined): void {
    if (neighbour !== undefined && ![...this.#known.values()].some(({ via }) => via === neighbour)) return;
    this.#lookAgainSoon();
  }

  #lookAgainSoon(): void {
    if (this.#closed) return;
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      void this.#lookAgain();
    }, SETTLE_MS);
  }

  async #lookAgain(): Promise<void> {
    for (const [address, before] of [...this.#known]) {
      const now = await this.#ask(address);
      if (this.#closed) return;
      if (this.#known.get(address) !== before || sameHop(before.hop, now.hop)) continue;
      this.#known.set(address, now);
      if (this.#watchers.has(address)) this.#onChange(address, now.hop);
      else if (now.hop.to === 'nowhere') this.#forget(address);
    }
  }
}

function toLink({ data, attrs }: rt.LinkMessage): Link {
  const type = data.type === 'ETHER' ? 'ethernet' : data.type === 'LOOPBACK' ? 'loopback' : 'other';
  const ifindex = data.index ?? 0;
  return {
    ifindex,
    name: attrs.ifname ?? `${ifindex}`,
    mtu: attrs.mtu ?? 1500,
    mac: attrs.address ?? Buffer.alloc(6),
    type,
  };
}

function nowhere(why: string): Known {
  return { hop: { to: 'nowhere', why }, via: undefined };
}

function sameHop(a: NextHop, b: NextHop): boolean {
  if (a.to === 'nowhere' || b.to === 'nowhere') return a.to === b.to;
  if (a.link.ifindex !== b.link.ifindex || a.link.mtu !== b.link.mtu || !a.link.mac.equals(b.link.mac))
    return false;
  return a.to === 'neighbour' && b.to === 'neighbour' ? a.mac.equals(b.mac) : a.to === b.to;
}
