// SPDX-License-Identifier: Apache-2.0
// The proxy: builds the tables that the stories share, runs the one timer, opens and closes the listener.

import type { ProxyView, StatusRow } from '../api/types.js';
import type { PathTable } from '../config/path-table.js';
import { endpointText } from '../state/address.js';
import { Channels } from '../state/channels.js';
import { Deadlines, TICK_MS, type Deadline } from '../state/deadlines.js';
import { Destinations } from '../state/destinations.js';
import { Gate } from '../state/gate.js';
import { ExpiringLru } from '../state/expiring-lru.js';
import { DEFAULT_LIMITS, type Limits } from '../state/limits.js';
import { MulticastAddresses, type MulticastNetwork } from '../state/multicast-addresses.js';
import { SessionTable } from '../state/session-table.js';
import { Tally } from '../state/tally.js';
import { AlwaysOn } from './always-on.js';
import { Authentication, CHALLENGED } from './authentication.js';
import { nowMs, type Context } from './context.js';
import type { Datapath, Endpoint, ListenAt, Listener, Log, Notebook, Random, Surroundings } from './ports.js';
import { Publications } from './publications.js';
import { clientRow, pathRows, publisherRow, reportRows, statusRow, streamRow } from './read-model.js';
import { NO_NOTEBOOK, recordsOf, type ProxyRecord, type Records, type SessionRecord } from './records.js';
import { reload } from './reload.js';
import { Requests, type Story } from './request.js';
import { Resources } from './resources.js';
import { restoreResources, restoreSessions } from './restore.js';
import { SentTotals } from './sent-totals.js';
import { Troubles } from './troubles.js';

export interface ProxyOptions extends Surroundings {
  /** What viewers may ask for. */
  readonly paths: PathTable;
  /** Where that was said, for people: the source's URL, or a file. */
  readonly source: string;
  readonly listen: ListenAt;
  /** Stays the caller's: closing the proxy removes its streams, not the engine. */
  readonly datapath: Datapath;
  readonly log: Log;
  readonly limits?: Partial<Limits>;
  /** Where the next process reads what it must know of this one, and what a former one has noted. */
  readonly notebook?: Notebook;
  readonly records?: Records;
  /** Where viewers who ask for multicast get it; undefined: they do not. */
  readonly multicast?: MulticastOptions | undefined;
}

export interface MulticastOptions {
  readonly network: MulticastNetwork;
  /** 1 to 255. */
  readonly ttl: number;
  /** Name or address of a device; undefined: the one that leads to the viewer. */
  readonly device: string | undefined;
}

export interface Proxy extends ProxyView {
  /** Resolves with the address that viewers can connect to; rejects with one sentence for the command line. */
  listen(): Promise<Endpoint>;
  /** Where viewers can connect to with TLS; undefined before listen(), too. */
  readonly tlsAddress: Endpoint | undefined;
  /** Another table of paths takes effect. */
  reload(paths: PathTable): void;
  /** Reads certificate and key again. @throws Error, one sentence: they stay as they were */
  reloadTls(): void;
  /** Takes no further request; resolves when those under way are answered: the next process can go on from here. */
  quiesce(): Promise<void>;
  /** Tells viewers and source, closes everything. */
  close(): Promise<void>;
}

/** Refused RTCP and requests are told in the log by a summary, at most this often. */
const SUMMARY_MS = 10_000;

export function createProxy(options: ProxyOptions): Proxy {
  return new FanOutProxy(options);
}

class FanOutProxy implements Proxy {
  readonly #options: ProxyOptions;
  readonly #story: Story;
  readonly #startedMs: number;
  readonly #alwaysOn: AlwaysOn;
  #listener: Listener | undefined;
  #stopTimer: (() => void) | undefined;
  #summary: Deadline | undefined;
  #summarised = '{}';

