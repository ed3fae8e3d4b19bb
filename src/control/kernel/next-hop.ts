// SPDX-License-Identifier: Apache-2.0
// Where a datagram to an address leaves this host, and to which Ethernet address: asked from the kernel over rtnetlink
// and kept until the kernel says that a route, a neighbour or a link has changed.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ViewerSpec } from '../path/ports.js';
import { familyOf, isLinkLocal, withoutZone, zoneOf } from '../state/address.js';
import { isMulticastGroup } from '../state/multicast-addresses.js';
import { multicastMac } from './address.js';
import { Links, type AskLink, type Link } from './links.js';
import { Neighbours } from './neighbours.js';
import { hearRouteEvents } from './route-events.js';
import type { Hearing } from './rtnetlink-events.js';
import { RtnetlinkQuestions, type Neighbour, type Route } from './rtnetlink-questions.js';

const FROM = ' from ';
/** The loopback device has this number in every network namespace. */
const LOOPBACK = 1;
/** Changes come in bursts; one look after the burst is enough. */
const SETTLE_MS = 50;
/** Addresses that are looked at before others have their turn: a few milliseconds. */
const AT_ONCE = 256;
/** Copies do not pass the neighbour table, so it is told now and then that its entries are in use. And nobody tells us of a path's
 * MTU, which is asked for as often; the kernel forgets it after ten minutes. */
const REFRESH_MS = 20_000;
/** Addresses that nobody watches any more are still followed until the second refresh, so many at most: viewers come again. */
const MOST_IDLE = 1024;

export type NextHop =
  /** Over Ethernet. `mtu`: largest IP packet that the whole way takes, as far as is known, bytes. */
  | { readonly to: 'neighbour'; readonly link: Link; readonly mac: Buffer; readonly mtu: number }
  /** An address of this host; `only`: no other device than the loopback may take packets to it (::1). */
  | { readonly to: 'local'; readonly link: Link; readonly only: boolean }
  /** It cannot be reached with an Ethernet frame of ours; `why` is a sentence. */
  | { readonly to: 'nowhere'; readonly why: string };

/** What routes and links say: the next hop, or the device and the neighbour on it, the gateway or the destination itself. */
type Place =
  { readonly hop: NextHop } | { readonly link: Link; readonly mtu: number; readonly via: Neighbour };

interface Known {
  place: Place;
  hop: NextHop;
  /** The last time that its route was asked for: the answer to an earlier one does not count. */
  turn: number;
}

/**
 * What NextHops is asked for: an address, with ours that its copies come from, for rules may look at that (`10.1.2.3 from
 * 10.0.0.1`), or a group with the device by which it is reached (`239.1.2.3%eth0`).
 */
export function destinationOf({ address, localAddress, multicast }: ViewerSpec): string {
  return multicast ? `${address}%${multicast.device.name}` : `${address}${FROM}${localAddress}`;
}

export class NextHops {
  readonly #questions = new RtnetlinkQuestions();
  readonly #links = new Links();
  readonly #neighbours: Neighbours;
  readonly #known = new Map<string, Known>();
  readonly #watchers = new Map<string, number>();
  /** Known and not watched, those first that have been so for longest; true: since before the last refresh. */
  readonly #idle = new Map<string, boolean>();
  /** Addresses that are being resolved: many viewers may come from one at once. */
  readonly #asked = new Map<string, Promise<Place>>();
  readonly #onChange: (changed: ReadonlyMap<string, NextHop>) => void;
  /** Not told yet. */
  #changed: Map<string, NextHop> | undefined;
  readonly #events: Hearing;
  readonly #refresh: NodeJS.Timeout;
  /** Something has changed since the last look at all of them. */
  #isStale = false;
  #looking = false;
  #looks = 0;
  #closed = false;

