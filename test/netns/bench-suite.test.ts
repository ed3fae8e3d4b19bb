// SPDX-License-Identifier: Apache-2.0
// The comparison suite and the joins, small and short, so that they do not rot: they complete and every section measures
// something. No figure of time is judged here.
import t from 'tap';
import { readFileSync } from 'node:fs';
import { renderJoins, type JoinsResults } from '../../tools/bench/joins-report.js';
import { renderSuite, type SuiteResults } from '../../tools/bench/suite-report.js';
import type { PeersResult } from '../../tools/bench/suite/peers/section.js';
import { Child } from '../../tools/netns/child.js';
import { canNetns } from '../../tools/netns/probe.js';
import { canMeasure } from '../../tools/wire/counter.js';
import { compiled } from './product.js';

t.setTimeout(280_000);

const skip = canNetns() ?? canMeasure() ?? false;
const DATAPATH = compiled('tools/bench/datapath.js');
const SUITE = compiled('tools/bench/suite.js');
const JOINS = compiled('tools/bench/joins.js');

t.test('the whole suite, small: each section measures something, relays deliver', { skip }, async (t) => {
  const child = await Child.start(process.execPath, [SUITE, '--quick']);
  const { code } = await child.finish(120_000);
  t.equal(code, 0, 'it completes');
  if (code !== 0) t.comment(child.describe());
  const results = JSON.parse(readFileSync('build/bench/suite-quick.json', 'utf8')) as SuiteResults;
  t.equal(child.stdout, renderSuite(results), 'what it prints is what it saved');
  t.notMatch(child.stdout, /NaN|undefined|Infinity|Section with/);
  t.match(child.stderr, /\d:\d\d of about \d:\d\d  peers: /, 'it tells how far it is');
  const { runs } = results.sections['peers'] as PeersResult;
  for (const [relay, ways] of [
    ['rtsp-fanout xdp', 'by UDP, within connections, from bursts'],
    ['GStreamer', 'by UDP, within connections'],
  ] as const) {
    const own = runs.filter((run) => run.relay === relay);
    t.equal(own.length, ways.split(',').length, `${relay}: ${ways}`);
    for (const { joined, viewers, got, failure } of own)
      t.match({ joined, failure, got }, { joined: viewers, failure: undefined, got: { nothing: 0 } });
  }
  for (const { got } of runs.filter(({ relay }) => relay === 'rtsp-fanout xdp'))
    t.match(got, { lost: 0, duplicated: 0, reordered: 0 });
});

t.test('joins, a few: all get in, and it is told how fast', { skip }, async (t) => {
  const child = await Child.start(process.execPath, [
    ...[JOINS, '--no-save', '--rate', '10', '--seconds', '2', '--repeats', '1'],
  ]);
  const { code } = await child.finish(90_000);
  t.equal(code, 0, 'it completes');
  if (code !== 0) t.comment(child.describe());
  const results = JSON.parse(readFileSync('build/bench/joins.json', 'utf8')) as JoinsResults;
  t.match(results, { runs: [{ engine: 'xdp', joined: 20, failures: {} }] });
  t.equal(child.stdout, `${renderJoins(results).join('\n\n')}\n`, 'what it prints is what it saved');
});

t.test('a wrong command line is one clear line', async (t) => {
  const wrong = [['--only', 'nothing'], ['--repeats', '0'], ['more']];
  for (const [main, name, words] of [
    [DATAPATH, 'bench-datapath', [...wrong, ['--engines', 'magic']]],
    [SUITE, 'bench', wrong],
  ] as const)
    for (const args of words) {
      const child = await Child.start(process.execPath, [main, ...args]);
      t.match(await child.finish(), { code: 2 }, args.join(' '));
      t.match(child.stderr, new RegExp(`^${name}: .*\\n$`));
    }
});
