// SPDX-License-Identifier: Apache-2.0
// Viewers in one process. By UDP their RTP is counted by a BPF program at their device and dropped there, so that receiving costs next to
// nothing and the same for every relay; they may report what it counted (RTCP), as players do. Within the RTSP connection
// they read, and count, at times that are the same for every relay.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Got } from '../../load/counted.js';
import type { CrowdSummary } from '../../load/crowd.js';
import type { Child } from '../../netns/child.js';
import { askLine, compiled } from '../programs.js';
import type { Transport } from './relays/relay.js';
import type { Stage } from './stage.js';

export interface AudienceOptions {
  readonly transport: Transport;
  /** Seconds between the receiver reports of each; undefined: none. */
  readonly report?: number;
  /** Joins per second. */
  readonly rate?: number;
}

export interface Audience {
  readonly viewers: number;
  readonly joined: number;
  /** Why some did not join, or have left, and how many. */
  readonly failures: Readonly<Record<string, number>>;
  readonly process: Child;
  /** Since the call before, or since they began to join. */
  got(): Promise<Got>;
  leave(): Promise<void>;
}

/** Client ports, for each of the viewers' addresses. */
export const PORTS = '20000-59999';
const JOIN_TIMEOUT_S = 10;
const JOINS_PER_SECOND = 500;
const FLOWING_MS = 5000;
const LOOK_MS = 300;

/** Resolves when each has joined or failed, at the latest after about a minute. */
export async function openAudience(
  stage: Stage,
  url: string,
  viewers: number,
  { transport, report, rate = JOINS_PER_SECOND }: AudienceOptions,
): Promise<Audience> {
  const child = await stage.viewers.spawn(process.execPath, [
    ...[compiled('tools/load/rtsp-load.js'), url, '--viewers', `${viewers}`, '--rate', `${rate}`],
    ...['--from', stage.addresses.join(','), '--ports', PORTS, '--timeout', `${JOIN_TIMEOUT_S}`],
    ...(transport === 'udp' ? ['--count', 'eth0'] : ['--transport', 'tcp']),
    ...(report === undefined ? [] : ['--reports', `${report}`]),
  ]);
  try {
    const [line] = await child.output(/^\{"viewers".*\}$/m, (viewers / rate + 3 * JOIN_TIMEOUT_S) * 1000);
    const { joined, failures } = JSON.parse(line) as CrowdSummary;
    return {
      ...{ viewers, joined, failures, process: child },
      got: () => askLine<Got>(child, 30_000),
      leave: () => end(child, transport),
    };
  } catch (error) {
    await child.stop('SIGKILL');
    throw error;
  }
}

/** They say goodbye, unless that takes too long: some servers do not answer whom they send interleaved packets. */
async function end(child: Child, transport: Transport): Promise<void> {
  const graceMs = transport === 'udp' ? 20_000 : 2000;
  await child.finish(graceMs).catch(() => child.stop('SIGKILL').catch(() => undefined));
}

/** Resolves when each viewer has got packets within a short time, which is then not judged; or after five seconds. */
export async function flowing({ got }: Audience): Promise<void> {
  const deadline = performance.now() + FLOWING_MS;
  await got();
  do await sleep(LOOK_MS);
  while ((await got()).nothing > 0 && performance.now() < deadline);
  await got();
}
