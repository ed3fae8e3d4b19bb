// SPDX-License-Identifier: Apache-2.0
// NAL units of one picture as RTP payloads (RFC 6184, packetization-mode 1): neighbours that fit together as a STAP-A
// (5.7.1), one that fits as it is (5.6), one that does not as FU-As (5.8). No packet has NAL units of two layers (RFC 6190 5.1)
// in it, so that one can be left out without the other.

import { dependencyOf } from './annexb.js';

const STAP_A = 24;
const FU_A = 28;
const STAP_HEADER = 1;
const STAP_SIZE = 2; // in front of each NAL unit in it
const FU_HEADER = 2;
const NRI = 0x60;

/** @param maxPayload bytes, at least 16. */
export function packetizeH264(nals: readonly Buffer[], maxPayload: number): Buffer[] {
  if (maxPayload < 16) throw new RangeError(`RTP payloads of ${maxPayload} bytes`);
  const payloads: Buffer[] = [];
  let group: Buffer[] = [];
  let size = STAP_HEADER;
  const flush = () => {
    if (group.length > 0) payloads.push(group.length === 1 ? group[0]! : aggregate(group));
    group = [];
    size = STAP_HEADER;
  };
  for (const nal of nals) {
    const isOther = group.length > 0 && dependencyOf(group[0]!) !== dependencyOf(nal);
    if (isOther || size + STAP_SIZE + nal.length > maxPayload) flush();
    if (nal.length > maxPayload) payloads.push(...fragment(nal, maxPayload));
    else {
      group.push(nal);
      size += STAP_SIZE + nal.length;
    }
  }
  flush();
  return payloads;
}

/** NRI is the highest of those inside. */
function aggregate(nals: readonly Buffer[]): Buffer {
  const importance = Math.max(...nals.map((nal) => nal.readUInt8(0) & NRI));
  const parts = nals.flatMap((nal) => [Buffer.from([nal.length >> 8, nal.length & 0xff]), nal]);
  return Buffer.concat([Buffer.from([importance | STAP_A]), ...parts]);
}

/** The NAL unit's own header is not sent, it is made anew from indicator and FU header. */
function fragment(nal: Buffer, maxPayload: number): Buffer[] {
  const header = nal.readUInt8(0);
  const room = maxPayload - FU_HEADER;
  const fragments: Buffer[] = [];
  for (let at = 1; at < nal.length; at += room) {
    const start = at === 1 ? 0x80 : 0;
    const end = at + room >= nal.length ? 0x40 : 0;
    const indicator = Buffer.from([(header & 0xe0) | FU_A, start | end | (header & 0x1f)]);
    fragments.push(Buffer.concat([indicator, nal.subarray(at, at + room)]));
  }
  return fragments;
}
