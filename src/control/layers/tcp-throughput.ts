// SPDX-License-Identifier: Apache-2.0
// What a TCP connection would get under the same loss and round trip (RFC 5348 3.1), as far as receiver reports tell.

/** RFC 4828 4.2: small packets are charged as full ones, less what their headers take. */
const SEGMENT = 1460;
const HEADER = 40;

export interface PathQuality {
  /** Of packets, 0 to 1. */
  readonly loss: number;
  readonly roundTripMs: number;
  /** Mean of a packet's UDP payload, bytes. */
  readonly packetBytes: number;
}

/** Bytes per second; Infinity without loss. */
export function tcpThroughput({ loss: p, roundTripMs, packetBytes }: PathQuality): number {
  if (p <= 0) return Infinity;
  const r = roundTripMs / 1000;
  const timeout = 4 * r; // t_RTO, as RFC 5348 4.3 has it
  const perSegment = r * Math.sqrt((2 * p) / 3) + timeout * 3 * Math.sqrt((3 * p) / 8) * p * (1 + 32 * p * p);
  return (SEGMENT / perSegment) * (packetBytes / (packetBytes + HEADER));
}

/** The loss, 0 to 1, at which TCP has that many bytes per second; without its time-outs, which do not matter while it is small. */
export function tcpLoss(rate: number, roundTripMs: number): number {
  return 1.5 * (SEGMENT / ((roundTripMs / 1000) * rate)) ** 2;
}
