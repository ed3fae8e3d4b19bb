// SPDX-License-Identifier: Apache-2.0
// The reasons of drops are those of the ABI, and docs/drops.md explains each.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { Drop } from '../../../src/control/kernel/abi.gen.js';
import { DROPS, DROP_REASONS } from '../../../src/control/kernel/drop-reasons.js';

t.test('each number that means something has a name', async (t) => {
  t.same(DROPS[0], { number: Drop.NOT_SOURCE, reason: 'not-source' });
  t.equal(DROPS.length, Object.keys(Drop).length - 2, 'all but NONE and MAX');
});

t.test('the document has a row for each, in their order, that says what helps', async (t) => {
  const rows = readFileSync('docs/drops.md', 'utf8').match(/^\| `.*$/gm) ?? [];
  const cells = rows.map((row) => row.split('|').map((cell) => cell.trim()));
  t.same(
    cells.map(([, reason]) => reason),
    DROP_REASONS.map((reason) => `\`${reason}\``),
  );
  for (const [, reason, of, meaning, help] of cells)
    t.ok(/^(packet|copy)$/.test(of!) && meaning && help, `${reason}`);
});
