// SPDX-License-Identifier: Apache-2.0
// Many viewers of one URL: they join at a given rate, stay, and leave; what happened is summed up.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceTrust } from '../../src/control/path/ports.js';
import { ClientPorts, TooFewPorts } from './client-ports.js';
import { countAt, CountedMedia, keyOf, Reporter, type Got } from './counted.js';
import { countedOf, InterleavedMedia, lookRarely } from './interleaved.js';
import { Receiver } from './receiver.js';
import { Viewer } from './viewer.js';
import type { Counted } from '../wire/counter.js';
import type { PortRange } from '../wire/port-range.js';

export interface CrowdOptions {
  readonly url: string;
  readonly viewers: number;
  /** Joins per second. */
  readonly rate: number;
  /** Of the media; within the RTSP connection it is always counted. */
  readonly transport: 'udp' | 'tcp';
  /** Source addresses, used in turn; empty: the kernel's choice. */
  readonly addresses: readonly string[];
  /** First client port (even) and last; each address counts from the first. */
  readonly ports: PortRange;
  /** Bind the ports, count the media and send receiver reports. Otherwise no RTP port is bound. */
  readonly receive: boolean;
  /** Instead: the device where their media is counted and dropped. */
  readonly count?: string | undefined;
  /** Between receiver reports; undefined: none. */
  readonly reportMs: number | undefined;
  readonly timeoutMs: number;
  /** For rtsps://. Undefined: the authorities that Node knows. */
  readonly trust?: SourceTrust | undefined;
  /** They leave so long after the answer to PLAY, each by itself; undefined: with leave(), all together. */
  readonly stayMs?: number | undefined;
}

interface Member {
  readonly viewer: Viewer;
  readonly receivers: Receiver[];
  readonly reporters: Reporter[];
  readonly media?: InterleavedMedia;
  /** It leaves by itself (`stayMs`), or has left; what it got still counts. */
  leaves?: Promise<void>;
  left?: true;
}

export class Crowd {
  readonly #members: Member[] = [];
  readonly #joinMs: number[] = [];
  readonly #failures = new Map<string, number>();
  #perSecond = NaN;
  /** How late this process itself was while they joined. */
  readonly #ownDelay = monitorEventLoopDelay({ resolution: 1 });
  #reports: NodeJS.Timeout | undefined;
  #counted: CountedMedia | undefined;
  #lookOften = () => {};
  /** Undefined within the connections. */
  readonly #ports: ClientPorts | undefined;
  #tooFewPorts: TooFewPorts | undefined;

  /** @throws TooFewPorts. */
  constructor(readonly options: CrowdOptions) {
    const { transport, ports, viewers, addresses } = options;
    if (transport === 'udp') this.#ports = new ClientPorts(ports, viewers, Math.max(1, addresses.length));
  }

  /** Resolves when each viewer plays or has failed. Rejects with TooFewPorts when the first description asks for more than there are. */
  async join(): Promise<void> {
    const { viewers, rate, count, ports, reportMs, transport } = this.options;
    if (count !== undefined) this.#counted = new CountedMedia(await countAt(count, ports));
    if (transport === 'tcp')
      this.#counted = new CountedMedia({ read: () => this.#read(), detach: async () => {} });
    const start = performance.now();
    this.#ownDelay.enable();
    const joins: Promise<void>[] = [];
    for (let i = 0; i < viewers && !this.#tooFewPorts; i++) {
      const due = start + (i * 1000) / rate - performance.now();
      if (due > 0) await sleep(due);
      joins.push(this.#joinOne(i));
    }
    this.#perSecond = ((viewers - 1) * 1000) / (performance.now() - start);
    await Promise.all(joins);
    this.#ownDelay.disable();
    if (this.#tooFewPorts) {
      await this.leave();
      throw this.#tooFewPorts;
    }
    if (transport === 'tcp') this.#lookOften = lookRarely();
    if (reportMs !== undefined) this.#reports = setInterval(() => void this.#report(), reportMs);
  }

  /** With `count` or within the connections: what they got since the call before, or the beginning. */
  async got(): Promise<Got> {
    return this.#counting.got(this.#sections);
  }

  /** The same, always from the beginning. */
  async gotInAll(): Promise<Got> {
    return this.#counting.gotInAll(this.#sections);
  }

  get #counting(): CountedMedia {
    if (!this.#counted) throw new Error('nothing is counted');
    return this.#counted;
  }

  get #sections(): number {
    return this.#members.reduce((sum, { viewer }) => sum + viewer.tracks.length, 0);
  }

