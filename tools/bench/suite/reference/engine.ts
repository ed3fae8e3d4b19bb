// SPDX-License-Identifier: Apache-2.0
// The proxy with one of its engines, its API at hand.
import { rmSync } from 'node:fs';
import { rtspFanout, type Datapath } from '../relays/ours.js';
import { stopRelay, type Stage } from '../stage.js';

export interface Engine {
  readonly name: Datapath;
  readonly url: string;
  readonly pid: number;
  /** Of its API. */
  readonly socket: string;
  stop(): Promise<void>;
}

export async function startEngine(stage: Stage, name: Datapath): Promise<Engine> {
  const socket = `build/bench/reference-${process.pid}.sock`;
  rmSync(socket, { force: true });
  const running = await stage.start(rtspFanout(name, socket));
  const { child, url } = running;
  return { name, url, pid: child.pid, socket, stop: () => stopRelay(running) };
}
