// SPDX-License-Identifier: Apache-2.0
// docs/peers.md names a test for each habit and complaint: they are there, under these titles.
import t from 'tap';
import { existsSync, readFileSync } from 'node:fs';

t.test('each test that docs/peers.md names exists', async (t) => {
  const rows = readFileSync('docs/peers.md', 'utf8')
    .split('\n')
    .flatMap((line) => /\| ((?:unit|netns|bpf|vm)\/[\w/-]+): (.+) \|$/.exec(line)?.slice(1) ?? []);
  t.ok(rows.length / 2 > 40, 'the tables were read');
  for (let i = 0; i < rows.length; i += 2) {
    const file = `test/${rows[i]}.test.ts`;
    if (!t.ok(existsSync(file), file)) continue;
    const text = readFileSync(file, 'utf8').replaceAll("\\'", "'");
    t.ok(text.includes(rows[i + 1]!), `${file}: ${rows[i + 1]}`);
  }
});

t.test('each row of the tables of habits and complaints ends with a test', async (t) => {
  const rows = readFileSync('docs/peers.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|(?: habit| complaint|---)/.test(line));
  for (const row of rows) t.match(row, /\| (?:unit|netns|bpf|vm)\/\S+: .+ \|$/, row);
});
