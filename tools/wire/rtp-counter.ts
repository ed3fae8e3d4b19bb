// SPDX-License-Identifier: Apache-2.0
// The command line of the counting program (counter.c), for whoever measures by hand: it is built where that has not been done.
import { spawn } from 'node:child_process';
import { newProgram } from '../../src/command-line.js';
import { canMeasure, wireTool } from './counter.js';

const program = newProgram('rtp-counter')
  .description(
    'Counts RTP for each receiver and source, by sequence numbers, as it arrives at a device, and drops it: a sink for thousands of ' +
      'viewers that costs next to nothing. Prints "ready"; each line of standard input is answered with a line of JSON, and a last one ' +
      'comes when that ends or on SIGINT or SIGTERM. Needs root, clang, gcc, bpftool and libbpf-dev.',
  )
  .requiredOption('--device <name>', 'where packets arrive, e.g. eth0')
  .requiredOption(
    '--ports <low-high>',
    'UDP ports whose RTP and RTCP is counted and dropped; the rest passes',
  )
  .allowExcessArguments(false)
  .parse();
const { device, ports } = program.opts<{ device: string; ports: string }>();
const obstacle = canMeasure();
if (obstacle !== undefined) program.error(`error: ${obstacle}`);
const counter = spawn(wireTool('counter'), ['--device', device, '--ports', ports], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => counter.kill(signal));
counter.on('exit', (code) => (process.exitCode = code ?? 1));
