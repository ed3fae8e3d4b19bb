// SPDX-License-Identifier: Apache-2.0
// Source descriptions: chunks of items, of which the CNAME matters here (RFC 3550 6.5).
import type { SourceDescription } from './packet.js';

const CNAME = 1;
const END = 0;
/** An item's length field has eight bits. */
export const MAX_ITEM = 255;

type Chunk = SourceDescription['chunks'][number];

/** `body` is what follows the common header. Undefined when it is not exactly `count` whole chunks. */
export function readSourceDescription(body: Buffer, count: number): SourceDescription | undefined {
  const chunks: Chunk[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const read = readChunk(body, at);
    if (!read) return undefined;
    chunks.push(read.chunk);
    at = read.end;
  }
  return at === body.length ? { kind: 'sdes', chunks } : undefined;
}

function readChunk(body: Buffer, start: number): { chunk: Chunk; end: number } | undefined {
  if (start + 4 > body.length) return undefined;
  const ssrc = body.readUInt32BE(start);
  let cname: string | undefined;
  let at = start + 4;
  // Every turn goes on by at least the two bytes of an item's header, so the body bounds it.
  for (;;) {
    const type = body[at];
    if (type === undefined) return undefined; // no null octet ends the list
    if (type === END) break;
    const length = body[at + 1];
    if (length === undefined || at + 2 + length > body.length) return undefined;
    if (type === CNAME) cname ??= body.toString('utf8', at + 2, at + 2 + length);
    at += 2 + length;
  }
  // One to four null octets, up to the next 32-bit boundary.
  const end = at + 4 - (at % 4);
  if (end > body.length) return undefined;
  return { chunk: { ssrc, ...(cname !== undefined && { cname }) }, end };
}

/** One chunk with one CNAME, as it follows the common header. Throws a RangeError when it is too long. */
export function cnameChunk(ssrc: number, cname: string): Buffer {
  const length = Buffer.byteLength(cname);
  if (length > MAX_ITEM) throw new RangeError(`CNAME of ${length} bytes: at most ${MAX_ITEM}`);
  const used = 4 + 2 + length;
  const chunk = Buffer.alloc(used + 4 - (used % 4));
  chunk.writeUInt32BE(ssrc, 0);
  chunk.writeUInt8(CNAME, 4);
  chunk.writeUInt8(length, 5);
  chunk.write(cname, 6);
  return chunk;
}