  async #read(): Promise<Counted> {
    return countedOf(this.#members.flatMap(({ media }) => media ?? []));
  }

  async #joinOne(index: number): Promise<void> {
    const { url, addresses, trust, timeoutMs, receive, count, reportMs } = this.options;
    const localAddress = addresses.length > 0 ? addresses[index % addresses.length] : undefined;
    const receivers: Receiver[] = [];
    const reporters: Reporter[] = [];
    const bind = async (rtpPort: number) => {
      if (receive) receivers.push(await Receiver.bind(localAddress, rtpPort));
      if (count !== undefined && reportMs !== undefined)
        reporters.push(await Reporter.bind(localAddress, rtpPort + 1));
    };
    const ports = this.#ports;
    const openPorts =
      ports &&
      (async (sections: number) => {
        const first = ports.firstOf(index, sections);
        for (let i = 0; i < sections; i++) await bind(first + 2 * i);
        return first;
      });
    const viewer = new Viewer(url, { localAddress, openPorts, trust, timeoutMs });
    const media = ports ? {} : { media: new InterleavedMedia(viewer) };
    const start = performance.now();
    try {
      await viewer.play();
      viewer.onLost = (reason) => this.#fail(`lost: ${reason}`);
      viewer.tracks.forEach(
        (track, s) => receivers[s] && (receivers[s].reception.clockRate = track.clockRate),
      );
      this.#joinMs.push(performance.now() - start);
      const member: Member = { viewer, receivers, reporters, ...media };
      this.#members.push(member);
      if (this.options.stayMs !== undefined) member.leaves = this.#leaveLater(member, this.options.stayMs);
    } catch (error) {
      for (const each of [...receivers, ...reporters]) each.close();
      if (error instanceof TooFewPorts) this.#tooFewPorts = error;
      else this.#fail((error as Error).message);
    }
  }

  #fail(reason: string): void {
    this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1);
  }

  async #report(): Promise<void> {
    const rows = this.options.count === undefined ? undefined : await this.#counting.rows();
    for (const { viewer, receivers, reporters, media, left } of this.#members) {
      if (left) continue;
      viewer.tracks.forEach((track, i) => {
        receivers[i]?.report(track);
        media?.report(i, track);
        const address = viewer.localAddress;
        if (rows && address) reporters[i]?.report(track, rows.get(keyOf({ address, port: track.rtpPort })));
      });
    }
  }

  /** After those who leave by themselves. */
  async leave(): Promise<void> {
    await Promise.all(this.#members.map(({ leaves }) => leaves));
    clearInterval(this.#reports);
    this.#lookOften();
    await Promise.all(this.#members.filter(({ left }) => !left).map((member) => this.#tearDown(member)));
    await this.#counted?.close();
  }

  async #leaveLater(member: Member, ms: number): Promise<void> {
    await sleep(ms);
    await this.#tearDown(member);
  }

  async #tearDown(member: Member): Promise<void> {
    const { viewer, receivers, reporters } = member;
    member.left = true;
    await viewer.teardown().catch((e: Error) => this.#fail(e.message));
    for (const each of [...receivers, ...reporters]) each.close();
  }

  /** What is printed as JSON. Latencies are from connect to the answer to PLAY, milliseconds. */
  summary() {
    const sorted = [...this.#joinMs].sort((a, b) => a - b);
    const at = (q: number) => Math.round((sorted[Math.ceil(q * sorted.length) - 1] ?? NaN) * 10) / 10;
    return {
      viewers: this.options.viewers,
      joined: sorted.length,
      failures: Object.fromEntries(this.#failures),
      perSecond: Math.round(this.#perSecond),
      joinMs: sorted.length > 0 ? { p50: at(0.5), p99: at(0.99), max: at(1) } : null,
      ownDelayMs: { p99: ms(this.#ownDelay.percentile(99)), max: ms(this.#ownDelay.max) },
      ...(this.options.receive && { received: this.#members.map(received) }),
    };
  }
}

/** From nanoseconds, to a tenth. */
function ms(ns: number): number {
  return Math.round(ns / 1e5) / 10;
}

export type CrowdSummary = ReturnType<Crowd['summary']>;

function received({ receivers }: Member) {
  return receivers.map(({ reception: { sequence, rtcp } }) => {
    const { packets, lost, duplicated, reordered, old } = sequence;
    return { packets, lost, duplicated, reordered, old, rtcp };
  });
}
