// SPDX-License-Identifier: Apache-2.0
// The file of --config: what it says, and every fault of it with its line, all together.

import t from 'tap';
import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { parseConfig } from '../../../src/control/config/parse.js';
import { DEFAULTS, FIELDS } from '../../../src/control/config/path-config.js';
import type { PathTable } from '../../../src/control/config/path-table.js';
import type { PathSource } from '../../../src/control/config/source-template.js';
import { credentialsOf, formatRtspUrl, type RtspUrl } from '../../../src/control/rtsp/url.js';

export function tableOf(yaml: string): PathTable {
  const parsed = parseConfig(yaml);
  if ('table' in parsed) return parsed.table;
  throw new Error(JSON.stringify(parsed.faults));
}

function urlOf(source: PathSource): RtspUrl {
  if (source === 'publish') throw new Error('it is published');
  return source.url;
}

const SOURCE = 'source: rtsp://192.0.2.7/x';
const path = (...lines: string[]) => ['paths:', '  a:', ...lines.map((line) => `    ${line}`)].join('\n');

t.test('a file is read: defaults, what a path says itself, names of all sorts', async (t) => {
  const table = tableOf(
    [
      'root: lobby',
      'mptcp: true',
      'defaults: { maxViewers: 10 }',
      'paths:',
      `  lobby: { ${SOURCE} }`,
      '  007: { source: "rtsp://192.0.2.8:8554/y?z=1", maxViewers: 3 }',
      '  cam/*: { source: "rtsp://[2001:db8::1]/live/$1", viewers: [192.0.2.0/24, "2001:db8::/32"] }',
    ].join('\n'),
  );
  t.same(
    table.paths.map(({ name, source, maxViewers }) => [name, formatRtspUrl(urlOf(source)), maxViewers]),
    [
      ['lobby', 'rtsp://192.0.2.7/x', 10],
      ['007', 'rtsp://192.0.2.8:8554/y?z=1', 3],
      ['cam/*', 'rtsp://[2001:db8::1]/live/$1', 10],
    ],
  );
  t.same(
    table.paths[2]?.viewers?.map(({ text }) => text),
    ['192.0.2.0/24', '2001:db8::/32'],
  );
  t.same(table.root, { path: '/lobby', query: undefined });
  t.equal(table.mptcp, true);
  t.equal(tableOf(path(SOURCE)).mptcp, undefined);
  const { name, source, ...settings } = tableOf(path(SOURCE)).paths[0]!;
  t.same(settings, DEFAULTS, `${name} ${urlOf(source).host}: no more than the defaults`);
});

t.test('name and password for the source beside its URL are as if they stood in it', async (t) => {
  const read = (...lines: string[]) => {
    const { source } = tableOf(path(...lines)).paths[0]!;
    return source === 'publish' ? undefined : credentialsOf(source.url);
  };
  t.same(read('source: rtsp://a%40b:c%3A%2F@192.0.2.7/x'), { username: 'a@b', password: 'c:/' });
  t.same(read(SOURCE, 'sourceUser: a@b', 'sourcePassword: "c:/"'), { username: 'a@b', password: 'c:/' });
  const utf8 = (text: string) => Buffer.from(text).toString('latin1');
  t.same(read(SOURCE, 'sourceUser: ä', 'sourcePassword: "100% €"'), {
    username: utf8('ä'),
    password: utf8('100% €'),
  });
  t.same(read(SOURCE, 'sourceUser: a'), { username: 'a', password: '' });
  const all = tableOf(`defaults: { sourceUser: a, sourcePassword: b }\n${path(SOURCE)}`);
  t.match(all.paths, [{ source: { url: { user: 'a', password: 'b' } } }], 'for all paths');
});

