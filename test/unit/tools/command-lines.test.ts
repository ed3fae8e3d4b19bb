// SPDX-License-Identifier: Apache-2.0
// The measuring programs as a user meets them, called from another folder: exit codes, one clear line each.
import { resolve } from 'node:path';
import t from 'tap';
import { compiled } from '../../../tools/bench/programs.js';
import { Child } from '../../../tools/netns/child.js';
import { unprivileged } from '../../../tools/netns/unprivileged.js';
import { checkWrongLines, type WrongLine } from '../../fixtures/wrong-lines.js';

// The runner's limit for a file is the one that counts, not tap's 30 s.
t.setTimeout(120_000);

const URL = 'rtsp://127.0.0.1:1/camera';
const elsewhere = t.testdir();

async function run(program: string, args: readonly string[], prefix: readonly string[] = []) {
  const [command = '', ...words] = [...prefix, resolve('bin', program), ...args];
  const child = await Child.start(command, words, { cwd: elsewhere });
  const { code } = await child.finish(60_000);
  return { code, out: child.stdout, err: child.stderr };
}

t.test('a wrong command line: one line that says what is wrong, exit code 2', async (t) => {
  const cases: WrongLine[] = [
    ['rtsp-load', [], /missing required argument 'url'/],
    ['rtsp-load', ['http://me:secret@x/'], /HOST/],
    ['rtsp-load', ['rtspu://me:secret@x/'], /Only rtsp/],
    ['rtsp-load', ['rtsp://me:secret%0d@x/'], /control characters/],
    ['rtsp-load', ['--ca', 'ca.pem', URL], /rtsps:\/\//],
    ['rtsp-load', ['--fingerprint', '12:34', 'rtsps://x/'], /64 hexadecimal digits/],
    ['rtsp-load', [URL, 'more'], /too many arguments/],
    ['rtsp-load', ['--viewer', '2', URL], /Did you mean --viewers/],
    ['rtsp-load', ['--viewers', '0', URL], /whole number from 1 to 60000/],
    ['rtsp-load', ['--ports', '5', URL], /LOW-HIGH/],
    ['rtsp-load', ['--ports', '20001-20002', URL], /LOW even/],
    ['rtsp-load', ['--ports', '20000-20001', '--viewers', '2', URL], /room for 1 of 2 viewers/],
    ['rtsp-load', ['--from', 'x', URL], /'x' is no IP address/],
    ['rtsp-load', ['--transport', 'tcp', '--receive', URL], /about UDP/],
    ['rtsp-load', ['--receive', '--count', 'lo', URL], /cannot be used with/],
    ['rtsp-origin', ['more'], /too many arguments/],
    ['rtsp-origin', ['--lisen', '1'], /Did you mean --listen/],
    ['rtsp-origin', ['--listen', '127.0.0.1:1x'], /\[HOST:\]PORT/],
    ['rtsp-origin', ['--bytes', '3'], /number from 64 to/],
    ['rtsp-origin', ['--packets', '4', '--layers'], /cannot be used with/],
    ['rtsp-origin', ['--path', 'camera'], /'camera' is no path/],
    ['rtp-counter', [], /required option '--device <name>'/],
    ['rtp-counter', ['--device', 'lo'], /required option '--ports <low-high>'/],
    ['rtp-counter', ['--device', 'lo', '--ports', '5'], /LOW-HIGH/],
    ['rtp-counter', ['--device', 'lo', '--ports', '6-5'], /LOW-HIGH/],
  ];
  await checkWrongLines(t, cases, run);
});

t.test('what cannot run: one line, exit code 1', async (t) => {
  const noClip = await run('rtsp-origin', ['--clip', 'no-such-file']);
  t.match(noClip, { code: 1, out: '', err: /^rtsp-origin: ENOENT[^\n]*no-such-file[^\n]*\n$/ });
  const { code, out, err } = await run('rtsp-load', ['--seconds', '0.1', URL]);
  t.match({ code, err }, { code: 1, err: '' }, 'a viewer failed');
  t.match(JSON.parse(out.split('\n')[0]!), {
    joined: 0,
    failures: { 'connect ECONNREFUSED 127.0.0.1:1': 1 },
  });
});

t.test('a benchmark that lacks a program: one line, exit code 1', async (t) => {
  const words = [compiled('tools/bench/interleaved.js'), '--seconds', '1'];
  const child = await Child.start(process.execPath, words, { cwd: elsewhere, env: { PATH: elsewhere } });
  t.match(await child.finish(20_000), { code: 1 });
  t.match(child.stderr, /^bench-interleaved: [^\n]*ffmpeg[^\n]*\n$/);
});

t.test('counting without root: one line that says what is lacking, exit code 1', async (t) => {
  const cases: [program: string, args: string[]][] = [
    ['rtp-counter', ['--device', 'lo', '--ports', '5000-5001']],
    ['rtsp-load', ['--count', 'lo', URL]],
  ];
  for (const [program, args] of cases) {
    const wanted = new RegExp(`^${program}: [^\n]*root[^\n]*CAP_NET_ADMIN and CAP_BPF\n$`);
    t.match(await run(program, args, unprivileged()), { code: 1, out: '', err: wanted });
  }
});
