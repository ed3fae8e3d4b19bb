// SPDX-License-Identifier: Apache-2.0
// A stream's layers: which one a packet is of, and its place in the numbering of viewers that do not get all. The twin of
// bpf/layering.h, where the numbering is explained.
import {
  readDescriptor,
  templateOf,
  type Descriptor,
  type Structure,
  type Template,
} from './dependency-descriptor.js';
import type { RtpHeader } from './header.js';
import { LAYERS } from './layer-rates.js';
import {
  ENTERS,
  lower,
  NOTHING_TOLD,
  tellLayer,
  type Enters,
  type Ids,
  type Notion,
  type Told,
} from './layer.js';
import { hasPictureEnd } from './picture-end.js';
import type { Encoding } from './picture.js';

export const TOP_LAYER = LAYERS - 1;
/** A packet that comes after so many of higher numbers is late; later, it is a stray. RFC 3550 A.1: MAX_MISORDER. */
export const LATE_AT_MOST = 100;
const RECENT = 128;
/** RFC 3550 A.1: a larger jump needs a second packet to be believed. */
const MAX_DROPOUT = 3000;
const OTHERS_TO_SWITCH = 8;

/** What `struct fanout_packet_layer` has of an RTP packet. */
export interface PacketLayer {
  seq: number;
  timestamp: number;
  /** RTP payload, bytes: what a sender report counts. */
  octets: number;
  layer: number;
  marked: boolean;
  /** The first of its picture that has come. */
  opens: boolean;
  /** A packet with a higher sequence number has come before. */
  late: boolean;
  /** Its place in the numbering is not known. */
  stray: boolean;
  /** Of another SSRC, with numbers of its own. */
  foreign: boolean;
  /** Who gets layer enterFrom - 1 may from here on get those up to enterTo; 0: nobody. */
  enterFrom: number;
  enterTo: number;
  /** Another one, and numbers begin anew. */
  epoch: number;
  /** The lowest layer that has come of its picture. */
  lowest: number;
  /** Something takes its place where it is left out. */
  ended: boolean;
  /** The last of its layer: who gets no higher one has the marker on this. */
  topEnds: boolean;
  /** Packets of higher layers that came before, by layer; modulo 2^16. */
  above: readonly number[];
}

export class Layering {
  readonly #encoding: Encoding | undefined;
  #notion: Notion = 'none';
  #open: { readonly seq: number; readonly timestamp: number; readonly ids: Ids } | undefined;
  /** Timestamp of a CRA picture after which no trailing one has come. */
  #cra: number | undefined;
  /** What the last dependency descriptor with templates said of them. */
  #structure: Structure | undefined;
  #ssrc: number | undefined;
  /** Packets of another SSRC since the last of this. */
  #others = 0;
  #epoch = 0;
  /** Extended sequence number. */
  #highest = 0;
  #badSeq: number | undefined;
  #picture: number | undefined;
  #lowest = 0;
  #above: number[] = new Array<number>(LAYERS).fill(0);
  readonly #recent = new Map<number, readonly number[]>();

  constructor(encoding: Encoding | undefined) {
    this.#encoding = encoding;
  }

  get notion(): Notion {
    return this.#notion;
  }

  /** Another source: its units and layers have nothing to do with those before. */
  forgetSource(): void {
    this.#notion = 'none';
    this.#open = this.#cra = this.#structure = undefined;
  }

