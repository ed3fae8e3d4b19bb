// SPDX-License-Identifier: Apache-2.0
// A few times a second: does our own interface, or an interleaved viewer's connection, hold packets of a layered stream
// back? Then viewers get fewer layers at once, without any report.

import { ladderOf, type Ladder } from '../layers/ladder.js';
import { OwnLink } from '../layers/own-link.js';
import { TOP_LAYER } from '../layers/policy.js';
import { typicalOf } from '../layers/tolerance.js';
import type { ChurnSet } from '../state/churn.js';
import type { Deadline } from '../state/deadlines.js';
import { nowMs, type Context } from './context.js';
import type { StreamHandle } from './ports.js';
import type { ViewerTrack } from './viewer-track.js';

const LOOK_MS = 200;
/** Of a stream in which no layers have been seen. */
const SELDOM_MS = 1000;
/** What is typical is found anew, looks. */
const TYPICAL_LOOKS = 5;

export class TrackLayers {
  readonly #context: Context;
  readonly #stream: StreamHandle;
  readonly #viewers: ChurnSet<ViewerTrack>;
  readonly #link = new OwnLink();
  /** Of interleaved viewers, each its own connection. */
  readonly #connections = new Map<ViewerTrack, OwnLink>();
  readonly #sent = new Map<ViewerTrack, number>();
  #bytes = 0;
  /** Of the stream, at the last look and the time of it. */
  #packets = { count: 0, ms: 0, perSecond: 0 };
  #next: Deadline;
  #seen = false;
  #looks = 0;
  #typical: number | undefined;

  constructor(context: Context, stream: StreamHandle, viewers: ChurnSet<ViewerTrack>) {
    this.#context = context;
    this.#stream = stream;
    this.#viewers = viewers;
    this.#next = this.#later(SELDOM_MS);
  }

  /** Layers have been seen in the stream, as of the last look, at most a second ago. */
  get seen(): boolean {
    return this.#seen;
  }

  /** What those of its viewers have who lose something, bytes per second; undefined: they are too few. */
  get typical(): number | undefined {
    return this.#typical;
  }

  close(): void {
    this.#next.cancel();
  }

  #later(ms: number): Deadline {
    return this.#context.deadlines.in(ms, () => {
      const { notion, averages } = this.#stream.layers();
      this.#seen = notion !== undefined;
      if (this.#seen) this.#look(ladderOf(averages));
      this.#next = this.#later(this.#seen ? LOOK_MS : SELDOM_MS);
    });
  }

  #look(ladder: Ladder): void {
    if (ladder.length === 0) return;
    for (const map of [this.#sent, this.#connections])
      for (const viewer of map.keys()) if (!this.#isThinned(viewer)) map.delete(viewer);
    for (const { layers } of this.#viewers) layers.refresh();
    if (this.#looks++ % TYPICAL_LOOKS === 0) this.#typical = this.#findTypical();
    this.#lookAtInterface(ladder);
    for (const viewer of this.#viewers)
      if (viewer.link && this.#isThinned(viewer)) this.#lookAtConnection(viewer, viewer.link.queued, ladder);
  }

  #findTypical(): number | undefined {
    const losing = [...this.#viewers].filter(({ loss }) => (loss?.fraction ?? 0) > 0);
    return typicalOf(
      losing.flatMap((viewer) => (this.#isThinned(viewer) ? (viewer.layers.bandwidth ?? []) : [])),
    );
  }

  #isThinned(viewer: ViewerTrack): boolean {
    return mayBeThinned(viewer) && this.#viewers.has(viewer);
  }

  #lookAtInterface(ladder: Ladder): void {
    const { waiting = 0, refused, packets } = this.#stream.counters();
    const now = nowMs(this.#context.clock);
    const rate = this.#packetRate(packets, now);
    const waitingSeconds = rate === 0 ? 0 : waiting / rate;
    if (this.#link.rest(waitingSeconds)) return this.#sent.clear();
    const viewers = [...this.#viewers].filter((viewer) => !viewer.link && this.#isThinned(viewer));
    for (const viewer of viewers) this.#bytes += this.#sentSince(viewer);
    const demands = viewers.map(({ layers }) => ({ rung: layers.rungIn(ladder) }));
    const reading = { nowMs: now, waitingSeconds, refused, bytes: this.#bytes };
    const rungs = this.#link.look(reading, demands, ladder);
    for (const [i, { layers }] of viewers.entries()) layers.limit(layerAt(ladder, rungs?.[i]));
  }

  /** What TCP takes is what it has room for; what waits in our queue found none, whichever track it is of. */
  #lookAtConnection(viewer: ViewerTrack, queued: number, ladder: Ladder): void {
    let link = this.#connections.get(viewer);
    if (!link) this.#connections.set(viewer, (link = new OwnLink()));
    const rung = viewer.layers.rungIn(ladder);
    const waitingSeconds = queued / ladder[rung]!.rate;
    if (link.rest(waitingSeconds)) return;
    const { pictures: refused = 0, bytes: sent } = viewer.counters;
    const bytes = sent - queued * this.#partOf(viewer, sent);
    const reading = { nowMs: nowMs(this.#context.clock), waitingSeconds, refused, bytes };
    const rungs = link.look(reading, [{ rung }], ladder);
    viewer.layers.limit(layerAt(ladder, rungs?.[0]));
  }

  /**
   * Of what waits in its connection, 0 to 1. Sound, reports and answers are sent in any case: what waits of them, too, is room
   * that is lacking for the tracks that are thinned. Several of those bear it by what each has sent.
   */
  #partOf(viewer: ViewerTrack, sent: number): number {
    const sessions = [...(this.#context.links.get(viewer.link!) ?? [])];
    const others = sessions
      .flatMap(({ tracks }) => [...tracks.values()])
      .filter((other) => other !== viewer && other.link === viewer.link)
      .filter((other) => other.track.layers.seen && mayBeThinned(other))
      .reduce((sum, { counters }) => sum + counters.bytes, 0);
    return others === 0 ? 1 : sent / (sent + others);
  }

  #packetRate(count: number, ms: number): number {
    const before = this.#packets;
    const seconds = (ms - before.ms) / 1000;
    if (before.ms === 0 || seconds <= 0) this.#packets = { count, ms, perSecond: before.perSecond };
    else {
      const perSecond = before.perSecond + ((count - before.count) / seconds - before.perSecond) / 8;
      this.#packets = { count, ms, perSecond };
    }
    return this.#packets.perSecond;
  }

  #sentSince(viewer: ViewerTrack): number {
    const { bytes } = viewer.counters;
    const before = this.#sent.get(viewer) ?? bytes;
    this.#sent.set(viewer, bytes);
    return bytes - before;
  }
}

function mayBeThinned({ layers }: ViewerTrack): boolean {
  return layers.handle !== undefined && layers.policy !== 'off';
}

function layerAt(ladder: Ladder, rung: number | undefined): number {
  return rung === undefined || rung >= ladder.length - 1 ? TOP_LAYER : ladder[rung]!.layer;
}
