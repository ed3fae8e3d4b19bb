// SPDX-License-Identifier: Apache-2.0
// The test camera's command line: an RTSP origin with a clip of the project's own, for `make run` and for tests.

import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { fileURLToPath } from 'node:url';

import { InvalidArgumentError, Option } from 'commander';

import { newProgram } from '../../src/command-line.js';
import { startCamera } from './server.js';
import { LEAST_BYTES } from './slices.js';

interface Arguments {
  listen: { host: string; port: number };
  clip: string;
  rate: number;
  payload: number;
  burst?: number;
  packets?: number;
  bytes: number;
  path: string[];
  audio: boolean;
  layers: boolean;
  once: boolean;
  silent: boolean;
  json: boolean;
}

const CLIP = fileURLToPath(new URL('../../../tools/camera/clip.h264', import.meta.url));

const EXAMPLES = `
  1 Mbit/s, evenly sent:                       rtsp-origin --packets 271 --bytes 466
  5 Mbit/s, thirty packets back to back:       rtsp-origin --packets 521 --bytes 1200 --burst 30
  A clip on all addresses:                     rtsp-origin --listen 0.0.0.0:8555 --clip clip.h264

SIGUSR2 makes it send nothing, another one lets it go on, with sequence numbers that have no gap.
Exit code: 0 ended by a signal, 1 it cannot run, 2 the command line is wrong.`;

const program = newProgram('rtsp-origin')
  .description(
    'A small RTSP origin, live, over RTP/UDP unicast: a looped H.264 clip, or packets of one size at one rate to measure with.',
  )
  .addOption(
    new Option('--listen <[host:]port>', 'where to listen; port 0: any free one')
      .default({ host: '127.0.0.1', port: 8555 }, '127.0.0.1:8555')
      .argParser(parseListen),
  )
  .addOption(
    new Option('--clip <file>', 'byte stream, H.264 without B pictures (SVC too) or H.265').default(
      CLIP,
      'its own',
    ),
  )
  .option('--layers', 'instead: eight H.264 SVC layers of 300 to 1100 kbit/s in all, no real picture', false)
  .addOption(
    new Option(
      '--packets <n>',
      'instead: so many RTP packets a second, H.264 without a picture; with --bytes',
    )
      .argParser(integer(1, 100_000))
      .conflicts(['clip', 'layers']),
  )
  .option('--bytes <n>', 'of each of them, RTP header included', integer(LEAST_BYTES, 65_000), 1200)
  .option('--rate <n>', 'pictures per second of the clip', integer(1, 240), 25)
  .option('--payload <bytes>', 'largest RTP payload', integer(16, 65_000), 1400)
  .option('--burst <n>', 'send n video packets back to back, at the same mean rate', integer(1, 10_000))
  .option('--path <path...>', 'paths, each a live source', ['/', '/camera'])
  .option('--audio', 'a second track: PCMU, one beep per second', false)
  .option('--no-audio', 'no second track (default)')
  .option('--once', 'end with an RTCP BYE after one round of the clip', false)
  .option('--silent', 'answer, but never send media', false)
  .option('--json', 'print one line of JSON per event', false)
  .allowExcessArguments(false)
  .addHelpText('after', EXAMPLES)
  .parse();
await run(program.opts<Arguments>()).catch((error: Error) => {
  console.error(`rtsp-origin: ${error.message}`);
  process.exitCode = 1;
});

async function run(options: Arguments): Promise<void> {
  const { listen, clip, path, json, burst, packets, bytes, ...rest } = options;
  const paths = path.map(normalPath);
  const print = (event: string, facts: object) => {
    if (json) console.log(JSON.stringify({ event, ...facts }));
  };
  const camera = await startCamera({
    ...rest,
    ...listen,
    burst,
    ...(packets === undefined ? {} : { slices: { packetsPerSecond: packets, bytes } }),
    paths,
    clip: readFileSync(clip),
    notify: print,
  });
  const authority = `${isIPv6(listen.host) ? `[${listen.host}]` : listen.host}:${camera.port}`;
  const urls = paths.map((each) => `rtsp://${authority}${each}`);
  print('listening', { port: camera.port, urls });
  if (!json) console.log(`camera: ${urls.join(' ')}`);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => void camera.close());
  process.on('SIGUSR2', () => camera.togglePause());
}

function normalPath(path: string): string {
  if (!/^\/[\x21-\x3e\x40-\x7e]*$/.test(path))
    program.error(`error: '${path}' is no path: it begins with / and has neither blanks nor ? in it`);
  return path.replace(/\/$/, '') || '/';
}

function parseListen(text: string): { host: string; port: number } {
  const parts = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  if (!parts || port > 65_535) throw new InvalidArgumentError('It is [HOST:]PORT.');
  return { host: parts[1] ?? parts[2] ?? '127.0.0.1', port };
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It is a number from ${min} to ${max}.`);
  };
}
