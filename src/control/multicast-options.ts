// SPDX-License-Identifier: Apache-2.0
// --multicast, --multicast-ttl and --multicast-interface of the command line.

import { InvalidArgumentError, Option, type Command } from 'commander';
import { deviceNamed } from './net/multicast-device.js';
import type { MulticastOptions } from './path/proxy.js';
import { parseMulticastNetwork, type MulticastNetwork } from './state/multicast-addresses.js';

const DEFAULT_TTL = 16;

/** As commander hands them over. */
export interface MulticastGiven {
  readonly multicast?: MulticastNetwork;
  readonly multicastTtl?: number;
  readonly multicastInterface?: string;
}

export function addMulticastOptions(program: Command): Command {
  return program
    .option(
      '--multicast <network>',
      'IPv4 multicast addresses for viewers who ask for multicast, e.g. 239.192.0.0/24; without it they are refused',
      network,
    )
    .addOption(
      new Option(
        '--multicast-ttl <hops>',
        'routers that multicast may pass, and one more; 1 stays on the link',
      )
        .argParser(timeToLive)
        .default(undefined, String(DEFAULT_TTL)),
    )
    .option(
      '--multicast-interface <name|address>',
      'device by which multicast leaves, by its name or IPv4 address (default: the one that leads to the viewer)',
    );
}

/** Undefined: no multicast. Ends the process (2) when only the other options are there, for they would do nothing. */
export function readMulticast(program: Command, given: MulticastGiven): MulticastOptions | undefined {
  const { multicast, multicastTtl: ttl = DEFAULT_TTL, multicastInterface: device } = given;
  if (multicast) return { network: multicast, ttl, device };
  for (const name of ['multicastTtl', 'multicastInterface'] as const)
    if (given[name] !== undefined)
      program.error(
        `error: option '--${name.replace(/[A-Z]/, (c) => `-${c.toLowerCase()}`)}' needs --multicast`,
      );
  return undefined;
}

/** @throws Error with a sentence for the command line: the device that is wanted is not there. */
export function checkMulticast(multicast: MulticastOptions | undefined): void {
  const { device } = multicast ?? {};
  if (device !== undefined && !deviceNamed(device))
    throw new Error(
      `--multicast-interface ${device}: no device of that name or IPv4 address has one and is up`,
    );
}

function network(text: string): MulticastNetwork {
  try {
    return parseMulticastNetwork(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function timeToLive(text: string): number {
  const hops = /^\d{1,3}$/.test(text) ? Number(text) : NaN;
  if (hops >= 1 && hops <= 255) return hops;
  throw new InvalidArgumentError('It is a number from 1 to 255.');
}