  /** `onChange` is called with watched addresses that from now on leave another way. */
  constructor(onChange: (changed: ReadonlyMap<string, NextHop>) => void, refreshMs = REFRESH_MS) {
    this.#onChange = onChange;
    this.#neighbours = new Neighbours(this.#questions, (via, behind) => {
      for (const address of [...behind]) this.#neighbourChanged(address, via);
    });
    this.#events = hearRouteEvents({
      neighbour: (said) => this.#neighbours.heard(said),
      others: () => this.#lookAgainSoon(),
    });
    this.#refresh = setInterval(() => {
      this.#forgetIdle();
      this.#neighbours.use();
      this.#lookAgainSoon();
    }, refreshMs);
    this.#refresh.unref();
  }

  /** How often all known addresses have been looked at again. */
  get looks(): number {
    return this.#looks;
  }

  /** How many questions about routes and neighbours that, and viewers who came, have taken. */
  get questions(): number {
    return this.#questions.count;
  }

  /** Resolves an address, with or without ours, or a group (destinationOf), waking the neighbour where its MAC is not known yet (at most RESOLVE_MS). */
  async resolve(address: string): Promise<NextHop> {
    return this.#known.get(address)?.hop ?? hopOf(await this.#ask(address));
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
    const place = await asked;
    return this.#watchers.has(address) ? this.#remember(address, place).hop : hopOf(place);
  }

  unwatch(address: string): void {
    const left = (this.#watchers.get(address) ?? 0) - 1;
    if (left > 0) {
      this.#watchers.set(address, left);
      return;
    }
    this.#watchers.delete(address);
    if (this.#known.get(address)?.hop.to === 'nowhere') this.#forget(address);
    if (!this.#known.has(address)) return;
    this.#idle.set(address, false);
    const [longest] = this.#idle.keys();
    if (this.#idle.size > MOST_IDLE) this.#forget(longest!);
  }

  #remember(address: string, place: Place): Known {
    const known = this.#known.get(address) ?? { place, hop: hopOf(place), turn: 0 };
    this.#known.set(address, known);
    known.turn++;
    this.#move(address, known, place);
    known.hop = hopOf(known.place);
    return known;
  }

  #forget(address: string): void {
    const known = this.#known.get(address);
    if (known && 'via' in known.place) this.#neighbours.leave(known.place.via, address);
    this.#idle.delete(address);
    this.#known.delete(address);
  }

  #forgetIdle(): void {
    for (const [address, isOld] of [...this.#idle]) {
      if (isOld) this.#forget(address);
      else this.#idle.set(address, true);
    }
  }

  /** All there are, and of them those that are up and carry Ethernet frames, the engine's own left out. */
  devices(): Promise<{ all: Link[]; carriers: Link[] }> {
    return this.#links.all();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#refresh);
    this.#events.close();
    this.#neighbours.close();
    this.#links.close();
    this.#questions.close();
  }

  async #ask(destination: string): Promise<Place> {
    const place = await this.#locate(destination, this.#links.onceEach());
    if (!('via' in place) || place.via.mac) return place;
    return { ...place, via: await this.#neighbours.find(place.via) };
  }

  async #locate(destination: string, link: AskLink): Promise<Place> {
    const [address = '', from] = destination.split(FROM);
    const [group = '', device] = address.split('%');
    try {
      if (device !== undefined && isMulticastGroup(group)) return await this.#locateGroup(group, device);
      const route = await this.#route(address, from, link);
      const at = await link(route.local ? LOOPBACK : route.ifindex); // of its own address, IPv6 names the device that has it
      if (route.local) return { hop: { to: 'local', link: at, only: address === '::1' } };
      if (at.type !== 'ethernet') return nowhere(`device ${at.name} is not an Ethernet device`);
      const via = this.#neighbours.get(at.ifindex, route.gateway ?? withoutZone(address));
      return { link: at, mtu: Math.min(at.mtu, route.mtu ?? at.mtu), via };
    } catch (error) {
      return nowhere(`no route to ${address}: ${(error as Error).message}`);
    }
  }

  async #locateGroup(group: string, device: string): Promise<Place> {
    const link = (await this.devices()).carriers.find(({ name }) => name === device);
    if (!link) return nowhere(`device ${device} is down, or no Ethernet device`);
    if (link.type === 'loopback') return nowhere('multicast does not loop');
    return { hop: { to: 'neighbour', link, mac: multicastMac(group), mtu: link.mtu } };
  }

  /** For UDP, which rules may look at as well. */
  async #route(address: string, from: string | undefined, link: AskLink): Promise<Route> {
    const question = { to: withoutZone(address), device: await zoneIndex(address, link) };
    if (from !== undefined && familyOf(from) === familyOf(address))
      try {
        return this.#questions.route({ ...question, from: withoutZone(from) });
      } catch {
        // IPv4 says EINVAL where ours is not of this host (a transparent proxy's)
      }
    return this.#questions.route(question);
  }

  #lookAgainSoon(): void {
    this.#isStale = true;
    if (!this.#looking) void this.#lookWhileStale();
  }

  /** One look at a time, however long it takes and whatever changes meanwhile. */
  async #lookWhileStale(): Promise<void> {
    this.#looking = true;
    while (this.#isStale) {
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      this.#isStale = false;
      await this.#lookAtAll();
    }
    this.#looking = false;
  }

  async #lookAtAll(): Promise<void> {
    if (this.#closed) return;
    this.#looks++;
    this.#neighbours.lookAgain();
    const link = this.#links.onceEach();
    let looked = 0;
    for (const [address, known] of [...this.#known]) {
      if (this.#known.get(address) === known) await this.#lookAt(address, known, link);
      if (++looked % AT_ONCE === 0) await nextTurn();
      if (this.#closed) return;
    }
  }

  /** Does not wait for a neighbour that does not answer at once, so that no other address has to. */
  async #lookAt(address: string, known: Known, link: AskLink): Promise<void> {
    const turn = ++known.turn;
    const place = await this.#locate(address, link);
    const arrive = (at: Place) => {
      if (this.#closed || this.#known.get(address) !== known || known.turn !== turn) return;
      this.#move(address, known, at);
      this.#settle(address);
    };
    if (!('via' in place) || place.via.mac) return arrive(place);
    void this.#neighbours.find(place.via).then((via) => arrive({ ...place, via }));
  }

  #move(address: string, known: Known, place: Place): void {
    const before = known.place;
    known.place = 'via' in place ? { ...place, via: this.#neighbours.follow(place.via, address) } : place;
    if (!('via' in before)) return;
    const { ifindex, address: via } = before.via;
    if (!('via' in place) || place.via.ifindex !== ifindex || place.via.address !== via)
      this.#neighbours.leave(before.via, address);
  }

  #neighbourChanged(address: string, via: Neighbour): void {
    const known = this.#known.get(address);
    if (!known || !('via' in known.place)) return;
    known.place = { ...known.place, via };
    this.#settle(address);
  }

  /** Its route, its link or its neighbour may be another. */
  #settle(address: string): void {
    const known = this.#known.get(address)!;
    const hop = hopOf(known.place);
    if (sameHop(known.hop, hop)) return;
    known.hop = hop;
    if (this.#watchers.has(address)) this.#tell(address, hop);
    else if (hop.to === 'nowhere') this.#forget(address);
  }

  /** Those that change in one turn of the event loop are told together: thousands may be behind one gateway. */
  #tell(address: string, hop: NextHop): void {
    if (!this.#changed) {
      const changed = (this.#changed = new Map<string, NextHop>());
      setImmediate(() => {
        this.#changed = undefined;
        if (!this.#closed) this.#onChange(changed);
      });
    }
    this.#changed.set(address, hop);
  }
}

/** Of a link-local address: the device that it belongs to. */
async function zoneIndex(address: string, link: AskLink): Promise<number | undefined> {
  if (!isLinkLocal(address)) return undefined;
  const zone = zoneOf(address);
  if (zone === undefined) throw new Error('a link-local address needs its zone (fe80::1%eth0)');
  return (await link(zone)).ifindex;
}

function hopOf(place: Place): NextHop {
  if (!('via' in place)) return place.hop;
  const { link, mtu, via } = place;
  if (via.mac) return { to: 'neighbour', link, mac: via.mac, mtu };
  const protocol = familyOf(via.address) === 4 ? 'ARP' : 'neighbour solicitation';
  return { to: 'nowhere', why: `${via.address} does not answer ${protocol} on ${link.name}` };
}

function nowhere(why: string): Place {
  return { hop: { to: 'nowhere', why } };
}

function sameHop(a: NextHop, b: NextHop): boolean {
  if (a.to === 'nowhere' || b.to === 'nowhere') return a.to === b.to;
  if (a.link.ifindex !== b.link.ifindex || a.link.mtu !== b.link.mtu || !a.link.mac.equals(b.link.mac))
    return false;
  return a.to === 'neighbour' && b.to === 'neighbour'
    ? a.mac.equals(b.mac) && a.mtu === b.mtu
    : a.to === b.to;
}
