// SPDX-License-Identifier: Apache-2.0
// Lists and masks of CPUs; that packets are really steered is seen in bpf/tc-engine.
import t from 'tap';
import { cpuMask, parseCpuList, steerReceived } from '../../../src/control/kernel/receive-steering.js';

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

/** A kernel with these CPUs online that leaves some out of each mask. */
function kernel(online: string, housekeeping: bigint) {
  let mask = 0n;
  return {
    online: async () => `${online}\n`,
    write: async (_: object, text: string) => {
      mask = BigInt(`0x${text.replaceAll(',', '')}`) & housekeeping;
    },
    read: async () => `${mask.toString(16)}\n`,
    mask: () => mask,
  };
}

t.test('steered to only where the kernel has taken all of the CPUs', async (t) => {
  const device = { name: 'rfo8554-q1', ifindex: 9 };
  const whole = kernel('0-3', 0xffn);
  t.same(await steerReceived(device, whole), { cpus: 4, told: 'CPUs 0-3' });
  t.equal(whole.mask(), 0xfn);
  const many = kernel('0-39', (1n << 40n) - 1n);
  t.match(await steerReceived(device, many), { cpus: 40 });
  const isolated = kernel('0-3', 0b0011n); // isolcpus=2,3: the write succeeds all the same
  t.match(await steerReceived(device, isolated), { cpus: 0, told: /isolated.* it took 3\)/ });
  t.equal(isolated.mask(), 0n, 'not steered at all then');
  t.match(await steerReceived(device, kernel('0', 1n)), { cpus: 0, told: /no other/ });
  t.match(await steerReceived(device, kernel('0,2', 7n)), { cpus: 0, told: /missing/ });
  const strange = { ...kernel('0-3', 0xfn), read: async () => '' };
  t.match(await steerReceived(device, strange), { cpus: 0, told: /no mask of CPUs/ });
  t.equal(strange.mask(), 0n);
});