const WRONG: [what: string, yaml: string, line: number, says: RegExp][] = [
  ['nothing', '', 1, /says nothing/],
  ['not keys', '- a', 1, /the file must be keys/],
  ['no paths', 'defaults: {}', 1, /paths are missing/],
  ['none', 'paths: {}', 1, /at least one/],
  ['YAML', 'paths:\n  a: [', 2, /no YAML/],
  ['a tab', 'paths:\n\ta: 1', 2, /no YAML/],
  ['a star without quotes', `paths:\n  *: { ${SOURCE} }`, 2, /needs quotes/],
  ['an anchor', `paths:\n  a: &x { ${SOURCE} }`, 2, /anchors/],
  ['the same twice', `paths:\n  a: { ${SOURCE} }\n  a: { ${SOURCE} }`, 3, /unique/],
  ['a key of the file', `${path(SOURCE)}\nsauce: 1`, 4, /sauce is not known here: there are paths/],
  ['a login twice', path('source: rtsp://a:b@192.0.2.7/x', 'sourceUser: a'), 3, /has a name in its URL/],
  ['half a login', path(SOURCE, 'sourcePassword: x'), 3, /sourcePassword is given without sourceUser/],
  ['a password that is a number', path(SOURCE, 'sourceUser: a', 'sourcePassword: 007'), 5, /in quotes/],
  ['a colon in the name', path(SOURCE, 'sourceUser: "a:b"'), 4, /sourceUser must be .* without colons/],
  ['half a character', path(SOURCE, 'sourceUser: "\\ud800"'), 4, /sourceUser must be a text/],
  [
    'a line end in a header',
    path(SOURCE, 'authRealm: "two\\nlines"'),
    4,
    /authRealm must be .* without control/,
  ],
  ['mptcp', `${path(SOURCE)}\nmptcp: yes`, 4, /mptcp must be true or false/],
  ['a key of the defaults', `defaults:\n  source: x\n${path(SOURCE)}`, 2, /source is not known here/],
  ['a key of a path', path(SOURCE, 'maxViewer: 1'), 4, /maxViewer is not known here: there are source/],
  ['a name with a regular expression', `paths:\n  ~^a$: { ${SOURCE} }`, 2, /no regular expressions/],
  ['a name with a slash', `paths:\n  /a: { ${SOURCE} }`, 2, /slash/],
  ['a name that climbs', `paths:\n  a/../b: { ${SOURCE} }`, 2, /\.\./],
  ['a name with a blank', `paths:\n  a b: { ${SOURCE} }`, 2, /blanks/],
  ['too many stars', `paths:\n  "${'*a'.repeat(10)}": { ${SOURCE} }`, 2, /9 stars/],
  ['a path that says nothing', 'paths:\n  a:', 2, /path a must be keys/],
  ['no source', 'paths:\n  a: {}', 2, /source is missing/],
  ['a source that is no text', path('source: 7'), 3, /source must be a text/],
  ['a source that is no URL', path('source: camera'), 3, /rtsp:\/\/HOST/],
  ['a source of another kind', path('source: http://x/'), 3, /HOST/],
  ['a variable for the server', path('source: rtsp://$1/x'), 3, /host name or address/],
  ['a variable without star', path('source: rtsp://x/$1'), 3, /no star that \$1/],
  ['a fallback that is no URL', path(SOURCE, 'fallbacks: [camera]'), 4, /each of fallbacks: .*HOST/],
  ['one of another scheme', path(SOURCE, 'fallbacks: ["rtsps://b/"]'), 4, /rtsp:\/\/ as the source is/],
  ['one for a publisher', path('source: publish', 'fallbacks: ["rtsp://b/"]'), 4, /fallbacks is for paths/],
  ['no number', path(SOURCE, 'maxViewers: many'), 4, /maxViewers must be a whole number from 1 to 16384/],
  ['a number out of range', path(SOURCE, 'maxViewers: 0'), 4, /from 1/],
  ['no list', path(SOURCE, 'viewers: 192.0.2.1'), 4, /viewers must be a list/],
  ['an empty list', path(SOURCE, 'viewers: []'), 4, /at least one/],
  [
    'no address',
    path(SOURCE, 'viewers:', '  - 192.0.2.1', '  - me'),
    6,
    /each of viewers must be an address/,
  ],
  ['bits behind a prefix', path(SOURCE, 'viewers: [192.0.2.1/24]'), 4, /each of viewers/],
  [
    'a key of publishers',
    path(SOURCE, 'publishers: [192.0.2.1]'),
    4,
    /publishers is for paths whose source is publish/,
  ],
  [
    'a rule for publishers',
    path(SOURCE, 'takeOver: always'),
    4,
    /takeOver is for paths whose source is publish/,
  ],
  [
    'a key of sources',
    path('source: publish', 'sourceTransport: tcp'),
    4,
    /sourceTransport is for paths whose source is a URL/,
  ],
  [
    'an authority for a source without certificate',
    path(SOURCE, 'sourceCa: ca.pem'),
    4,
    /sourceCa is for paths whose source is rtsps:\/\//,
  ],
  [
    'a fingerprint of a publisher',
    path('source: publish', `sourceFingerprint: ${'0a'.repeat(32)}`),
    4,
    /sourceFingerprint is for paths whose source is rtsps:\/\//,
  ],
  [
    'nothing to be on',
    path('source: publish', 'onDemand: false'),
    4,
    /onDemand is for paths whose source is a URL/,
  ],
  [
    'a take-over',
    path('source: publish', 'takeOver: sometimes'),
    4,
    /takeOver must be one of never, same-address, always/,
  ],
  [
    'a pattern that is on',
    `paths:\n  cam/*:\n    ${SOURCE}\n    onDemand: false`,
    4,
    /cam\/\*: a pattern is always on demand/,
  ],
  [
    'a pattern that is on by default',
    `defaults: { onDemand: false }\npaths:\n  cam/*: { ${SOURCE} }\n  live/*: { source: publish }`,
    3,
    /a pattern is always on demand/,
  ],
  ['an unknown root', `${path(SOURCE)}\nroot: b`, 4, /there is no path b/],
  ['nested without end', '['.repeat(100_000), 1, /YAML|deeply/],
];

