// SPDX-License-Identifier: Apache-2.0
// The RTP-Info header (RFC 2326 12.33): per stream, where the media that PLAY starts begins.

import { unquote } from './quoted.js';

export interface RtpInfo {
  readonly url: string;
  /** Sequence number of the first packet, 0 to 65535. */
  readonly seq?: number;
  /** RTP timestamp that belongs to the start of the range. */
  readonly rtptime?: number;
}

const MAX_STREAMS = 64;

/**
 * Never throws: what cannot be read is left out. The URL may hold `,` and `;`, quoted or not (RFC 2326 gives no rule
 * for it), so an entry ends only where the next `url=` begins, and its parameters are looked for from its end.
 */
export function parseRtpInfo(value: string): RtpInfo[] {
  const entries = value.trim().split(/,\s*(?=url\s*=)/i);
  return entries.slice(0, MAX_STREAMS).flatMap((entry) => parseEntry(entry) ?? []);
}

/** As RFC 2326 wants it and players read it: the URL without quotes. */
export function formatRtpInfo(entries: readonly RtpInfo[]): string {
  return entries.map(formatEntry).join(',');
}

function formatEntry({ url, seq, rtptime }: RtpInfo): string {
  return `url=${url}${seq === undefined ? '' : `;seq=${seq}`}${rtptime === undefined ? '' : `;rtptime=${rtptime}`}`;
}

function parseEntry(entry: string): RtpInfo | undefined {
  const prefix = /^url\s*=\s*/i.exec(entry)?.[0];
  if (prefix === undefined) return undefined;
  let rest = entry.slice(prefix.length).trimEnd();
  const found: { seq?: number; rtptime?: number } = {};
  for (;;) {
    const semicolon = rest.lastIndexOf(';');
    const last = rest.slice(semicolon + 1).trim();
    const parameter = /^(seq|rtptime|ssrc)\s*=\s*(\S*)$/i.exec(last);
    if (semicolon < 0 || (last !== '' && !parameter)) break;
    if (parameter) readParameter(parameter[1]!.toLowerCase(), parameter[2]!, found);
    rest = rest.slice(0, semicolon).trimEnd();
  }
  const url = unquote(rest);
  return url ? { url, ...found } : undefined;
}

function readParameter(name: string, text: string, into: { seq?: number; rtptime?: number }): void {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
  if (name === 'seq' && number <= 0xffff) into.seq = number;
  if (name === 'rtptime' && number <= 0xffffffff) into.rtptime = number;
}
