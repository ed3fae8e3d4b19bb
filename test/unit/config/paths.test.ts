// SPDX-License-Identifier: Apache-2.0
// Which path a URL means, where its source is, and what a reload changes.

import t from 'tap';
import * as fc from 'fast-check';
import { changesBetween, sameSource } from '../../../src/control/config/diff.js';
import { parseConfig } from '../../../src/control/config/parse.js';
import { findRoute, routeAt, type PathTable } from '../../../src/control/config/path-table.js';
import { matchPattern } from '../../../src/control/config/pattern.js';
import { quickTable } from '../../../src/control/config/quick.js';
import type { PathSource } from '../../../src/control/config/source-template.js';
import { formatRtspUrl, parseRtspUrl, type RtspUrl } from '../../../src/control/rtsp/url.js';

function tableOf(paths: Record<string, object>, more: object = {}): PathTable {
  const parsed = parseConfig(JSON.stringify({ paths, ...more })); // JSON is YAML
  if ('table' in parsed) return parsed.table;
  throw new Error(JSON.stringify(parsed.faults));
}

function urlOf(source: PathSource): RtspUrl {
  if (source === 'publish') throw new Error('it is published');
  return source.url;
}

/** What a viewer's path and query lead to: the path's name, the place, the URL at the source. */
function find(table: PathTable, place: string): string | undefined {
  const route = findRoute(table, parseRtspUrl(`rtsp://proxy${place}`));
  return route && [route.config.name, route.place, formatRtspUrl(route.url)].join(' ');
}

const TABLE = tableOf(
  {
    'cam/*': { source: 'rtsp://a/live/$1' },
    '*/*/sub': { source: 'rtsp://b/$2?of=$1' },
    lobby: { source: 'rtsp://c/stream?x=1' },
    'cam/7': { source: 'rtsp://d/seven/' },
    'all/*': { source: 'rtsp://e/$path$query' },
  },
  { root: 'lobby' },
);

t.test('names first, then patterns in their order', async (t) => {
  for (const [asked, found] of [
    ['/lobby', 'lobby /lobby rtsp://c/stream?x=1'],
    ['/lobby/', 'lobby /lobby rtsp://c/stream?x=1'],
    ['/lobby?y=2', 'lobby /lobby rtsp://c/stream?x=1'],
    ['/', 'lobby /lobby rtsp://c/stream?x=1'],
    ['', 'lobby /lobby rtsp://c/stream?x=1'],
    ['/cam/7', 'cam/7 /cam/7 rtsp://d/seven/'],
    ['/cam/8', 'cam/* /cam/8 rtsp://a/live/8'],
    ['/cam/8/sub', 'cam/* /cam/8/sub rtsp://a/live/8/sub'],
    ['/x/y/sub', '*/*/sub /x/y/sub rtsp://b/y?of=x'],
    ['/all/z?q=/1', 'all/* /all/z?q=/1 rtsp://e/all/z?q=/1'],
    ['/all/z/', 'all/* /all/z rtsp://e/all/z/'],
    ['/cam/', undefined],
    ['/cam', undefined],
    ['/Lobby', undefined],
    ['/cam/../secret', undefined],
    ['/cam/%2E%2e/secret', undefined],
    ['/cam/./8', undefined],
  ] as const)
    t.equal(find(TABLE, asked), found, asked);
});

t.test('a URL on the command line: all that its server has, under the same names', async (t) => {
  const table = quickTable(parseRtspUrl('rtsp://server:8000/camera?x=$1'));
  t.equal(find(table, '/'), '* /camera?x=$1 rtsp://server:8000/camera?x=$1');
  t.equal(find(table, '/a/b/?q=1'), '* /a/b/?q=1 rtsp://server:8000/a/b/?q=1');
  t.equal(find(table, '/$path'), '* /$path rtsp://server:8000/$path');
  t.equal(find(quickTable(parseRtspUrl('rtsp://server')), '/'), '  rtsp://server');
  t.equal(find(quickTable(parseRtspUrl('rtsp://server/')), '')?.trim(), 'rtsp://server/');
});

