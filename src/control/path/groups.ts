// SPDX-License-Identifier: Apache-2.0
// The multicast groups of one track: one per device that leads to viewers who asked for multicast, each with an address and
// a pair of ports that no other track has.

import { nowMs, type Context } from './context.js';
import { Group } from './group.js';
import type { Device } from './ports.js';
import { Refusal } from './refusal.js';
import { bindPair } from './source-transport.js';
import type { Track } from './track.js';

interface Entry {
  /** Viewers that have entered and not left, or are waiting to. */
  users: number;
  readonly group: Promise<Group>;
}

export class Groups {
  readonly #context: Context;
  readonly #track: Track;
  readonly #entries = new Map<string, Entry>();

  constructor(context: Context, track: Track) {
    this.#context = context;
    this.#track = track;
  }

  /** To be left once. Rejects with a Refusal: 461 no address is free, 503 no ports. */
  async enter(device: Device): Promise<Group> {
    const entry = this.#entries.get(device.name) ?? { users: 0, group: this.#open(device) };
    this.#entries.set(device.name, entry);
    entry.users++;
    try {
      return await entry.group;
    } catch (error) {
      if (this.#entries.get(device.name) === entry) this.#entries.delete(device.name);
      throw error;
    }
  }

  /** With its last viewer the group ends, and its address rests. */
  leave(group: Group): void {
    const entry = this.#entries.get(group.device.name);
    if (!entry || --entry.users > 0) return;
    this.#entries.delete(group.device.name);
    group.close();
    this.#context.multicast?.addresses.release(group.address, nowMs(this.#context.clock));
  }

  async #open(device: Device): Promise<Group> {
    const { multicast, clock } = this.#context;
    const address = multicast?.addresses.take(nowMs(clock));
    if (!multicast || address === undefined) throw new Refusal(461, 'no multicast address is free');
    const { ttl, addresses } = multicast;
    try {
      const pair = await bindPair(this.#context, { group: address, device, ttl });
      return new Group(this.#context, this.#track, { address, device, ttl, pair });
    } catch (error) {
      addresses.release(address, nowMs(clock));
      throw error;
    }
  }
}
