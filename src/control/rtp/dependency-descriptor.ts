// SPDX-License-Identifier: Apache-2.0
// AV1's dependency descriptor, an RTP header extension (AOM's RTP payload format, appendix A): which template a packet is of,
// and what the templates are. What follows their indications (frame differences, chains, resolutions) is not read. The twin
// of bpf/descriptor.h.
import { extensionElement } from './header-extension.js';
import type { Ids } from './layer.js';

export interface Template {
  readonly ids: Ids;
  /** Who has its layer may get more from one of its frames on: all decode targets with more are allowed to begin there. */
  readonly switches: boolean;
}

export interface Structure {
  /** Id of the first template; they count on from it, modulo 64. */
  readonly offset: number;
  /** More than one spatial layer: these are what counts. */
  readonly spatial: boolean;
  readonly templates: readonly Template[];
}

export interface Descriptor {
  /** The packet begins a frame. */
  readonly start: boolean;
  /** frame_dependency_template_id */
  readonly template: number;
  /** The frame has indications of its own, which are not read. */
  readonly custom: boolean;
  /** Of the first packet of a coded video sequence; without templates: it could not be read. */
  readonly structure: Structure | undefined;
}

const IDS = 64;
const LEAST = 3;
/** Where template_layers begins: from here on there are symbols of two bits. */
const SYMBOLS = 5;
const NEXT = { TEMPORAL: 1, SPATIAL: 2, NO_MORE: 3 } as const;
const SWITCH = 2;
const MOST = { spatial: 3, temporal: 7 } as const;

/** Of a packet whose RTP header is whole; undefined: it has none. `id` is that of the SDP. Never throws. */
export function readDescriptor(packet: Buffer, id: number): Descriptor | undefined {
  const b = extensionElement(packet, id);
  if (!b || b.length < LEAST) return undefined;
  const flags = b.length > LEAST ? b[LEAST]! : 0;
  return {
    start: (b[0]! & 0x80) !== 0,
    template: b[0]! & 63,
    custom: (flags & 0x20) !== 0,
    structure: flags & 0x80 ? readStructure(b) : undefined,
  };
}

/** Undefined: it is not of this structure. */
export function templateOf(
  { template }: Pick<Descriptor, 'template'>,
  structure: Structure,
): Template | undefined {
  return structure.templates[(template - structure.offset) & (IDS - 1)];
}

function readStructure(b: Buffer): Structure {
  const head = ((b[3]! & 7) << 8) | (b[4] ?? 0);
  const [offset, targets] = [head >> 5, (head & 31) + 1];
  const ids = readIds(b) ?? [];
  const spatial = ids.some((id) => id.spatial > 0);
  const layers = ids.map((id) => (spatial ? id.spatial : id.temporal));
  const indications = readIndications(b, ids.length, targets);
  if (!indications) return { offset, spatial, templates: [] };
  return {
    offset,
    spatial,
    templates: ids.map((id, i) => ({ ids: id, switches: switches(i, layers, indications) })),
  };
}

/** template_layers() */
function readIds(b: Buffer): Ids[] | undefined {
  const ids: Ids[] = [];
  let [spatial, temporal] = [0, 0];
  while (ids.length < IDS) {
    const next = symbolAt(b, ids.length);
    if (next === undefined) return undefined;
    ids.push({ spatial, temporal });
    if (next === NEXT.NO_MORE) return ids;
    if (next === NEXT.TEMPORAL) temporal++;
    if (next === NEXT.SPATIAL) [spatial, temporal] = [spatial + 1, 0];
    if (spatial > MOST.spatial || temporal > MOST.temporal) return undefined;
  }
  return undefined;
}

/** template_dtis(), by template and decode target. */
function readIndications(b: Buffer, templates: number, targets: number): number[][] | undefined {
  const indications: number[][] = [];
  for (let at = templates; indications.length < templates; at += targets) {
    const row: number[] = [];
    for (let target = 0; target < targets; target++) {
      const indication = symbolAt(b, at + target);
      if (indication === undefined) return undefined;
      row.push(indication);
    }
    indications.push(row);
  }
  return indications;
}

function symbolAt(b: Buffer, symbol: number): number | undefined {
  const at = SYMBOLS + (symbol >> 2);
  return at < b.length ? (b[at]! >> (6 - 2 * (symbol & 3))) & 3 : undefined;
}

/** A decode target has more than a layer where a frame of a higher one belongs to it. */
function switches(template: number, layers: readonly number[], indications: readonly number[][]): boolean {
  const own = indications[template]!;
  const more = own.filter((_, target) =>
    layers.some((layer, i) => layer > layers[template]! && indications[i]![target] !== 0),
  );
  return more.length > 0 && more.every((indication) => indication === SWITCH);
}