t.test('stars match as a regular expression would have them, in linear time', async (t) => {
  const short = (unit: fc.Arbitrary<string>) => fc.string({ unit, maxLength: 8 });
  fc.assert(
    fc.property(
      short(fc.constantFrom('a', 'b', '/', '*')),
      short(fc.constantFrom('a', 'b', '/')),
      (pattern, path) => {
        const stars = matchPattern(pattern, path);
        const wanted = new RegExp(`^${pattern.replaceAll('*', '(.+?)')}$`).test(path);
        if (!stars) return !wanted;
        const parts = pattern.split('*');
        return (
          wanted &&
          stars.every((star) => star !== '') &&
          parts[0] + stars.map((s, i) => s + parts[i + 1]).join('') === path
        );
      },
    ),
    { numRuns: 2000 },
  );
  const begun = performance.now();
  t.equal(matchPattern('*a*a*a*a*a*a*a*a*b', 'a'.repeat(4000)), undefined);
  t.ok(performance.now() - begun < 100);
});

t.test('a route is found again by its place, and is the same', async () => {
  fc.assert(
    fc.property(
      fc.constantFrom('cam', 'lobby', 'all', ''),
      fc.webPath(),
      fc.option(fc.webQueryParameters()),
      (name, rest, query) => {
        const asked = parseRtspUrl(`rtsp://proxy/${name}${rest}${query === null ? '' : `?${query}`}`);
        const route = findRoute(TABLE, asked);
        const again = route && routeAt(TABLE, route.place);
        return !route || (again !== undefined && sameSource(route, again) && again.config === route.config);
      },
    ),
  );
});

t.test('whatever a viewer asks for, it chooses neither the server nor a way up', async () => {
  const piece = fc.oneof(
    fc.constantFrom('cam', 'all', '/', '..', '.', '%2e', '@', ':', '\\', '$1', '$query', '//x.example', '?'),
    fc.string({ unit: fc.constantFrom('a', '/', '.', '%', '@'), maxLength: 5 }),
  );
  const hosts = new Set(TABLE.paths.map(({ source }) => urlOf(source).host));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const route = findRoute(TABLE, parseRtspUrl(`rtsp://proxy/${pieces.join('')}`));
      if (!route) return true;
      const asked = parseRtspUrl(formatRtspUrl(route.url)); // as the source will read it
      const climbs = asked.path.split('/').some((part) => /^(\.|%2e){1,2}$/i.test(part));
      return (
        hosts.has(asked.host) &&
        asked.host === urlOf(route.config.source).host &&
        asked.port === 554 &&
        !climbs
      );
    }),
    { numRuns: 3000 },
  );
});

t.test('what a reload changes', async (t) => {
  const at = (table: PathTable, place: string) => routeAt(table, place)!;
  const settings = fc.record(
    { source: fc.constantFrom('rtsp://a/x', 'rtsp://b/x'), maxViewers: fc.integer({ min: 1, max: 3 }) },
    { requiredKeys: ['source'] },
  );
  const paths = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), settings, { minKeys: 1 });
  fc.assert(
    fc.property(paths, paths, (before, after) => {
      const [old, now] = [tableOf(before), tableOf(after)];
      const { added, removed, changed } = changesBetween(old, now);
      const untouched = Object.keys(after).filter((name) => ![...added, ...changed].includes(name));
      return (
        added.every((name) => !before[name] && after[name]) &&
        removed.every((name) => before[name] && !after[name]) &&
        changed.every((name) => before[name] && after[name]) &&
        untouched.every((name) => sameSource(at(old, `/${name}`), at(now, `/${name}`))) &&
        changed.every(
          (name) =>
            sameSource(at(old, `/${name}`), at(now, `/${name}`)) ===
            (before[name]!.source === after[name]!.source),
        )
      );
    }),
  );
  const a = { source: 'rtsp://a/x' };
  t.same(changesBetween(tableOf({ a }, { root: 'a' }), tableOf({ a })), {
    added: [],
    removed: [],
    changed: ['/'],
  });
  const named = tableOf({ 'cam/1': { source: 'rtsp://a/1' } });
  const pattern = tableOf({ 'cam/*': { source: 'rtsp://a/$1' } });
  t.ok(sameSource(at(named, '/cam/1'), at(pattern, '/cam/1')), 'the same source by another rule');
});
