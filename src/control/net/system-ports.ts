// SPDX-License-Identifier: Apache-2.0
// The real surroundings of the stories: this host's sockets, clocks and random numbers.

import { randomBytes } from 'node:crypto';

import type { Clock, Log, Surroundings, Timers } from '../path/ports.js';
import { PortPairs, type PortRange } from '../state/port-pairs.js';
import { openListener } from './listener.js';
import { deviceFor } from './multicast-device.js';
import { joinGroup, toGroup } from './multicast-pair.js';
import { connectSource } from './source-connection.js';
import { bindUdpPair } from './udp-pair.js';

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
}

export function systemPorts({ log, ports }: SystemOptions = {}): Surroundings {
  const pairs = new PortPairs(ports);
  const options = log ? { onError: (error: unknown) => log.error({ err: error }, 'a UDP port failed') } : {};
  return {
    openListener,
    connect: connectSource,
    bindUdpPair: (sender) => bindUdpPair(pairs, sender ? { ...options, ...toGroup(sender) } : options),
    joinGroup: (receiver) => joinGroup(receiver, options),
    deviceFor,
    clock: systemClock,
    timers: systemTimers,
    random: randomBytes,
  };
}
