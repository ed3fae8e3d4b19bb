// SPDX-License-Identifier: Apache-2.0
// What a crowd has got between two looks: of one that binds no RTP port counted by a BPF program at the device and dropped there
// (tools/wire/counter), so that receiving costs next to nothing, and reported to the server like a player does, with what was counted.
import { type Socket, createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { buildReceiverReport } from '../../src/control/rtcp/build.js';
import type { ReportBlock } from '../../src/control/rtcp/packet.js';
import { Counter, MeasuringError, type Counted, type CounterRow } from '../wire/counter.js';
import type { PortRange } from '../wire/port-range.js';
import { SENDER } from './reception.js';
import type { Track } from './viewer.js';

/** What the viewers got between two readings; by sequence numbers, which are followed from a viewer's first packet on. */
export interface Got {
  readonly packets: number;
  /** UDP payload. */
  readonly bytes: number;
  /** Viewers' sections that got nothing. */
  readonly nothing: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  /** Of each section of each viewer that ever got something. */
  readonly losses: readonly number[];
}

const NOTHING: Counted = { rtp: 0, rtcp: 0, other: 0, aggregated: 0, overflow: 0, rows: [] };

/** Counts of each receiver from the beginning on. */
export interface Counting {
  read(): Promise<Counted>;
  detach(): Promise<unknown>;
}

export const countAt = (device: string, { low, high }: PortRange): Promise<Counting> =>
  Counter.here(device, `${low}-${high}`);

export class CountedMedia {
  #last = NOTHING;

  constructor(readonly counter: Counting) {}

  /** Since the call before. `sections`: those that play. */
  async got(sections: number): Promise<Got> {
    const now = await this.counter.read();
    const got = between(this.#last, now, sections);
    this.#last = now;
    return got;
  }

  async gotInAll(sections: number): Promise<Got> {
    return between(NOTHING, await this.counter.read(), sections);
  }

  async rows(): Promise<ReadonlyMap<string, CounterRow>> {
    const { rows } = await this.counter.read();
    return new Map(rows.map((row) => [keyOf(row), row]));
  }

  async close(): Promise<void> {
    await this.counter.detach();
  }
}

/** Of the receiver. */
export const keyOf = ({ address, port }: { address: string; port: number }) => `${address} ${port}`;

export function between(before: Counted, now: Counted, sections: number): Got {
  const { aggregated, overflow } = now;
  if (aggregated)
    throw new MeasuringError(
      `aggregated: ${aggregated} times several packets came as one (GRO or GSO), which cannot be counted`,
    );
  if (overflow)
    throw new MeasuringError(
      `overflow: ${overflow} packets were not counted: too many receivers, or too busy a machine`,
    );
  const key = (row: CounterRow) => `${keyOf(row)} ${row.ssrc}`;
  const old = new Map(before.rows.map((row) => [key(row), row]));
  const rows = now.rows.map((row) => {
    const was = old.get(key(row));
    const since = (of: (one: CounterRow) => number) => of(row) - (was ? of(was) : 0);
    return {
      packets: since((one) => one.packets),
      bytes: since((one) => one.bytes),
      lost: since((one) => one.lost),
      duplicated: since((one) => one.duplicated + one.old),
      reordered: since((one) => one.reordered),
    };
  });
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((all, row) => all + of(row), 0);
  return {
    packets: sum(({ packets }) => packets),
    bytes: sum(({ bytes }) => bytes),
    nothing: Math.max(0, sections - rows.filter(({ packets }) => packets > 0).length),
    lost: sum(({ lost }) => lost),
    duplicated: sum(({ duplicated }) => duplicated),
    reordered: sum(({ reordered }) => reordered),
    losses: rows.map(({ lost }) => lost),
  };
}

/** Receiver reports (RFC 3550 6.4.2) of one viewer's section. The counter keeps no times: no jitter, no echo of sender reports. */
export class Reporter {
  readonly #ssrc = (Math.random() * 2 ** 32) >>> 0;
  readonly #socket: Socket;
  #reported = { expected: 0, lost: 0 };

  /** @throws when the port is taken. */
  static async bind(address: string | undefined, rtcpPort: number): Promise<Reporter> {
    const reporter = new Reporter(isIPv6(address ?? '') ? 'udp6' : 'udp4');
    const socket = reporter.#socket;
    await new Promise<void>((resolve, reject) =>
      socket.once('error', reject).bind(rtcpPort, address, () => {
        // An ICMP error that a report brought in is no reason to stop.
        socket.off('error', reject).on('error', () => {});
        resolve();
      }),
    );
    return reporter;
  }

  private constructor(family: 'udp4' | 'udp6') {
    this.#socket = createSocket(family);
  }

  /** Sends one to where the server takes them; empty until media has come. */
  report(track: Track, row: CounterRow | undefined): void {
    if (track.serverRtcpPort === undefined) return;
    const packet = buildReceiverReport(this.#ssrc, SENDER, row ? [this.#block(row)] : []);
    // What cannot be sent is lost, as RTCP may be.
    this.#socket.send(packet, track.serverRtcpPort, track.serverAddress, () => {});
  }

  #block(row: CounterRow): ReportBlock {
    const expected = row.packets - row.duplicated - row.old + row.lost;
    const since = { expected: expected - this.#reported.expected, lost: row.lost - this.#reported.lost };
    this.#reported = { expected, lost: row.lost };
    return {
      ssrc: row.ssrc,
      fraction: since.lost <= 0 ? 0 : Math.min(255, Math.floor((256 * since.lost) / since.expected)),
      cumulative: row.lost - row.duplicated,
      extendedMaxSeq: (row.firstSeq + expected - 1) >>> 0,
      jitter: 0,
      lsr: 0,
      dlsr: 0,
    };
  }

  close(): void {
    this.#socket.close();
  }
}
