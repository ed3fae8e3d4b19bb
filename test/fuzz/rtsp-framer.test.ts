// SPDX-License-Identifier: Apache-2.0
// Fuzzes the framer for FUZZ_SECONDS (default 2): the cases of test/fixtures, mutated, joined and cut at random.
// Whatever the bytes, the cut must not matter, and nothing but RtspError may come out. Prints its seed; FUZZ_SEED
// repeats a run. A stream that breaks a rule is printed, to be kept in the table.

import { isDeepStrictEqual } from 'node:util';

import t from 'tap';

import { mutate } from '../fixtures/mutate.js';
import { RTSP_CASES } from '../fixtures/rtsp-cases.js';
import { cut, drain, type Seen } from '../fixtures/rtsp-drain.js';
import { random } from '../fixtures/random.js';

const seconds = Number(process.env['FUZZ_SECONDS'] ?? 2);
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
// Small limits, so that short streams reach them.
const LIMITS = {
  startLine: 60,
  headerLine: 60,
  headerCount: 6,
  head: 300,
  body: 60,
  discard: 200,
  blankLines: 3,
};
const SEEDS = RTSP_CASES.map(({ bytes }) => Buffer.from(bytes, 'latin1')).filter(
  (bytes) => bytes.length < 2000,
);
const MORSELS = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  ':',
  '$',
  '$\0\0\x04',
  'RTSP/1.0',
  'Content-Length: 3\r\n',
  '\r\n\r\n',
  '-',
  '9',
].map((text) => Buffer.from(text, 'latin1'));

/** What breaks a rule, or undefined. */
function fault(bytes: Buffer, places: readonly number[]): string | undefined {
  const whole = drain([bytes], LIMITS);
  if (!isDeepStrictEqual(drain(cut(bytes, places), LIMITS), whole))
    return `cut at ${places} it reads otherwise`;
  if (!isDeepStrictEqual(drain(cut(bytes, bytes.keys()), LIMITS), whole))
    return 'byte by byte it reads otherwise';
  if (whole.some(exceeds)) return 'a limit was exceeded';
  return undefined;
}

function exceeds(seen: Seen): boolean {
  if (seen.kind !== 'message') return false;
  const control = /[\0-\x08\x0a-\x1f\x7f]/;
  return (
    String(seen.start).length > LIMITS.startLine ||
    control.test(`${seen.start}${seen.reason ?? ''}`) ||
    seen.headers.length > LIMITS.headerCount ||
    seen.headers.some(
      ([name, value]) => name.length + value.length >= LIMITS.headerLine || control.test(name + value),
    ) ||
    seen.body.length > LIMITS.body
  );
}

t.test(`framer, FUZZ_SEED=${seed}`, { timeout: (seconds + 60) * 1000 }, (t) => {
  const below = random(seed);
  const end = performance.now() + seconds * 1000;
  let runs = 0;
  for (; performance.now() < end; runs++) {
    let bytes = Buffer.from(SEEDS[below(SEEDS.length)]!);
    for (let i = below(6); i > 0; i--)
      bytes = Buffer.from(mutate(bytes, { seeds: SEEDS, morsels: MORSELS }, below));
    const places = Array.from({ length: below(6) }, () => below(bytes.length + 1)).sort((a, b) => a - b);
    let wrong: string | undefined;
    try {
      wrong = fault(bytes, places);
    } catch (error) {
      wrong = String(error);
    }
    if (wrong) {
      t.fail(`${wrong}: ${JSON.stringify(bytes.toString('latin1'))}`);
      break;
    }
  }
  t.comment(`${runs} streams`);
  t.ok(runs > 100 * seconds, 'enough streams were tried');
  t.end();
});