  /** Of a packet whose header has been read, as viewers with all layers see it. */
  place(packet: Buffer, header: RtpHeader): PacketLayer {
    const own = this.#isOwn(header.ssrc);
    const payload = payloadOf(packet);
    const marked = (packet[1]! & 0x80) !== 0;
    const to: PacketLayer = {
      seq: header.sequence,
      timestamp: header.timestamp,
      octets: payload?.length ?? 0,
      layer: 0,
      marked,
      opens: false,
      late: false,
      stray: false,
      foreign: !own,
      enterFrom: 0,
      enterTo: 0,
      epoch: 0,
      lowest: 0,
      ended: false,
      topEnds: false,
      above: this.#above,
    };
    if (!own) return to;
    if (this.#ssrc !== header.ssrc) this.#structure = undefined;
    const told = this.#tell(packet, header, payload);
    this.#findLayer(to, told);
    this.#place(to, header.ssrc, canEnd(this.#encoding, told));
    return to;
  }

  /** So many packets of another SSRC, none of ours between, make it the source (reception.h). */
  #isOwn(ssrc: number): boolean {
    if (this.#ssrc !== undefined && ssrc !== this.#ssrc && ++this.#others < OTHERS_TO_SWITCH) return false;
    this.#others = 0;
    return true;
  }

  #tell(packet: Buffer, header: RtpHeader, payload: Buffer | undefined): Told {
    const encoding = this.#encoding;
    if (!payload || !encoding || (packet[1]! & 0x7f) !== encoding.payloadType) return { ...NOTHING_TOLD };
    const told = tellLayer(payload, encoding.name);
    const descriptor = encoding.descriptorId ? readDescriptor(packet, encoding.descriptorId) : undefined;
    return descriptor ? this.#describe(header, told, descriptor) : told;
  }

  /** What the descriptor tells counts, not what the payload tells; of a template that is not known it tells nothing. */
  #describe(header: RtpHeader, told: Told, descriptor: Descriptor): Told {
    if (descriptor.structure && !this.#isLate(header)) this.#structure = descriptor.structure;
    const template = this.#structure && templateOf(descriptor, this.#structure);
    if (!template) return told;
    return {
      notion: this.#structure!.spatial ? 'spatial' : 'temporal',
      ids: template.ids,
      rest: false,
      open: undefined,
      enters: descriptor.start ? entersAt(descriptor, template, told.enters) : told.enters,
    };
  }

  /** A structure that comes late has been followed by another one. */
  #isLate({ sequence, ssrc }: RtpHeader): boolean {
    const behind = (this.#highest - sequence) & 0xffff;
    return this.#ssrc === ssrc && behind > 0 && behind <= LATE_AT_MOST;
  }

  #findLayer(to: PacketLayer, told: Told): void {
    const ids = this.#resolve(to, told);
    let { notion } = told;
    if (notion === 'none' && told.rest) notion = this.#notion;
    if (notion === 'temporal' && this.#notion === 'spatial') notion = 'spatial'; // once there are, they are what counts
    if (notion !== 'none') this.#notion = notion;
    if (!ids || notion === 'none') return;
    to.layer = (notion === 'temporal' ? ids.temporal : ids.spatial) & TOP_LAYER;
    const enters = notion === 'temporal' ? this.#entersTemporal(to, told) : told.enters.spatial;
    setEnters(to, enters);
    to.topEnds = notion === 'spatial' && told.layerEnds === true;
  }

