// SPDX-License-Identifier: Apache-2.0
// `make bench-joins`: viewers join a running path at a steady rate, the proxy on one core, whoever loads it on another.
// Each connects, asks DESCRIBE, SETUP and PLAY, stays a moment, and leaves with TEARDOWN, so that what is measured is
// joining and not the media of thousands. Needs root and a machine that does nothing else.
import { mkdirSync, writeFileSync } from 'node:fs';
import { Option } from 'commander';
import { newProgram } from '../../src/command-line.js';
import type { CrowdSummary } from '../load/crowd.js';
import { run, type Child } from '../netns/child.js';
import { canNetns } from '../netns/probe.js';
import { createTopology, type Topology } from '../netns/topology.js';
import { until } from '../netns/wait.js';
import { writeDocument } from './document.js';
import { renderJoins, type JoinsResults, type JoinsRun } from './joins-report.js';
import { describeMachine } from './machine.js';
import { cpuNs } from './process-time.js';
import { REPEATS, wholeNumber } from './options.js';
import { benchTool, compiled } from './programs.js';

const PORT = 8554;
const PROXY_CORE = '0';
const LOAD_CORE = '1';
/** Enough for a neighbour table to matter. */
const ADDRESSES = 50;
const ENGINES = ['xdp', 'tc', 'userspace'] as const;
const STAY_SECONDS = 0.2;
const OUT = 'build/bench';
/** So that no full collection falls into a run: it would stop the viewers, and the source beside them, for 50 ms. */
const WITHOUT_FULL_COLLECTION = ['--single-threaded-gc', '--max-semi-space-size=128'];

interface Options {
  readonly rate: number;
  readonly seconds: number;
  readonly repeats: number;
  readonly engine: (typeof ENGINES)[number];
  readonly save: boolean;
}

function parse(): Options {
  const program = newProgram('bench-joins')
    .description('500 joins per second for 10 s, several times; writes docs/benchmarks.md.')
    .option('--rate <n>', 'joins per second', wholeNumber(1, 5000), 500)
    .option('--seconds <n>', 'of each run', wholeNumber(1, 600), 10)
    .option('--repeats <n>', 'runs, each with a proxy of its own', REPEATS, 5)
    .addOption(new Option('--engine <name>', 'who copies the packets').choices(ENGINES).default('xdp'))
    .option('--no-save', 'print only; docs/ stays as it is');
  program.parse();
  return program.opts<Options>();
}

/** A program in its namespace, bound to a core. */
function onCore(
  where: Topology['proxy'],
  core: string,
  command: string,
  args: readonly string[],
): Promise<Child> {
  return where.spawn('taskset', ['-c', core, command, ...args]);
}

async function measure(options: Options): Promise<JoinsRun> {
  const topology = await createTopology({ addresses: ADDRESSES });
  try {
    return await measureIn(topology, options);
  } finally {
    await topology.close();
  }
}

async function measureIn(topology: Topology, { rate, seconds, engine }: Options): Promise<JoinsRun> {
  await run('taskset', ['-pc', LOAD_CORE, `${process.pid}`]); // and with us what we start: only the proxy is on its core
  const { server, proxy, viewers, upstream, downstream } = topology;
  const { proxy: toViewers, addresses } = downstream[0]!;
  // Nobody has the viewers' ports: without this the kernel would answer each packet with an error, at the proxy's cost.
  const sink = await viewers[0]!.spawn(benchTool('sink'), ['eth0', '10000-59999']);
  await sink.output(/^ready$/m);
  const camera = await onCore(server, LOAD_CORE, process.execPath, [
    ...[compiled('tools/camera/main.js'), '--listen', `${upstream.server.address}:554`, '--json'],
  ]);
  await camera.output(/"listening"/);
  const product = await onCore(proxy, PROXY_CORE, 'bin/rtsp-fanout', [
    ...['--listen', `${toViewers.address}:${PORT}`, '--datapath', engine],
    ...['--api-socket', `${OUT}/joins.sock`, '--log-level', 'warn'],
    `rtsp://${upstream.server.address}/camera`,
  ]);
  await product.output(/^ *datapath /m, 30_000); // or why not
  const load = (...words: string[]) =>
    onCore(viewers[0]!, LOAD_CORE, process.execPath, [
      ...[
        ...WITHOUT_FULL_COLLECTION,
        compiled('tools/load/rtsp-load.js'),
        `rtsp://${toViewers.address}:${PORT}/camera`,
        ...words,
      ],
    ]);
  const steady = await load('--viewers', '1', '--from', addresses[0]!, '--ports', '10000-10001');
  await steady.output(/"joined":1,/);
  const crowd = await load(
    ...['--viewers', `${rate * seconds}`, '--rate', `${rate}`, '--stay', `${STAY_SECONDS}`],
    ...['--from', addresses.join(','), '--warm-up', `${rate * seconds}`],
  );
  await crowd.output(/^warm$/m, (seconds + 60) * 1000);
  const [from, before] = [performance.now(), cpuNs(product.pid)];
  const [line] = await crowd.output(/^\{.*\}$/m, (seconds + 60) * 1000);
  await crowd.finish(30_000);
  const cpuMs = (cpuNs(product.pid) - before) / 1e6;
  const cores = cpuMs / (performance.now() - from);
  const { joined, perSecond, joinMs, failures, ownDelayMs } = JSON.parse(line) as CrowdSummary;
  await until('the viewers to be gone', () => !crowd.running);
  await steady.finish();
  await product.stop();
  if (!joinMs) throw new Error(`nobody has joined: ${JSON.stringify(failures)}`);
  return {
    engine,
    joined,
    perSecond,
    ...joinMs,
    failures,
    ownDelayMs: ownDelayMs.p99,
    cores,
    cpuMs: cpuMs / joined,
  };
}

const options = parse();
const obstacle = canNetns();
if (obstacle !== undefined) {
  process.stderr.write(`bench-joins: ${obstacle}\n`);
  process.exit(1);
}
mkdirSync(OUT, { recursive: true });
try {
  const runs: JoinsRun[] = [];
  for (let i = 0; i < options.repeats; i++) {
    runs.push(await measure(options));
    process.stderr.write(`run ${i + 1} of ${options.repeats}: p99 ${runs[i]!.p99} ms\n`);
  }
  const { rate, seconds } = options;
  const results: JoinsResults = {
    measured: new Date().toISOString().slice(0, 16).replace('T', ' '),
    ...{ rate, seconds, stayMs: STAY_SECONDS * 1000, addresses: ADDRESSES, runs, machine: describeMachine() },
  };
  const folder = options.save ? 'docs/benchmarks' : OUT;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/joins.json`, `${JSON.stringify(results, null, 1)}\n`);
  if (options.save) writeDocument();
  process.stdout.write(`${renderJoins(results).join('\n\n')}\n`);
} catch (error) {
  process.stderr.write(`bench-joins: ${(error as Error).message}\n`);
  process.exit(1);
}
