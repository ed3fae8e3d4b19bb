// SPDX-License-Identifier: Apache-2.0
// The command line of the counting program (counter.c), for whoever measures by hand: it is built where that has not been done.
import { spawn } from 'node:child_process';
import { newProgram } from '../../src/command-line.js';
import { MeasuringError, ownCounter } from './counter.js';
import { portRange, type PortRange } from './port-range.js';

const EXIT_CODES = `
Exit code: 0 it has counted, 1 it cannot, 2 the command line is wrong.`;

const program = newProgram('rtp-counter')
  .description(
    'Counts RTP for each receiver and source, by sequence numbers, as it arrives at a device, and drops it: a sink for thousands of ' +
      'viewers that costs next to nothing. Prints "ready"; each line of standard input is answered with a line of JSON, and a last one ' +
      'comes when that ends or on SIGINT or SIGTERM. Needs root (or CAP_NET_ADMIN and CAP_BPF), clang, gcc, bpftool and libbpf-dev.',
  )
  .requiredOption('--device <name>', 'where packets arrive, e.g. eth0')
  .requiredOption(
    '--ports <low-high>',
    'UDP ports whose RTP and RTCP is counted and dropped; the rest passes',
    portRange,
  )
  .allowExcessArguments(false)
  .addHelpText('after', EXIT_CODES)
  .parse();
const { device, ports } = program.opts<{ device: string; ports: PortRange }>();
const counter = spawn(counterHere(), ['--device', device, '--ports', `${ports.low}-${ports.high}`], {
  argv0: 'rtp-counter', // what it complains of comes from us
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => counter.kill(signal));
counter.on('exit', (code) => (process.exitCode = code ?? 1));

function counterHere(): string {
  try {
    return ownCounter();
  } catch (error) {
    if (!(error instanceof MeasuringError)) throw error;
    process.stderr.write(`rtp-counter: ${error.message}\n`);
    process.exit(error.exitCode);
  }
}
