// SPDX-License-Identifier: Apache-2.0
// Goodbye: sources that leave, and why (RFC 3550 6.6).
import { MAX_COUNT } from './packet.js';
import type { Goodbye } from './packet.js';

const MAX_REASON = 255;

/** `body` is what follows the common header. Undefined when it does not hold `count` SSRCs, or more than a reason. */
export function readGoodbye(body: Buffer, count: number): Goodbye | undefined {
  const at = count * 4;
  if (body.length < at) return undefined;
  const ssrcs = Array.from({ length: count }, (_, i) => body.readUInt32BE(i * 4));
  const length = body[at];
  if (length === undefined) return { kind: 'bye', ssrcs };
  const end = at + 1 + length;
  // The reason is padded to the next 32-bit boundary and nothing follows it.
  if (Math.ceil(end / 4) * 4 !== body.length) return undefined;
  return { kind: 'bye', ssrcs, reason: body.toString('utf8', at + 1, end) };
}

/** The body after the common header. Throws a RangeError when it does not fit its fields. */
export function goodbyeBody(ssrcs: readonly number[], reason?: string): Buffer {
  if (ssrcs.length > MAX_COUNT)
    throw new RangeError(`${ssrcs.length} sources in a BYE: at most ${MAX_COUNT}`);
  const length = reason === undefined ? 0 : Buffer.byteLength(reason);
  if (length > MAX_REASON) throw new RangeError(`BYE reason of ${length} bytes: at most ${MAX_REASON}`);
  const at = ssrcs.length * 4;
  const body = Buffer.alloc(reason === undefined ? at : Math.ceil((at + 1 + length) / 4) * 4);
  ssrcs.forEach((ssrc, i) => body.writeUInt32BE(ssrc, i * 4));
  if (reason !== undefined) {
    body.writeUInt8(length, at);
    body.write(reason, at + 1);
  }
  return body;
}
