// SPDX-License-Identifier: Apache-2.0
// The measuring tools measured: the burst source through a veth into the counting program, with faults made on purpose.
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import t from 'tap';
import { Child, run } from '../../tools/netns/child.js';
import { canNetns } from '../../tools/netns/probe.js';
import { createTopology } from '../../tools/netns/topology.js';
import { Counter, canMeasure, wireTool } from '../../tools/wire/counter.js';

const noTools = canMeasure() ?? false;
const skip = canNetns() ?? noTools;

t.test('the counter tells lost, duplicated and reordered apart, across the wrap', { skip }, async (t) => {
  const topology = await createTopology();
  try {
    const { server, proxy, upstream } = topology;
    const counter = await Counter.attach(proxy, 'up0', '5000-5999');
    const send = async (firstSeq: number, count: number, port = 5004) =>
      JSON.parse(
        await server.run(wireTool('burst'), [
          ...[
            '--to',
            `${upstream.proxy.address}:${port}`,
            '--pps',
            '10000',
            '--bytes',
            '466',
            '--burst',
            '5',
          ],
          ...['--count', String(count), '--first-seq', String(firstSeq), '--ssrc', '7'],
        ]),
      ) as { sent: number; bursts: number };
    t.match(await send(65_530, 10), { sent: 10, bursts: 2, bytes: 4660, firstSeq: 65_530, lastSeq: 3 });
    await send(2, 1); // a duplicate
    await send(6, 1); // 4 and 5 are lost
    await send(4, 1); // 4 is only late
    await send(65_000, 1); // too old to say what it is
    await send(100, 3, 5006);
    const { rows, ...totals } = await counter.detach();
    t.strictSame(totals, { rtp: 17, rtcp: 0, other: 0, aggregated: 0, overflow: 0 });
    const common = { address: upstream.proxy.address, ssrc: 7 };
    t.strictSame(
      [...rows].sort((a, b) => a.port - b.port),
      [
        {
          ...common,
          ...{
            port: 5004,
            packets: 14,
            bytes: 14 * 466,
            lost: 1,
            duplicated: 1,
            reordered: 1,
            old: 1,
            first: 11,
          },
          ...{ firstSeq: 65_530, lastSeq: 6 },
        },
        {
          ...common,
          ...{
            port: 5006,
            packets: 3,
            bytes: 3 * 466,
            lost: 0,
            duplicated: 0,
            reordered: 0,
            old: 0,
            first: 3,
          },
          ...{ firstSeq: 100, lastSeq: 102 },
        },
      ],
    );
    t.notMatch(await proxy.run('tc', ['qdisc', 'show', 'dev', 'up0']), /clsact/, 'nothing stays attached');
  } finally {
    await topology.close();
  }
});

t.test('the source keeps its schedule', { skip: noTools }, async (t) => {
  const args = [
    '--to',
    '127.0.0.1:59998',
    '--pps',
    '271',
    '--bytes',
    '466',
    '--burst',
    '30',
    '--seconds',
    '1',
  ];
  const result = JSON.parse(await run(wireTool('burst'), args)) as {
    sent: number;
    refused: number;
    seconds: number;
  };
  t.equal(result.sent + result.refused, 271);
  t.ok(result.seconds >= 0.99 && result.seconds < 1.5, `${result.seconds} s`);
});

t.test('wrong arguments are one clear line', { skip: noTools }, async (t) => {
  for (const args of [[], ['--to', '1.2.3.4:0'], ['--pps', 'x'], ['--burst', '0'], ['--bytes', '11']])
    await t.rejects(run(wireTool('burst'), args), /ended with 2/);
  await t.rejects(run(wireTool('spin'), ['--seconds', '-1']), /--seconds: '-1' is not a number from/);
  await t.rejects(run(wireTool('counter'), ['--device', 'nix0', '--ports', '1-2']), /no device 'nix0'/);
});

t.test(
  'programs that count say in one line why they cannot, wherever they are called',
  { skip },
  async (t) => {
    const url = 'rtsp://127.0.0.1:1/camera';
    const cases: [program: string, args: string[]][] = [
      ['rtp-counter', ['--device', 'nix0', '--ports', '5000-5001']],
      ['rtsp-load', ['--count', 'nix0', url]],
    ];
    for (const [program, args] of cases) {
      const ask = async (env: Record<string, string>) => {
        const child = await Child.start(resolve('bin', program), args, { cwd: tmpdir(), env });
        const { code } = await child.finish(20_000);
        return { code, out: child.stdout, err: child.stderr };
      };
      t.match(await ask({}), {
        code: 2,
        out: '',
        err: `${program}: no device 'nix0' in this network namespace\n`,
      });
      const unbuilt = new RegExp(`^${program}: \\S*/tools/wire cannot be built: [^\n]+\n$`);
      t.match(await ask({ MAKEFLAGS: '--eval=nonsense' }), { code: 1, out: '', err: unbuilt });
    }
  },
);

t.test('the spinners lose the time that something else takes', { skip: noTools }, async (t) => {
  const spin = async () =>
    JSON.parse(await run(wireTool('spin'), ['--seconds', '0.5'])) as { cores: number; lost: number };
  const busy = await Child.start(process.execPath, ['-e', 'console.log("busy"); for (;;);']);
  await busy.output(/busy/);
  const loaded = await spin();
  await busy.stop('SIGKILL');
  const { cores, lost } = loaded;
  t.ok(lost > 0.8 && lost <= cores, `${lost} of ${cores} cores, one of which is kept busy`);
  const idle = await spin();
  t.ok(idle.lost >= 0 && idle.lost < lost, `${idle.lost} without it`);
});
