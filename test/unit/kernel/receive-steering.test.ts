// SPDX-License-Identifier: Apache-2.0
// Lists and masks of CPUs; that packets are really steered is seen in bpf/tc-engine.
import t from 'tap';
import { cpuMask, parseCpuList } from '../../../src/control/kernel/receive-steering.js';

t.test('lists as the kernel writes them', (t) => {
  t.same(parseCpuList('0\n'), [0]);
  t.same(parseCpuList('0-3,6,8-9\n'), [0, 1, 2, 3, 6, 8, 9]);
  for (const wrong of ['', '0-', 'a', '3-1', '0,,1', '0-999999'])
    t.throws(() => parseCpuList(wrong), /no list of CPUs/, wrong);
  t.end();
});

t.test('masks as it reads them', (t) => {
  t.equal(cpuMask([0, 1]), '00000003');
  t.equal(cpuMask([31]), '80000000');
  t.equal(cpuMask([0, 32, 63]), '80000001,00000001');
  t.equal(cpuMask([64]), '00000001,00000000,00000000');
  t.end();
});
