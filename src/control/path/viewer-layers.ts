// SPDX-License-Identifier: Apache-2.0
// Story 2, its end: what a viewer reported -> what was sent meanwhile -> policy -> up to which layer the datapath serves it.

import { AimdPolicy } from '../layers/aimd.js';
import { ladderOf, standsOn, type Ladder } from '../layers/ladder.js';
import { TOP_LAYER, type Interval, type LayerPolicy, type PolicyName } from '../layers/policy.js';
import { ThesisPolicy } from '../layers/thesis.js';
import { nowMs, type Context } from './context.js';
import type { ViewerCounters, ViewerHandle } from './ports.js';
import type { ViewerLoss, ViewerTrack } from './viewer-track.js';

/** Reports that come faster are taken together, milliseconds: RFC 3550 6.2 has them seconds apart. */
const LEAST_INTERVAL_MS = 500;
/** The field saturates (RFC 3550 6.4.1): then only the fraction tells. */
const CUMULATIVE_MAX = 0x7f_ffff;

/** Where an interval begins. */
interface Mark {
  readonly ms: number;
  readonly sent: ViewerCounters;
  /** As reported; undefined: what the viewer counts from is not known. */
  readonly cumulative: number | undefined;
}

export class ViewerLayers {
  readonly #context: Context;
  readonly #viewer: ViewerTrack;
  #name: PolicyName | undefined;
  #policy: LayerPolicy | undefined;
  #handle: ViewerHandle | undefined;
  #mark: Mark | undefined;
  /** What our own interface has room for. */
  #limit = TOP_LAYER;
  /** Since the mark it has been sent less than its policy allows. */
  #limited = false;
  /** What the datapath was told. */
  #told = TOP_LAYER;
  #changes = 0;
  /** Its sequence numbers are closed up since it plays; a reload has it so for who begins later. */
  #rewrite = true;

  constructor(context: Context, viewer: ViewerTrack) {
    this.#context = context;
    this.#viewer = viewer;
  }

  /** Copies begin. `isFirst`: the viewer has never had any; else it may count what it missed meanwhile as lost. */
  begin(handle: ViewerHandle, rewrite: boolean, isFirst: boolean): void {
    this.#rewrite = rewrite;
    this.#limited = false;
    // Of before a pause, when the link was full; one that still is says so again at once.
    if (this.#limit < TOP_LAYER) this.limit(TOP_LAYER);
    this.#handle = handle;
    const cumulative = isFirst ? 0 : undefined;
    this.#mark = { ms: nowMs(this.#context.clock), sent: handle.counters(), cumulative };
    handle.allow(this.#told);
  }

  /** No copies any more. */
  end(): void {
    this.#handle = undefined;
    this.#mark = undefined;
  }

  /** One that has copies of its own: a group's are for all its members. */
  get handle(): ViewerHandle | undefined {
    return this.#viewer.group ? undefined : this.#handle;
  }

  /** Up to which layer it gets packets, 0 to 7. */
  get allowance(): number {
    return this.#told;
  }

  /** Up to which its policy would let it. */
  get wanted(): number {
    return this.#policyNow?.allowance ?? TOP_LAYER;
  }

  /** Bytes per second, as its policy has it; undefined: not known yet. */
  get bandwidth(): number | undefined {
    return this.#policy?.bandwidth;
  }

  get policy(): PolicyName {
    return this.#viewer.session.resource.route.config.layerPolicy;
  }

  /** How often the allowance has changed. */
  get changes(): number {
    return this.#changes;
  }

  reported(loss: ViewerLoss): void {
    const { handle } = this;
    const mark = this.#mark;
    const now = nowMs(this.#context.clock);
    if (!handle || !mark || now - mark.ms < LEAST_INTERVAL_MS) return;
    const sent = handle.counters();
    this.#mark = { ms: now, sent, cumulative: loss.cumulative };
    const { stream, layers } = this.#viewer.track;
    const { notion, averages } = stream.layers();
    if (notion === undefined || mark.cumulative === undefined) return;
    const limited = this.#limited;
    this.#limited = this.#limit < this.wanted;
    const interval = this.#interval(loss, mark, sent);
    const { typical } = layers;
    this.#policyNow?.reported({ ...interval, nowMs: now, limited, typical }, ladderOf(averages));
    this.#tell('reported', loss.fraction / 256);
  }

  /** Its policy may be another one since a reload. */
  refresh(): void {
    if (this.policy !== this.#name) this.#tell('configuration');
  }

  /** From our own interface, or the viewer's connection: no layer above that one. */
  limit(layer: number): void {
    this.#limit = layer;
    this.#limited ||= layer < this.wanted;
    this.#tell('own link');
  }

  /** The rung that its policy would have it stand on. */
  rungIn(ladder: Ladder): number {
    return standsOn(ladder, this.wanted);
  }

  #interval(
    loss: ViewerLoss,
    mark: Mark,
    now: ViewerCounters,
  ): Omit<Interval, 'nowMs' | 'limited' | 'typical'> {
    const packets = now.packets - mark.sent.packets;
    const packetsDropped = this.#rewrite ? 0 : (now.thinned ?? 0) - (mark.sent.thinned ?? 0);
    const packetsSent = packets + packetsDropped;
    const isSaturated = Math.abs(loss.cumulative) >= CUMULATIVE_MAX;
    const packetsLost = isSaturated
      ? (loss.fraction / 256) * packetsSent
      : loss.cumulative - (mark.cumulative ?? 0);
    return {
      seconds: (nowMs(this.#context.clock) - mark.ms) / 1000,
      bytesSent: now.bytes - mark.sent.bytes,
      packetsSent,
      packetsDropped,
      packetsLost,
      roundTripMs: loss.roundTripMs ?? this.#viewer.extended?.roundTripMs,
    };
  }

  /** As the configuration has it now. */
  get #policyNow(): LayerPolicy | undefined {
    const name = this.policy;
    if (name !== this.#name) this.#policy = this.#make(name);
    this.#name = name;
    return this.#policy;
  }

  #make(name: PolicyName): LayerPolicy | undefined {
    switch (name) {
      case 'aimd':
        return new AimdPolicy(() => this.#random());
      case 'thesis':
        return new ThesisPolicy();
      case 'off':
        return undefined;
    }
  }

  #random(): number {
    return this.#context.random(4).readUInt32BE() / 2 ** 32;
  }

  #tell(why: string, lost?: number): void {
    const policy = this.#policyNow;
    if (!policy) this.#limit = TOP_LAYER;
    const layer = Math.min(policy?.allowance ?? TOP_LAYER, this.#limit);
    if (layer === this.#told) return;
    const { number: viewer, address, port } = this.#viewer.session;
    const bandwidth = this.bandwidth;
    this.#context.log.debug(
      { viewer, address, port, from: this.#told, to: layer, why, lost, bandwidth },
      'the viewer gets other layers',
    );
    this.#told = layer;
    this.#changes++;
    this.handle?.allow(layer);
  }
}
