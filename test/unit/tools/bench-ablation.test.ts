// SPDX-License-Identifier: Apache-2.0
// Samples of stacks as perf prints them, folded into parts; and what is told of them.
import t from 'tap';
import { fold, partOf } from '../../../tools/bench/suite/ablation/parts.js';
import { ablationFigure, renderAblation } from '../../../tools/bench/suite/ablation/report.js';
import { parseCounts, parseStacks } from '../../../tools/bench/suite/ablation/sampling.js';
import type { AblationResult } from '../../../tools/bench/suite/ablation/section.js';
import { drawSvg } from '../../../tools/bench/plot.js';

const frames = (...names: string[]) => names.map((name) => `\tffffffff81000000 ${name}\n`).join('');
const IDLE = ['default_idle', 'cpuidle_enter', 'do_idle', 'cpu_startup_entry'];

t.test('what is sampled', async (t) => {
  const text = [
    `sendto \n${frames('kmem_cache_alloc', '__alloc_skb', 'udp_sendmsg', 'do_syscall_64')}`,
    `swapper \n${frames(...IDLE)}`,
    `swapper \n${frames('veth_poll', 'net_rx_action', 'handle_softirqs', 'asm_sysvec_apic_timer_interrupt', ...IDLE)}`,
    `other \n${frames('do_page_fault')}`,
    `other \n${frames('memcpy', 'pskb_expand_head', 'bpf_prog_0123456789abcdef_serve_next', 'veth_poll', 'net_rx_action')}`,
  ].join('\n');
  const stacks = parseStacks(text, ['sendto']);
  t.strictSame(
    stacks.map((stack) => stack[0]),
    ['kmem_cache_alloc', 'veth_poll', 'memcpy'],
    'programs that are measured, and packets wherever they are worked on; neither idle cores nor strangers',
  );
  t.strictSame(stacks.map(partOf), ['socket', 'link and receiver', 'copying']);
  t.equal(fold(stacks).copying, 1);
  t.equal(partOf(['bpf_prog_0123456789abcdef_serve_next', 'veth_poll']), 'our program');
  t.equal(partOf(['bpf_prog_0123456789abcdef_sink', 'veth_poll']), 'link and receiver');
  t.equal(partOf(['main']), 'user space');
  t.equal(partOf(['some_new_function', 'entry_SYSCALL_64_after_hwframe', 'main']), 'socket');
  t.equal(partOf(['some_thread', 'kthread', 'ret_from_fork']), 'other');
});

t.test('how fast a core counts', async (t) => {
  const text = '9000000,,cycles,3000000,100.00,,\n3.00,msec,task-clock,3000000,100.00,0.9,CPUs utilized\n';
  t.equal(parseCounts(text, 'cycles'), 3e9);
  t.equal(parseCounts(text.replace('9000000', '<not supported>'), 'cycles'), undefined);
  t.equal(parseCounts('6.00,msec,cpu-clock,,\n3.00,msec,task-clock,,\n', 'cpu-clock'), 2e9);
});

t.test('what is told', async (t) => {
  const way = (name: string, us: number) => ({
    name,
    microseconds: { median: us, least: us, most: us },
    copiesPerSecond: 1000,
  });
  const none: AblationResult = {
    ...{ viewers: 10, pps: 100, bytes: 1200, seconds: 1 },
    idle: { median: 0.01, least: 0.01, most: 0.01 },
    ways: [way('first', 4), way('second', 2)],
  };
  t.match(renderAblation(none).join('\n'), /by the spinners: second 2\.00; .* not shown/s);
  t.strictSame(ablationFigure(none), []);
  const parts = { ...fold([]), copying: 1, socket: 3 };
  const sampled: AblationResult = {
    ...none,
    event: 'cpu-clock',
    ways: [
      { ...way('first', 9), parts },
      { ...way('second', 1), parts: { ...parts, socket: 1 } },
    ],
  };
  const text = renderAblation(sampled).join('\n');
  t.match(text, /by samples: second 2\.00/);
  t.match(text, /^\| socket \| 3\.000 \| 1\.000 \|$/m);
  t.notMatch(text, /IP stack/, 'a part of which there is nothing');
  t.match(await drawSvg(ablationFigure(sampled)[0]!.spec), /machine cost per delivered copy/);
});