t.test('each fault is told with its line', async (t) => {
  for (const [what, yaml, line, says] of WRONG) {
    const parsed = parseConfig(yaml);
    const faults = 'faults' in parsed ? parsed.faults : [];
    t.ok(
      faults.some((fault) => fault.line === line && says.test(fault.text)),
      `${what}: ${JSON.stringify(faults.slice(0, 3))}`,
    );
  }
});

t.test('defaults for one sort of paths are no faults of the other', async (t) => {
  const { paths } = tableOf(
    [
      'defaults: { onDemand: false, sourceTransport: tcp, takeOver: never, sourceCa: ca.pem }',
      'paths:',
      `  a: { ${SOURCE} }`,
      '  live/*: { source: publish }',
    ].join('\n'),
  );
  t.match(paths, [
    { onDemand: false, sourceTransport: 'tcp', sourceCa: 'ca.pem' },
    { source: 'publish', takeOver: 'never' },
  ]);
});

t.test('all faults come together, in the order of the file, and none tells a password', async (t) => {
  const yaml = [
    'paths:',
    '  a: { source: "rtsp://me:secret@192.0.2.7:99999/x", maxViewers: 0 }',
    '  b: { sauce: 1 }',
    '  c:',
    `    ${SOURCE}`,
    '    viewers: [here, 192.0.2.1]',
    'what: 1',
  ].join('\n');
  const parsed = parseConfig(yaml);
  const faults = 'faults' in parsed ? parsed.faults : [];
  t.same(
    faults.map(({ line }) => line),
    [2, 2, 3, 3, 6, 7],
  );
  t.notMatch(JSON.stringify(faults), /secret/);
});

t.test('whatever the text, there is a table or a fault', async () => {
  const line = fc.constantFrom(
    'paths:',
    '  a:',
    `    ${SOURCE}`,
    '    viewers:',
    '- x',
    '  "*": {',
    '}',
    '&a *a',
    '',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(line).map((lines) => lines.join('\n')),
  );
  fc.assert(
    fc.property(text, (yaml) => {
      const parsed = parseConfig(yaml);
      return 'table' in parsed ? parsed.table.paths.length > 0 : parsed.faults.length > 0;
    }),
  );
});

t.test('docs/config.md has every key, and its example is without fault', async (t) => {
  const document = readFileSync('docs/config.md', 'utf8');
  for (const key of ['paths', 'defaults', 'root', 'mptcp', 'source', 'fallbacks', ...Object.keys(FIELDS)])
    t.match(document, new RegExp(`^\\| \`${key}\` \\|`, 'm'), key);
  const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(document) ?? [];
  t.ok(tableOf(example).paths.length > 1);
});
