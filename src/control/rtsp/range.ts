// SPDX-License-Identifier: Apache-2.0
// The Range header and the SDP attribute of that name (RFC 2326 3.5 to 3.7, 12.29, C.1.5). Normal play time is read;
// clock= and smpte= are kept as text.

import { RtspError } from './errors.js';
import { splitParameter } from './quoted.js';

export interface NptRange {
  readonly unit: 'npt';
  /** Seconds; undefined only in `npt=-20`, the last 20 seconds. */
  readonly start: number | 'now' | undefined;
  /** Seconds; undefined: open. */
  readonly end: number | undefined;
}

export interface OpaqueRange {
  readonly unit: string;
  readonly text: string;
}

export type Range = NptRange | OpaqueRange;

const SECONDS = /^\d{1,10}(?:\.\d{0,9})?$/;
const CLOCK = /^(\d{1,10}):([0-5]?\d):([0-5]?\d(?:\.\d{0,9})?)$/;

/** A `;time=` behind the range is ignored. @throws RtspError 457. */
export function parseRange(value: string): Range {
  const [unit, text] = splitParameter(value.split(';', 1)[0]!);
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(unit) || !text) throw invalid();
  if (unit !== 'npt') return { unit, text };
  const dash = text.indexOf('-');
  const from = (dash < 0 ? text : text.slice(0, dash)).trim();
  const to = dash < 0 ? '' : text.slice(dash + 1).trim();
  if (!from && !to) throw invalid();
  const start = from === 'now' ? from : from ? parseTime(from) : undefined;
  return { unit: 'npt', start, end: to ? parseTime(to) : undefined };
}

export function isNpt(range: Range): range is NptRange {
  return range.unit === 'npt';
}

export function formatRange(range: Range): string {
  if (!isNpt(range)) return `${range.unit}=${range.text}`;
  const { start, end } = range;
  return `npt=${start === undefined ? '' : start === 'now' ? start : formatTime(start)}-${end === undefined ? '' : formatTime(end)}`;
}

/** Seconds, or hours, minutes and seconds. */
function parseTime(text: string): number {
  if (SECONDS.test(text)) return Number(text);
  const parts = CLOCK.exec(text);
  if (!parts) throw invalid();
  return Number(parts[1]) * 3600 + Number(parts[2]) * 60 + Number(parts[3]);
}

/** Milliseconds do: nothing in RTSP is finer. */
function formatTime(seconds: number): string {
  return seconds.toFixed(3);
}

function invalid(): RtspError {
  return new RtspError(457, 'The Range is not one of RFC 2326 3.5 to 3.7.');
}
