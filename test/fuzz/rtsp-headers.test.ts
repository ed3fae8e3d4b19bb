// SPDX-License-Identifier: Apache-2.0
// Fuzzes what reads header fields, URLs, tunnels and descriptions, for FUZZ_SECONDS (default 2) together: the cases of
// test/fixtures, mutated, and now and then as long as the framer lets them be. Prints its seed; FUZZ_SEED repeats a run.
// Whatever comes: a value within its limits or an RtspError, in little time; what is written of a value reads as the same
// value. What breaks a rule is printed, to be kept in test/fixtures/header-cases.ts.
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import * as authentication from '../../src/control/rtsp/authentication.js';
import { RtspError, SdpError } from '../../src/control/rtsp/errors.js';
import { DEFAULT_LIMITS } from '../../src/control/rtsp/framer.js';
import { formatRange, isNpt, parseRange } from '../../src/control/rtsp/range.js';
import { formatRtpInfo, parseRtpInfo } from '../../src/control/rtsp/rtp-info.js';
import { describeSdp } from '../../src/control/rtsp/sdp.js';
import { translateSdp } from '../../src/control/rtsp/sdp-translate.js';
import { formatSession, parseSession } from '../../src/control/rtsp/session.js';
import {
  type NumberRange,
  formatTransport,
  parseTransport,
  parseTransportAnswer,
} from '../../src/control/rtsp/transport.js';
import { parseTunnelHead } from '../../src/control/rtsp/tunnel.js';
import { formatRtspUrl, parseRtspUrl } from '../../src/control/rtsp/url.js';
import { HEADER_CASES, HEADER_MORSELS } from '../fixtures/header-cases.js';
import { mutate, repeated } from '../fixtures/mutate.js';
import { random } from '../fixtures/random.js';

const seconds = Number(process.env['FUZZ_SECONDS'] ?? 2);
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
/** One of so many inputs is a long one. */
const LONG_ONE_OF = 200;
/**
 * Processor time that one input may take; quadratic time takes many times as much. What took longer is measured again,
 * because the collector of garbage takes its time from anybody.
 */
const SLOWEST_MS = { header: 100, sdp: 500 };

type Parser = keyof typeof HEADER_CASES;
/** They leave out what they cannot read. */
const NEVER_REFUSE: ReadonlySet<Parser> = new Set(['rtpInfo', 'challenge']);

/** What breaks a rule, or undefined. What they throw is judged by whoever calls them. */
const RULES: Readonly<Record<Parser, (text: string) => string | undefined>> = {
  transport: (text) => {
    const all = parseTransport(text);
    const ports = (pair: NumberRange | undefined, most: number) => [pair?.low, pair?.high].every((n) => n === undefined || (n >= 0 && n <= most)); // prettier-ignore
    if (all.length === 0 || all.length > 16) return `${all.length} alternatives`;
    for (const one of [...all, parseTransportAnswer(text)]) {
      const { interleaved, clientPort, serverPort, port, ttl = 0, layers = 1, ssrc = 0 } = one;
      if (![clientPort, serverPort, port].every((pair) => ports(pair, 65_535))) return 'a port out of range';
      if (!ports(interleaved, 255) || ttl > 255 || layers > 255 || ssrc > 0xffffffff) return 'out of range';
      // Of these the text is kept, quotes undone: it is never written again.
      const { destination: _, source: _s, mode: _m, ...written } = one;
      if (!isDeepStrictEqual(parseTransport(formatTransport(written)), [written])) return 'reads otherwise';
    }
    return undefined;
  },
  range: (text) => {
    const range = parseRange(text);
    const again = parseRange(formatRange(range));
    if (!isNpt(range)) return isDeepStrictEqual(range, again) ? undefined : 'reads otherwise';
    if (!isNpt(again)) return 'another unit';
    const near = (a: typeof range.start, b: typeof range.start) => a === b || Math.abs(Number(a) - Number(b)) < 0.001; // prettier-ignore
    if (!near(range.start, again.start) || !near(range.end, again.end)) return 'reads otherwise';
    return [range.start, range.end].some((n) => typeof n === 'number' && !(n >= 0)) ? 'no time' : undefined;
  },
  session: (text) => {
    const session = parseSession(text);
    if (/[;\s]/.test(session.id) || session.id.length > 256) return 'no identifier';
    return isDeepStrictEqual(parseSession(formatSession(session)), session) ? undefined : 'reads otherwise';
  },
  rtpInfo: (text) => {
    const all = parseRtpInfo(text);
    if (all.length > 64) return `${all.length} streams`;
    if (all.some(({ seq = 0, rtptime = 0 }) => seq > 0xffff || rtptime > 0xffffffff)) return 'out of range';
    return parseRtpInfo(formatRtpInfo(all)).length > 64 ? 'more when written' : undefined;
  },
  authorization: (text) => {
    const credentials = authentication.parseCredentials(text);
    const written = authentication.formatCredentials(credentials);
    return isDeepStrictEqual(authentication.parseCredentials(written), credentials) ? undefined : 'reads otherwise'; // prettier-ignore
  },
  challenge: (text) => {
    const all = authentication.parseChallenges([text]);
    if (all.length > 8) return `${all.length} challenges`;
    const written = all.map(authentication.formatChallenge);
    return isDeepStrictEqual(authentication.parseChallenges(written), all) ? undefined : 'reads otherwise';
  },
  url: (text) => {
    const url = parseRtspUrl(text);
    if (!(url.port > 0 && url.port <= 65_535) || /[\0-\x20\x7f]/.test(formatRtspUrl(url))) return 'no URL';
    return isDeepStrictEqual(parseRtspUrl(formatRtspUrl(url)), url) ? undefined : 'reads otherwise';
  },
  tunnel: (text) => {
    const head = parseTunnelHead(Buffer.from(text, 'latin1'));
    if (head && (head.length > text.length || /[\s\0]/.test(head.cookie) || !head.cookie)) return 'no head';
    return undefined;
  },
  sdp: (text) => {
    const to = { address: '192.0.2.1', family: 4, rewriteControl: () => 'rtsp://192.0.2.1/x' } as const;
    const before = describeSdp(text);
    const translated = translateSdp(text, to);
    const after = describeSdp(translated);
    if (before.media.length > 64) return `${before.media.length} sections`;
    if (after.media.length !== before.media.length) return 'sections were lost or made';
    for (const { port, clockRate, payloads } of before.media)
      if (port > 65_535 || !(clockRate <= 0xffffffff) || payloads.length > 128) return 'out of range';
    return after.media.some(({ port }) => port !== 0) ? 'a port is left' : undefined;
  },
};

