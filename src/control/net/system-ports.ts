// SPDX-License-Identifier: Apache-2.0
// The real surroundings of the stories: this host's sockets, clocks and random numbers.

import { randomBytes } from 'node:crypto';

import type { Clock, FormerSockets, Log, Surroundings, Timers } from '../path/ports.js';
import { PortPairs, type PortRange } from '../state/port-pairs.js';
import { HeldSockets, type Holder } from './held-sockets.js';
import { httpHook } from './http-hook.js';
import { openListener } from './listener.js';
import { deviceFor } from './multicast-device.js';
import { joinGroup, toGroup } from './multicast-pair.js';
import { connectSource, restoreSource } from './source-connection.js';
import { bindUdpPair, takeUdpPair } from './udp-pair.js';

export const systemClock: Clock = {
  monotonicNs: () => process.hrtime.bigint(), // CLOCK_MONOTONIC on Linux
  wallMs: () => Date.now(),
};

export const systemTimers: Timers = {
  every(ms, run) {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
};

export interface SystemOptions {
  /** Hears of UDP ports that fail; without it Node prints a warning. */
  readonly log?: Log;
  /** Where UDP pairs are taken from; state/port-pairs.ts has the default. */
  readonly ports?: PortRange;
  /** Whoever keeps our sockets beyond our life, and what it kept of a former process. */
  readonly holder?: Holder | undefined;
  /** Connections to sources are MPTCP where they can be. */
  readonly mptcp?: boolean;
}

export function systemPorts({ log, ports, holder, mptcp = false }: SystemOptions = {}): Surroundings {
  const pairs = new PortPairs(ports);
  const held = holder && new HeldSockets(holder);
  const onError = (error: unknown) => log?.error({ err: error }, 'a UDP port failed');
  const heard = log ? { onError } : {};
  const options = { held, ...heard };
  return {
    openListener: (at, forListener) => openListener(at, forListener, held),
    connect: (to, events) => connectSource(to, events, { held, mptcp }),
    bindUdpPair: (sender) => bindUdpPair(pairs, sender ? { ...heard, ...toGroup(sender) } : options),
    joinGroup: (receiver) => joinGroup(receiver, heard),
    deviceFor,
    askHook: httpHook({ log }),
    former: formerSockets(held, (rtpPort, held) => takeUdpPair(pairs, rtpPort, { ...options, held })),
    clock: systemClock,
    timers: systemTimers,
    random: randomBytes,
  };
}

function formerSockets(
  held: HeldSockets | undefined,
  takePair: (rtpPort: number, held: HeldSockets) => ReturnType<typeof takeUdpPair>,
): FormerSockets {
  const waiting: (() => void)[] = [];
  return {
    source: (name, events) => held && restoreSource(name, events, held),
    udpPair: async (rtpPort) => {
      const taken = held && (await takePair(rtpPort, held));
      if (taken) waiting.push(() => taken.deliver());
      return taken?.pair;
    },
    deliver: () => {
      for (const deliver of waiting.splice(0)) deliver();
    },
  };
}
