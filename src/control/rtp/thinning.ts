// SPDX-License-Identifier: Apache-2.0
// Which packets a viewer gets that is not to have all layers, and under which sequence numbers. The twin of bpf/thin.h;
// docs/layers.md says when a viewer gets more or less.
import { LATE_AT_MOST, TOP_LAYER, type PacketLayer } from './layering.js';

/** Packets after which no late one is of before a change. */
const SETTLED = 1024;

/** What becomes of a packet: sent with that number and marker, left out on purpose, or dropped, for its number is not known. */
export type Thinned = { readonly seq: number; readonly marked: boolean } | 'withheld' | 'unknown';

/** At which level, with numbers less by how much; from which sequence number on. */
interface Standing {
  readonly level: number;
  readonly base: number;
  readonly since: number;
}

export class Thinning {
  /** Highest layer that it is to get, from its next picture on. */
  allowance = TOP_LAYER;
  readonly #rewrite: boolean;
  #now: Standing = { level: TOP_LAYER, base: 0, since: 0 };
  #former: Standing = this.#now;
  #goal = TOP_LAYER;
  #epoch = 0;
  /** Timestamp of the picture that it is getting. */
  #picture: number | undefined;
  #withheld = false;
  #touched = false;

  /** Without `rewrite` sequence numbers and markers stay as they came. */
  constructor(rewrite: boolean) {
    this.#rewrite = rewrite;
  }

  /** It gets everything, as it came, and never got less. */
  get isPlain(): boolean {
    return !this.#touched && this.allowance === TOP_LAYER;
  }

  take(l: PacketLayer): Thinned {
    if (this.isPlain || l.foreign) return { seq: l.seq, marked: l.marked };
    this.#touched = true;
    if (this.#epoch !== l.epoch) this.#beginEpoch(l);
    if (!l.late && !l.stray) {
      if (this.#picture === undefined ? l.opens : this.#picture !== l.timestamp) this.#beginPicture(l);
      this.#rise(l);
    }
    const now = this.#standing(l);
    if (l.layer > (now ?? this.#former).level) {
      if (!l.late) this.#withheld = true;
      return 'withheld';
    }
    if (!this.#rewrite) return { seq: l.seq, marked: l.marked };
    const offset = now && offsetOf(now, l);
    if (offset === undefined || (offset !== 0 && l.stray)) return 'unknown';
    return {
      seq: (l.seq - offset) & 0xffff,
      marked: l.marked || (l.topEnds && l.layer === now!.level),
    };
  }

  /** The number of what stands in for a packet that was withheld; undefined: nothing does. */
  takeEnd(l: PacketLayer): number | undefined {
    const { level } = this.#now;
    if (!l.ended || !this.#rewrite || l.lowest > level || level >= l.layer) return undefined;
    return (l.seq - offsetOf(this.#now, l)) & 0xffff;
  }

  #setLevel(l: PacketLayer, level: number): void {
    const { level: before, base } = this.#now;
    this.#former = this.#now;
    this.#now = { level, base: base + l.above[before]! - l.above[level]!, since: l.seq };
  }

  /** Another numbering: from now on as its packets come. */
  #beginEpoch(l: PacketLayer): void {
    this.#epoch = l.epoch;
    this.#now = { ...this.#now, base: -l.above[this.#now.level]! };
    this.#picture = undefined;
  }

  /** No change is near. */
  #settle(l: PacketLayer): void {
    this.#now = { ...this.#now, since: (l.seq - SETTLED) & 0xffff };
    this.#former = this.#now;
  }

  /** A picture begins, for this viewer: less may count from here on. */
  #beginPicture(l: PacketLayer): void {
    if (this.#picture === undefined || ((l.seq - this.#now.since) & 0xffff) > SETTLED) this.#settle(l);
    this.#picture = l.timestamp;
    this.#withheld = false;
    this.#goal = this.allowance;
    if (this.#goal < this.#now.level) this.#setLevel(l, this.#goal);
  }

  /** More may count from here on, where nothing of the picture is missing and the packet allows it. */
  #rise(l: PacketLayer): void {
    const to = Math.min(this.#goal, l.enterTo);
    const { level } = this.#now;
    if (!this.#withheld && to > level && level + 1 >= l.enterFrom) this.#setLevel(l, to);
  }

  /** Undefined: it is of before the last change but one. */
  #standing(l: PacketLayer): Standing | undefined {
    if (this.#picture === undefined || !l.late || !isBefore(l.seq, this.#now.since)) return this.#now;
    return isBefore(l.seq, this.#former.since) ? undefined : this.#former;
  }
}

function offsetOf({ level, base }: Standing, l: PacketLayer): number {
  return (base + l.above[level]!) & 0xffff;
}

function isBefore(seq: number, since: number): boolean {
  return ((since - seq - 1) & 0xffff) < LATE_AT_MOST;
}