  /** The packet's ids, with those of the unit that it goes on with; and what the next may go on with. */
  #resolve(to: PacketLayer, told: Told): Ids | undefined {
    const open = this.#open;
    const before =
      told.rest && open?.seq === to.seq && open.timestamp === to.timestamp ? open.ids : undefined;
    const left = told.open === 'same' ? before : told.open;
    if (left) this.#open = { seq: (to.seq + 1) & 0xffff, timestamp: to.timestamp, ids: left };
    else if (before || told.open) this.#open = undefined;
    if (told.rest && !before) return undefined;
    return before ? lower(told.ids, before) : told.ids;
  }

  /** RFC 7798: who begins to get a layer at a CRA picture misses what its leading pictures refer to, but no trailing picture
   * does. So it begins with the first of those. */
  #entersTemporal(to: PacketLayer, told: Told): Enters | undefined {
    if (told.picture === 'cra') this.#cra = to.timestamp;
    else if (told.picture === 'trailing' && this.#cra !== undefined && this.#cra !== to.timestamp) {
      this.#cra = undefined;
      return { from: 'any', to: 'all' };
    }
    return told.enters.temporal;
  }

  #place(to: PacketLayer, ssrc: number, ends: boolean): void {
    const ahead = (to.seq - this.#highest) & 0xffff;
    const behind = -ahead & 0xffff;
    if (this.#ssrc !== ssrc) {
      if (this.#ssrc !== undefined) this.#epoch = (this.#epoch + 1) & 0xff; // another numbering; viewers see that
      this.#ssrc = ssrc;
      this.#begin(to.seq);
    } else if (ahead > 0 && ahead < MAX_DROPOUT) this.#highest += ahead;
    else if (behind <= LATE_AT_MOST) to.late = true;
    else if (to.seq === this.#badSeq) this.#begin(to.seq);
    else {
      to.stray = true;
      this.#badSeq = (to.seq + 1) & 0xffff;
    }
    to.epoch = this.#epoch;
    if (to.late) to.above = this.#aboveLate(this.#highest - behind) ?? to.above;
    else if (!to.stray) this.#placeNext(to, ends);
  }

  /** In order: those after it are counted on from it. */
  #placeNext(to: PacketLayer, ends: boolean): void {
    to.opens = this.#picture !== to.timestamp;
    this.#lowest = this.#picture === to.timestamp ? Math.min(this.#lowest, to.layer) : to.layer;
    this.#picture = to.timestamp;
    this.#recent.set(this.#highest, this.#above);
    this.#recent.delete(this.#highest - RECENT);
    if (this.#recent.size > RECENT) this.#prune();
    to.lowest = this.#lowest;
    to.ended = ends && to.marked && to.layer > this.#lowest;
    const below = to.ended ? this.#lowest : to.layer;
    if (below > 0) this.#above = this.#above.map((n, level) => (level < below ? (n + 1) & 0xffff : n));
  }

  #begin(seq: number): void {
    this.#highest = (Math.floor(this.#highest / 0x10000) + 2) * 0x10000 + seq;
  }

  #prune(): void {
    for (const extended of this.#recent.keys())
      if (extended <= this.#highest - RECENT) this.#recent.delete(extended);
  }

  /** The nearest that came in order has the numbers that were given then. */
  #aboveLate(extended: number): readonly number[] | undefined {
    for (let i = extended; i <= this.#highest; i++) {
      const above = this.#recent.get(i);
      if (above) return above;
    }
    return undefined;
  }
}

/** Whether something can replace the last packet of a picture: picture-end.ts. */
function canEnd(encoding: Encoding | undefined, told: Told): boolean {
  return encoding !== undefined && hasPictureEnd(encoding.name) && !told.interleaved;
}

/** At the beginning of a frame: of a coded video sequence, or one from which more may begin. */
function entersAt(descriptor: Descriptor, { switches }: Template, told: Told['enters']): Told['enters'] {
  if (descriptor.structure) return { temporal: ENTERS.all, spatial: ENTERS.all };
  if (told.temporal || descriptor.custom || !switches) return told;
  return { temporal: ENTERS.above, spatial: ENTERS.above };
}

function setEnters(to: PacketLayer, enters: Enters | undefined): void {
  if (!enters) return;
  to.enterFrom = enters.from === 'any' ? 0 : enters.from === 'own' ? to.layer : to.layer + 1;
  to.enterTo = enters.to === 'own' ? to.layer : TOP_LAYER;
}

/** Without header, extension and padding; undefined: they leave nothing. */
function payloadOf(packet: Buffer): Buffer | undefined {
  const flags = packet[0]!;
  let header = 12 + 4 * (flags & 0x0f);
  if (flags & 0x10) {
    if (header + 4 > packet.length) return undefined;
    header += 4 + 4 * packet.readUInt16BE(header + 2);
  }
  if (header >= packet.length) return undefined;
  if (!(flags & 0x20)) return packet.subarray(header);
  const padding = packet[packet.length - 1]!;
  return padding === 0 || header + padding >= packet.length
    ? undefined
    : packet.subarray(header, packet.length - padding);
}
