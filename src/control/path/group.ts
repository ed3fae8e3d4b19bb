// SPDX-License-Identifier: Apache-2.0
// One multicast group that a track is sent to by one device: one viewer to the datapath, however many there are. Copies
// are made while one of its members plays.

import type { Context } from './context.js';
import type { Device, UdpPair, ViewerCounters, ViewerHandle } from './ports.js';
import { receiveGroupRtcp } from './group-report.js';
import type { Track } from './track.js';
import type { ViewerTrack } from './viewer-track.js';

export interface GroupParts {
  readonly address: string;
  readonly device: Device;
  readonly ttl: number;
  /** Sends to the group and hears what is sent to its RTCP port. Its ports are the group's, too. */
  readonly pair: UdpPair;
}

export class Group {
  readonly track: Track;
  readonly address: string;
  readonly device: Device;
  readonly ttl: number;
  readonly ports: readonly [rtp: number, rtcp: number];
  /** Set up, playing or not. */
  readonly members = new Set<ViewerTrack>();
  readonly #context: Context;
  readonly #pair: UdpPair;
  #sending: Sending | undefined;

  constructor(context: Context, track: Track, { address, device, ttl, pair }: GroupParts) {
    this.#context = context;
    this.track = track;
    this.address = address;
    this.device = device;
    this.ttl = ttl;
    this.#pair = pair;
    this.ports = [pair.rtpPort, pair.rtcpPort];
    pair.onRtcp((packet, from) => receiveGroupRtcp(context, this, packet, from));
  }

  /** One more member plays. Rejects with what the datapath says. */
  async play(): Promise<ViewerHandle> {
    const begins = this.#sending === undefined;
    const sending = (this.#sending ??= { players: 0, added: this.#add() });
    sending.players++;
    try {
      const handle = await sending.added;
      return new MemberHandle(handle, begins, () => this.#leave(sending, handle));
    } catch (error) {
      if (this.#sending === sending) this.#sending = undefined;
      throw error;
    }
  }

  /** One member is sent away: `packet` in the source's name ends the stream for everybody, so only when nobody plays any more. */
  sayGoodbye(packet: Buffer): void {
    if (!this.#sending) this.tell(packet);
  }

  /** RTCP to all of its members. */
  tell(packet: Buffer): void {
    this.#pair.sendRtcp(packet, { address: this.address, port: this.ports[1] });
  }

  close(): void {
    this.#pair.close();
  }

  #add(): Promise<ViewerHandle> {
    const { address, device, ttl, ports } = this;
    return this.track.stream.add({
      id: this.#context.nextViewerId(),
      localAddress: device.address,
      address,
      rtpPort: ports[0],
      rtcpPort: ports[1],
      multicast: { device, ttl, pair: this.#pair },
    });
  }

  #leave(sending: Sending, handle: ViewerHandle): void {
    sending.players--;
    if (sending.players > 0) return;
    handle.remove();
    if (this.#sending === sending) this.#sending = undefined;
  }
}

/** From the first member that plays to the last. */
interface Sending {
  /** Members, those included that wait for it to begin. */
  players: number;
  readonly added: Promise<ViewerHandle>;
}

/** One member's share in it: what has been sent since it came. */
class MemberHandle implements ViewerHandle {
  readonly servedBy: ViewerHandle['servedBy'];
  readonly first: ViewerHandle['first'];
  readonly #group: ViewerHandle;
  readonly #before: ViewerCounters;
  readonly #leave: () => void;
  #final: ViewerCounters | undefined;

  /** `begins`: the group's copies began with this member. */
  constructor(group: ViewerHandle, begins: boolean, leave: () => void) {
    this.servedBy = group.servedBy;
    this.first = begins ? group.first : undefined;
    this.#group = group;
    this.#before = begins ? NOTHING : group.counters();
    this.#leave = leave;
  }

  get heldBack(): boolean {
    return this.#final === undefined && (this.#group.heldBack ?? false);
  }

  counters(): ViewerCounters {
    if (this.#final) return this.#final;
    const now = this.#group.counters();
    const before = this.#before;
    return {
      packets: now.packets - before.packets,
      bytes: now.bytes - before.bytes,
      rtcpPackets: now.rtcpPackets - before.rtcpPackets,
      drops: now.drops - before.drops,
      held: (now.held ?? 0) - (before.held ?? 0),
    };
  }

  /** One copy for all: all layers. */
  allow(): void {}

  /** What one member has lost must not thin the others' copies. */
  loss(): void {}

  remove(): void {
    if (this.#final) return;
    this.#final = this.counters();
    this.#leave();
  }
}

const NOTHING: ViewerCounters = { packets: 0, bytes: 0, rtcpPackets: 0, drops: 0 };
