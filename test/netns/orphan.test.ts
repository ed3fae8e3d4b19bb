// SPDX-License-Identifier: Apache-2.0
// The kernel goes on without its control plane: kill -9 in the middle of a stream, and every viewer still gets every packet.
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Path, finalCount } from '../../tools/bench/path.js';
import { canNetns } from '../../tools/netns/probe.js';
import { canMeasure } from '../../tools/wire/counter.js';

t.setTimeout(120_000);

const skip = canNetns() ?? canMeasure() ?? false;
const VIEWERS = 200;
const SECONDS = 4;

for (const engine of ['tc', 'xdp'] as const)
  t.test(`${engine}: nothing is lost by its death`, { skip }, async (t) => {
    const path = await Path.build(5);
    try {
      const fanout = await path.open(engine, VIEWERS);
      const counter = await path.count();
      const sending = path.send({ pps: 271, bytes: 466, burst: 10 }, SECONDS);
      await sleep((SECONDS * 1000) / 4);
      await fanout.worker.stop('SIGKILL');
      const { sent } = await sending;
      const { rows, ...totals } = await finalCount(counter);
      t.equal(rows.length, VIEWERS);
      t.equal(totals.rtp, sent * VIEWERS, 'every copy arrived');
      const wrong = rows.filter((row) => row.packets !== sent || row.lost || row.duplicated || row.reordered);
      t.same(wrong, []);
    } finally {
      await path.close();
    }
  });
