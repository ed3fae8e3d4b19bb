// SPDX-License-Identifier: Apache-2.0
// `make bench-interleaved`: what interleaved viewers cost the proxy, against a C program that writes the same chunks to as
// many sockets, one after the other in the same run. On a quiet machine; processor time is that of all threads.
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { newProgram } from '../../src/command-line.js';
import { Child, run, tcpListening } from '../netns/child.js';
import { describeMachine } from './machine.js';
import { wholeNumber } from './options.js';
import { cpuNs } from './process-time.js';
import { askLine, benchTool, compiled } from './programs.js';
import type { Reading } from './tcp-readers.js';

const OUT = 'build/bench';
const RESULT = `${OUT}/interleaved.json`;
const PER_SECOND = 25;
const SETTLE_MS = 3000;
const PROXY = '127.0.0.1:8664';
const CAMERA = '127.0.0.1:8665';
const WRITER = '127.0.0.1:8666';

interface Options {
  readonly viewers: number;
  readonly seconds: number;
  readonly kbits: number;
}

export interface Cost {
  /** Processor time per second, in cores. */
  readonly cores: number;
  /** All viewers together. */
  readonly mbits: number;
  readonly lost: number;
  readonly ended: number;
}

export interface InterleavedResult extends Options {
  readonly proxy: Cost;
  readonly writer: Cost;
  /** Of processor time for as many bytes. */
  readonly ratio: number;
}

/** A constant bit rate, a key frame each second. */
async function makeClip(kbits: number): Promise<string> {
  const file = `${OUT}/interleaved.h264`;
  await run('ffmpeg', [
    ...['-y', '-v', 'error', '-f', 'lavfi', '-i', `testsrc2=size=640x480:rate=${PER_SECOND}:duration=10`],
    ...['-c:v', 'libx264', '-profile:v', 'baseline', '-preset', 'ultrafast', '-g', `${PER_SECOND}`],
    ...['-b:v', `${kbits}k`, '-minrate', `${kbits}k`, '-maxrate', `${kbits}k`, '-bufsize', `${kbits / 4}k`],
    ...['-x264-params', 'slices=1:nal-hrd=cbr', '-pix_fmt', 'yuv420p', '-f', 'h264', file],
  ]);
  return file;
}

async function readers(kind: 'rtsp' | 'plain', { viewers }: Options, url: string): Promise<Child> {
  return Child.start(process.execPath, [compiled('tools/bench/tcp-readers.js'), kind, `${viewers}`, url]);
}

/** Costs of `pid` while `crowd` reads. */
async function measure(
  crowd: Child,
  pid: number,
  seconds: number,
): Promise<Cost & { chunks: readonly number[] }> {
  await sleep(SETTLE_MS);
  await askLine<Reading>(crowd);
  const [from, before] = [performance.now(), cpuNs(pid)];
  await sleep(seconds * 1000);
  const { bytes, lost, ended, chunks } = await askLine<Reading>(crowd);
  const [after, elapsed] = [cpuNs(pid), (performance.now() - from) / 1000];
  return { cores: (after - before) / 1e9 / elapsed, mbits: (bytes * 8) / 1e6 / elapsed, lost, ended, chunks };
}

async function measureProxy(options: Options): Promise<Cost & { chunks: readonly number[] }> {
  const clip = await makeClip(options.kbits);
  const camera = await Child.start(process.execPath, [
    ...[compiled('tools/camera/main.js'), '--listen', CAMERA, '--clip', clip, '--json'],
  ]);
  await camera.output(/"listening"/);
  const proxy = await Child.start('bin/rtsp-fanout', [
    ...['--listen', PROXY, '--datapath', 'userspace', '--api-socket', `${OUT}/interleaved.sock`],
    `rtsp://${CAMERA}/camera`,
  ]);
  await tcpListening(proxy.pid, Number(PROXY.split(':')[1]));
  const crowd = await readers('rtsp', options, `rtsp://${PROXY}/camera`);
  await crowd.output(/playing/, 60_000);
  const cost = await measure(crowd, proxy.pid, options.seconds);
  for (const child of [crowd, proxy, camera]) await child.stop();
  return cost;
}

async function measureWriter(options: Options, chunks: readonly number[]): Promise<Cost> {
  const { viewers, seconds } = options;
  const words = ['--listen', WRITER, '--viewers', `${viewers}`, '--per-second', `${PER_SECOND}`];
  const writer = await Child.start(benchTool('tcp-writer'), words);
  writer.write(`${chunks.join('\n')}\n\n`);
  await writer.output(/ready/);
  const crowd = await readers('plain', options, `rtsp://${WRITER}/`);
  await crowd.output(/playing/, 60_000);
  const { chunks: _, ...cost } = await measure(crowd, writer.pid, seconds);
  for (const child of [writer, crowd]) await child.stop();
  return cost;
}

async function measureBoth(options: Options): Promise<InterleavedResult> {
  const { chunks, ...proxy } = await measureProxy(options);
  const writer = await measureWriter(options, chunks);
  const ratio = proxy.cores / proxy.mbits / (writer.cores / writer.mbits);
  return { ...options, proxy, writer, ratio };
}

const line = (name: string, { cores, mbits, lost, ended }: Cost) =>
  `${name.padEnd(12)} ${(100 * cores).toFixed(1).padStart(6)} % of a core  ${mbits.toFixed(0).padStart(5)} Mbit/s  ${lost} packets lost, ${ended} connections ended`;

const options = newProgram('bench-interleaved')
  .description(
    'What interleaved viewers cost the proxy, against plain C: needs ffmpeg, gcc, and a quiet machine.',
  )
  .option('--viewers <n>', 'interleaved viewers of one stream', wholeNumber(1, 4000), 500)
  .option('--seconds <n>', 'of each measurement', wholeNumber(1, 600), 20)
  .option('--kbits <n>', 'of the stream, per second', wholeNumber(100, 20_000), 1000)
  .allowExcessArguments(false)
  .parse()
  .opts<Options>();
mkdirSync(OUT, { recursive: true });
try {
  const result = await measureBoth(options);
  writeFileSync(RESULT, `${JSON.stringify({ machine: describeMachine(), ...result }, null, 2)}\n`);
  console.log(
    `${options.viewers} viewers, ${options.kbits} kbit/s, ${PER_SECOND} pictures/s, ${options.seconds} s each`,
  );
  console.log(line('rtsp-fanout', result.proxy));
  console.log(line('plain C', result.writer));
  console.log(`ratio        ${result.ratio.toFixed(2)} of processor time per byte; all of it in ${RESULT}`);
} catch (error) {
  process.stderr.write(`bench-interleaved: ${(error as Error).message}\n`);
  process.exit(1);
}