/** As long as the framer lets it be. */
const longest = (parser: Parser): number =>
  parser === 'sdp' ? DEFAULT_LIMITS.body : DEFAULT_LIMITS.headerLine;

/** `refused`, `read`, or the rule that is broken. */
function outcome(parser: Parser, text: string): string {
  try {
    return RULES[parser](text) ?? 'read';
  } catch (error) {
    if (error instanceof RtspError && error.status >= 400 && error.status < 600) return 'refused';
    return error instanceof SdpError && parser === 'sdp' ? 'refused' : `threw ${String(error)}`;
  }
}

/** Milliseconds of processor time where those are too many. */
function tooLong(parser: Parser, text: string): number | undefined {
  const limit = SLOWEST_MS[parser === 'sdp' ? 'sdp' : 'header'];
  const once = () => {
    const before = process.cpuUsage();
    outcome(parser, text);
    return process.cpuUsage(before).user / 1000;
  };
  let ms = once();
  for (let i = 0; i < 3 && ms > limit; i++) ms = Math.min(ms, once());
  return ms > limit ? ms : undefined;
}

const PARSERS = Object.keys(RULES) as Parser[];
const bytesOf = (text: string) => Buffer.from(text, 'latin1');

t.test('the cases as they stand', async (t) => {
  for (const parser of PARSERS)
    for (const text of HEADER_CASES[parser]) t.equal(outcome(parser, text), 'read', `${parser}: ${text}`);
});

t.test(`mutated, FUZZ_SEED=${seed}`, { timeout: (seconds + 60) * 1000 }, async (t) => {
  const below = random(seed);
  const end = performance.now() + seconds * 1000;
  const morsels = HEADER_MORSELS.map(bytesOf);
  const seen = new Set<string>();
  let runs = 0;
  let wrong: string | undefined;
  for (; !wrong && performance.now() < end; runs++) {
    const parser = PARSERS[below(PARSERS.length)]!;
    const material = { seeds: HEADER_CASES[parser].map(bytesOf), morsels };
    let bytes = Buffer.from(material.seeds[below(material.seeds.length)]!);
    for (let i = below(6); i > 0; i--) bytes = Buffer.from(mutate(bytes, material, below));
    const long = below(LONG_ONE_OF) === 0;
    if (long) bytes = Buffer.from(repeated(bytes, material, longest(parser), below));
    const text = bytes.toString('latin1', 0, longest(parser));
    const came = outcome(parser, text);
    if (came === 'read' || came === 'refused') seen.add(`${parser} ${came}`);
    else wrong = came;
    const ms = long && !wrong ? tooLong(parser, text) : undefined;
    if (ms !== undefined) wrong = `took ${ms.toFixed(0)} ms`;
    if (wrong)
      wrong = `${parser}: ${wrong}: ${JSON.stringify(text.slice(0, 2000))} (${text.length} characters)`;
  }
  t.equal(wrong, undefined);
  t.comment(`${runs} texts`);
  const each = PARSERS.flatMap((parser) => [
    `${parser} read`,
    ...(NEVER_REFUSE.has(parser) ? [] : [`${parser} refused`]),
  ]);
  t.same([...seen].sort(), each.sort(), 'each has read some, and refused some');
  t.ok(runs > 100 * seconds, 'enough texts were tried');
});
