// SPDX-License-Identifier: Apache-2.0
// The proxy: builds the tables that the stories share, runs the one timer, opens and closes the listener.

import type { ProxyView, StatusRow } from '../api/types.js';
import { formatRtspUrl, withoutCredentials, type RtspUrl } from '../rtsp/url.js';
import { Deadlines, TICK_MS, type Deadline } from '../state/deadlines.js';
import { Destinations } from '../state/destinations.js';
import { ExpiringLru } from '../state/expiring-lru.js';
import { DEFAULT_LIMITS, type Limits } from '../state/limits.js';
import { MulticastAddresses, type MulticastNetwork } from '../state/multicast-addresses.js';
import { SessionTable } from '../state/session-table.js';
import { Tally } from '../state/tally.js';
import { nowMs, type Context } from './context.js';
import type { Datapath, Endpoint, Listener, Log, Surroundings } from './ports.js';
import { clientRow, statusRow, streamRow } from './read-model.js';
import { Requests, type Story } from './request.js';
import { Resources } from './resources.js';

export interface ProxyOptions extends Surroundings {
  /** The source: its server, and the path that our root URL stands for. */
  readonly upstream: RtspUrl;
  readonly listen: { readonly host: string; readonly port: number };
  /** Stays the caller's: closing the proxy removes its streams, not the engine. */
  readonly datapath: Datapath;
  readonly log: Log;
  readonly limits?: Partial<Limits>;
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
  #listener: Listener | undefined;
  #stopTimer: (() => void) | undefined;
  #summary: Deadline | undefined;
  #summarised = '{}';

  constructor(options: ProxyOptions) {
    this.#options = options;
    const context = buildContext(options);
    this.#story = { ...context, resources: new Resources(context) };
    this.#startedMs = nowMs(options.clock);
  }

  async listen(): Promise<Endpoint> {
    const { openListener, listen, timers, log } = this.#options;
    const { deadlines, limits, refused } = this.#story;
    const requests = new Requests(this.#story);
    this.#listener = await openListener(listen, { requests, deadlines, limits, refused, log });
    this.#stopTimer = timers.every(TICK_MS, () => deadlines.advance());
    this.#summariseLater();
    return this.#listener.address;
  }

  /** From above: no newcomers, then the viewers, then what they watched, last the clock. */
  async close(): Promise<void> {
    this.#summary?.cancel();
    for (const session of this.#story.sessions.all()) session.evict('the proxy stops');
    await this.#listener?.close();
    await this.#story.resources.close('the proxy stops');
    this.#stopTimer?.();
  }

  clients() {
    return this.#story.sessions.all().map(clientRow);
  }

  streams() {
    return [...this.#story.resources.all].map(streamRow);
  }

  status(): StatusRow {
    const { address, port } = this.#listener?.address ?? { address: '', port: 0 };
    return {
      ...statusRow(this.#story),
      listen: this.#listener ? `${address}:${port}` : '',
      source: formatRtspUrl(this.#story.source),
      uptimeMs: nowMs(this.#story.clock) - this.#startedMs,
      connections: this.#listener?.connections ?? 0,
      streams: this.#story.resources.all.size,
    };
  }

  kick(id: number): boolean {
    const session = this.#story.sessions.numbered(id);
    session?.evict('kicked');
    return session !== undefined;
  }

  flush(): number {
    const viewers = this.#story.sessions.size;
    void this.#story.resources.close('flushed');
    return viewers;
  }

  #summariseLater(): void {
    this.#summary = this.#story.deadlines.in(SUMMARY_MS, () => {
      const refused = this.#story.refused.toObject();
      const text = JSON.stringify(refused);
      if (text !== this.#summarised) this.#story.log.info({ refused }, 'refused so far');
      this.#summarised = text;
      this.#summariseLater();
    });
  }
}

function buildContext(options: ProxyOptions): Context {
  const { upstream, datapath, connect, bindUdpPair, joinGroup, deviceFor, clock, random, log } = options;
  const { multicast } = options;
  const limits: Limits = { ...DEFAULT_LIMITS, ...options.limits };
  let viewerId = 0;
  return {
    source: withoutCredentials(upstream),
    datapath,
    connect,
    bindUdpPair,
    joinGroup,
    deviceFor,
    multicast: multicast && { ...multicast, addresses: new MulticastAddresses(multicast.network) },
    clock,
    random,
    log,
    limits,
    deadlines: new Deadlines(() => nowMs(clock)),
    refused: new Tally(),
    sessions: new SessionTable(limits.sessions, random),
    links: new Map(),
    destinations: new Destinations(),
    described: new ExpiringLru(limits.descriptions, limits.descriptionMs),
    cname: random(12).toString('base64'),
    nextViewerId: () => (viewerId = viewerId === 0xffff_ffff ? 1 : viewerId + 1),
  };
}