  constructor(options: ProxyOptions) {
    this.#options = options;
    const context = buildContext(options);
    this.#story = {
      ...context,
      resources: new Resources(context),
      authentication: new Authentication(context),
    };
    this.#alwaysOn = new AlwaysOn(context, this.#story.resources);
    this.#startedMs = nowMs(options.clock);
  }

  async listen(): Promise<Endpoint> {
    const { openListener, listen, timers, log } = this.#options;
    const { deadlines, limits, refused } = this.#story;
    const requests = new Requests(this.#story);
    const records = this.#formerRecords();
    const resources = await restoreResources(this.#story, records);
    this.#listener = await openListener(listen, { requests, deadlines, limits, refused, log });
    this.#stopTimer = timers.every(TICK_MS, () => deadlines.advance());
    this.#summariseLater();
    this.#alwaysOn.follow(this.#options.paths); // before what nobody watches is ended
    const viewers = await restoreSessions(this.#story, this.#listener, resources, records);
    this.#options.datapath.settled?.();
    this.#options.former.deliver();
    if (records.size > 0)
      log.info({ viewers, resources: resources.size }, 'took over from the former process');
    return this.#listener.address;
  }

  get tlsAddress(): Endpoint | undefined {
    return this.#listener?.tlsAddress;
  }

  reload(paths: PathTable): void {
    reload(this.#story, paths);
    this.#alwaysOn.follow(paths);
  }

  reloadTls(): void {
    this.#listener?.reloadTls();
  }

  async quiesce(): Promise<void> {
    await this.#listener?.quiesce();
  }

  /** Also notes what this process is. Another address or source than before is another proxy: nothing is taken over. */
  #formerRecords(): Records {
    const { records = new Map(), notebook, log, listen, source } = this.#options;
    const { cname } = this.#story;
    const mine: ProxyRecord = {
      listen: `${listen.host}:${listen.port}`,
      source,
      cname,
    };
    notebook?.put('proxy', mine);
    const former = records.get('proxy') as ProxyRecord | undefined;
    if (!former || (former.listen === mine.listen && former.source === mine.source)) return records;
    log.warn({ former, mine }, 'the former process served something else: its viewers are not taken over');
    return new Map();
  }

  /** From above: no newcomers, then the viewers, then what they watched, last the clock. */
  async close(): Promise<void> {
    this.#summary?.cancel();
    for (const session of this.#story.sessions.all()) session.evict('the proxy stops');
    for (const publication of this.#story.publications.all()) publication.evict('the proxy stops');
    await this.#listener?.close();
    this.#alwaysOn.close();
    await this.#story.resources.close('the proxy stops');
    this.#stopTimer?.();
  }

  clients() {
    const { sessions, publications } = this.#story;
    return [
      ...sessions.all().map(clientRow),
      ...publications.all().map((one) => publisherRow(this.#story, one)),
    ];
  }

  reports() {
    return this.#story.sessions.all().flatMap(reportRows);
  }

  streams() {
    const { resources } = this.#story;
    return [...resources.all].map((resource) => streamRow(resource, resources.isOpen(resource)));
  }

  paths() {
    return pathRows(this.#story, this.#story.resources.all);
  }

  status(): StatusRow {
    const { address, port } = this.#listener?.address ?? { address: '', port: 0 };
    return {
      ...statusRow(this.#story),
      listen: this.#listener ? endpointText(address, port) : '',
      source: this.#options.source,
      uptimeMs: nowMs(this.#story.clock) - this.#startedMs,
      connections: this.#listener?.connections ?? 0,
      streams: this.#story.resources.all.size,
    };
  }

  kick(id: number): boolean {
    const { sessions, publications } = this.#story;
    const kicked = sessions.numbered(id) ?? publications.numbered(id);
    kicked?.evict('kicked');
    return kicked !== undefined;
  }

  flush(): number {
    const viewers = this.#story.sessions.size;
    void this.#story.resources.close('flushed');
    return viewers;
  }

  #summariseLater(): void {
    this.#summary = this.#story.deadlines.in(SUMMARY_MS, () => {
      const { [CHALLENGED]: _, ...refused } = this.#story.refused.toObject(); // that is how a login begins
      const text = JSON.stringify(refused);
      if (text !== this.#summarised) this.#story.log.info({ refused }, 'refused so far');
      this.#summarised = text;
      this.#summariseLater();
    });
  }
}

/** From a random one on: the former process's viewers may still be in groups. */
function addressesOf({ network }: MulticastOptions, random: Random): MulticastAddresses {
  return new MulticastAddresses(network, random(2).readUInt16BE());
}

function buildContext(options: ProxyOptions): Context {
  const { paths, datapath, connect, bindUdpPair, joinGroup, deviceFor, former, askHook } = options;
  const { clock, random, log, multicast, records } = options;
  const limits: Limits = { ...DEFAULT_LIMITS, ...options.limits };
  const table = { table: paths };
  // Numbers that are still in the kernel are not given again.
  const sessions = recordsOf<SessionRecord>(records ?? new Map(), 'session');
  let viewerId = sessions
    .flatMap(({ tracks }) => tracks)
    .reduce((most, { id }) => Math.max(most, id ?? 0), 0);
  return {
    paths: table,
    datapath,
    connect,
    bindUdpPair,
    joinGroup,
    deviceFor,
    askHook,
    multicast: multicast && { ...multicast, addresses: addressesOf(multicast, random) },
    former,
    notebook: options.notebook ?? NO_NOTEBOOK,
    clock,
    random,
    log,
    limits,
    starts: new Gate(limits.startsAtOnce),
    deadlines: new Deadlines(() => nowMs(clock)),
    refused: new Tally(),
    troubles: new Troubles(table, clock, log),
    sent: new SentTotals(table),
    sessions: new SessionTable({ inAll: limits.sessions, perAddress: limits.sessionsPerAddress }, random),
    publications: new Publications(limits.publications),
    links: new WeakMap(),
    destinations: new Destinations(),
    channels: new Channels(),
    described: new ExpiringLru(limits.descriptions, limits.descriptionMs),
    cname: (records?.get('proxy') as ProxyRecord | undefined)?.cname ?? random(12).toString('base64'),
    nextViewerId: () => (viewerId = viewerId === 0xffff_ffff ? 1 : viewerId + 1),
  };
}
