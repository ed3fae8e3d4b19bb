// SPDX-License-Identifier: Apache-2.0
// The programs as a user meets them: command lines, exit codes, one clear line each; starting and ending.

import t, { type Test } from 'tap';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { DEFAULT_PICTURES } from '../../../src/control/kernel/picture-options.js';
import { parseCommandLine } from '../../../src/control/options.js';
import { checkWrongLines, type Ran, type WrongLine } from '../../fixtures/wrong-lines.js';

const SOURCE = 'rtsp://127.0.0.1:1/camera';

t.test('a wrong command line: one line that says what is wrong, exit code 2', async (t) => {
  const cases: WrongLine[] = [
    ['rtsp-fanout', [], /missing required argument 'url', or --config/],
    ['rtsp-fanout', ['--config', 'x', SOURCE], /exclude each other/],
    [
      'rtsp-fanout',
      ['--config', 'x', '--source-hold', '3'],
      /'--source-hold' and --config exclude each other/,
    ],
    ['rtsp-fanout', ['--config', 'no-such-file'], /no-such-file: ENOENT/],
    ['rtsp-fanout', ['http://x/'], /HOST|rtsp/],
    ['rtsp-fanout', ['rtspu://x/'], /Only rtsp/],
    ['rtsp-fanout', ['--tls-listen', '9', 'rtsp://x/'], /needs --tls-certificate/],
    ['rtsp-fanout', ['--tls-key', 'x', 'rtsp://x/'], /are for --tls-listen/],
    ['rtsp-fanout', ['--source-fingerprint', '12:34', 'rtsps://x/'], /64 hexadecimal digits/],
    ['rtsp-fanout', ['--source-ca', '/nonexist.pem', 'rtsps://x/'], /nonexist.pem cannot be read: ENOENT/],
    ['rtsp-fanout', ['--source-ca', 'package.json', 'rtsps://x/'], /package.json has no certificate/],
    [
      'rtsp-fanout',
      ['--source-fingerprint', '0a'.repeat(32), SOURCE],
      /'--source-fingerprint' is for .* rtsps/,
    ],
    ['rtsp-fanout', ['rtsp://'], /host/],
    ['rtsp-fanout', ['rtspu://me:secret@x/'], /Only rtsp/],
    ['rtsp-fanout', ['rtsp://me:se/c?re@t secret@x/'], /:\/\/\.\.\.@x/],
    ['rtsp-fanout', ['rtsp://me:secret%0d@x/'], /control characters/],
    ['rtsp-fanout', ['--source-transport', 'sctp', SOURCE], /Allowed choices are auto, udp, tcp/],
    ['rtsp-fanout', ['--source-hold', '3601', SOURCE], /seconds from 0 to 3600/],
    ['rtsp-fanout', ['rtsp://x:99999/'], /65535/],
    ['rtsp-fanout', [SOURCE, 'more'], /too many arguments/],
    ['rtsp-fanout', ['--listen', '99999', SOURCE], /65535/],
    ['rtsp-fanout', ['--listen', '0', SOURCE], /65535/],
    ['rtsp-fanout', ['--metrics-listen', 'prometheus', SOURCE], /\[HOST:\]PORT/],
    ['rtsp-fanout', ['--listen', '::1:8554', SOURCE], /brackets/],
    ['rtsp-fanout', ['--datapath', 'magic', SOURCE], /Allowed choices are auto, xdp, tc, userspace/],
    ['rtsp-fanout', ['--key-frame-wait', '-1', SOURCE], /seconds from 0 to 3600/],
    ['rtsp-fanout', ['--key-frame-wait', '3601', SOURCE], /seconds from 0 to 3600/],
    ['rtsp-fanout', ['--key-frame-wait', 'soon', SOURCE], /seconds from 0 to 3600/],
    ['rtsp-fanout', ['--picture-cache', '32769', SOURCE], /packets from 0 to 32768/],
    ['rtsp-fanout', ['--picture-cache', '1.5', SOURCE], /packets from 0 to 32768/],
    ['rtsp-fanout', ['--multicast', '10.0.0.0/24', SOURCE], /224\.0\.0\.0\/4/],
    ['rtsp-fanout', ['--multicast', '239.0.0.0/8', SOURCE], /65536 addresses/],
    ['rtsp-fanout', ['--multicast', '239.0.0.0', '--multicast-ttl', '256', SOURCE], /1 to 255/],
    ['rtsp-fanout', ['--multicast-ttl', '4', SOURCE], /'--multicast-ttl' needs --multicast/],
    ['rtsp-fanout', ['--multicast-interface', 'eth0', SOURCE], /'--multicast-interface' needs --multicast/],
    ['rtsp-fanout', ['--log-level', 'loud', SOURCE], /Allowed choices/],
    ['rtsp-fanout', ['--lisen', '1', SOURCE], /Did you mean --listen/],
    ['rtsp-fanout', ['--listen', '1', '--listen=2', SOURCE], /'--listen <.*>' is given more than once/],
    [
      'rtsp-fanout',
      ['--tls-key', 'x', SOURCE, '--tls-key', 'x'],
      /'--tls-key <file>' is given more than once/,
    ],
    ['proxyctl', ['--api-socket', 'x', 'clients', '--api-socket', 'y'], /is given more than once/],
    ['proxyctl', [], /say what to do/],
    ['proxyctl', ['client'], /Did you mean clients/],
    ['proxyctl', ['kick'], /missing required argument 'id'/],
    ['proxyctl', ['kick', '0'], /from 1 on/],
    ['proxyctl', ['kick', '1x'], /from 1 on/],
  ];
  await checkWrongLines(t, cases, run);
});

t.test('--help teaches, --version is the package', async (t) => {
  const help = await run('rtsp-fanout', ['--help']);
  t.equal(help.code, 0);
  for (const word of [
    '--listen',
    '--datapath',
    '--key-frame-wait <seconds>',
    '--picture-cache <packets>',
    '--multicast <network>',
    '--multicast-ttl <hops>',
    '--multicast-interface <name|address>',
    '--api-socket',
    '--log-level',
    'Examples:',
    'proxyctl clients',
  ])
    t.match(help.out, word);
  t.ok(
    help.out.split('\n').every((line) => line.length <= 120),
    'fits a terminal',
  );
  t.match((await run('rtsp-fanout', ['--version'])).out, /^\d+\.\d+\.\d+\n$/);
  t.match(await run('proxyctl', ['--version']), await run('rtsp-fanout', ['--version']));
  const ctl = await run('proxyctl', ['--help']);
  for (const word of ['clients', 'streams', 'status', 'kick', 'flush', 'leftovers']) t.match(ctl.out, word);
});

t.test('how viewers begin', async (t) => {
  const pictures = (...args: string[]) => parseCommandLine(['node', 'rtsp-fanout', ...args, SOURCE]).pictures;
  t.same(pictures(), DEFAULT_PICTURES);
  t.match(pictures('--key-frame-wait', '2.5', '--picture-cache', '100'), { holdMs: 2500, cachePackets: 100 });
  t.same(pictures('--key-frame-wait', '0', '--picture-cache', '0'), {
    holdMs: 0,
    cachePackets: 0,
    cacheTotalPackets: 0,
  });
});

t.test('multicast', async (t) => {
  const multicast = (...args: string[]) =>
    parseCommandLine(['node', 'rtsp-fanout', ...args, SOURCE]).multicast;
  t.equal(multicast(), undefined);
  const network = { first: 0xefc00000, size: 256 };
  t.same(multicast('--multicast', '239.192.0.0/24'), { network, ttl: 16, device: undefined });
  t.same(
    multicast('--multicast', '239.192.0.0/24', '--multicast-ttl', '1', '--multicast-interface', '192.0.2.1'),
    { network, ttl: 1, device: '192.0.2.1' },
  );
  const { code, err } = await run('rtsp-fanout', [
    ...[
      '--multicast',
      '239.192.0.0/24',
      '--multicast-interface',
      'nowhere0',
      '--listen',
      '127.0.0.1:1',
      SOURCE,
    ],
  ]);
  t.equal(code, 1);
  t.match(err, /^rtsp-fanout: --multicast-interface nowhere0: no device [^\n]+\n$/);
});

t.test('SIGTERM: exit code 0 within two seconds, nothing left; proxyctl while it runs', async (t) => {
  const { args, socket, port } = await place(t);
  const proxy = await started(args);
  t.match(proxy.banner(), `rtsp://127.0.0.1:${port}/camera`);
  t.match(proxy.banner(), /datapath +userspace \(it was asked for\)/);
  const [, ...words] = readFileSync(`/proc/${proxy.child.pid}/cmdline`, 'utf8').split('\0');
  t.match(words, ['--max-semi-space-size=64', '--heap-growing-percent=200'], 'adr/0029');
  t.match(proxy.banner(), `bin/proxyctl --api-socket ${socket} clients`);

  t.match(await run('proxyctl', ['--api-socket', socket, 'clients']), { code: 0, out: 'No viewers.\n' });
  t.match(await run('proxyctl', ['--api-socket', socket, 'status']), { code: 0, out: /datapath +userspace/ });
  t.match(await run('proxyctl', ['--api-socket', socket, 'streams', '--json']), { code: 0, out: '[]\n' });
  t.match(await run('proxyctl', ['--api-socket', socket, 'flush']), {
    code: 0,
    out: 'Flushed: 0 viewers ended.\n',
  });
  const kick = await run('proxyctl', ['--api-socket', socket, 'kick', '5']);
  t.match(kick, { code: 1, out: '', err: 'proxyctl: there is no viewer 5\n' });

  const second = await run('rtsp-fanout', args);
  t.match(second, { code: 1, out: '' });
  t.match(second.err, new RegExp(`^rtsp-fanout: [^\n]*${port}[^\n]*in use[^\n]*\n$`));

  const began = Date.now();
  proxy.child.kill('SIGTERM');
  const [code] = await once(proxy.child, 'exit');
  t.equal(code, 0);
  t.ok(Date.now() - began < 2000);
  t.notOk(existsSync(socket));
  const gone = await run('proxyctl', ['--api-socket', socket, 'clients']);
  t.match(gone, { code: 1, err: /^proxyctl: no proxy answers on .*is it running\?[^\n]*\n$/ });
});

t.test('an API socket that is taken, or an address that is not ours: one line, exit code 1', async (t) => {
  const first = await place(t);
  const proxy = await started(first.args);
  const other = await place(t);
  const taken = await run('rtsp-fanout', instead(other.args, '--api-socket', first.socket));
  t.match(taken, { code: 1, err: /^rtsp-fanout: API socket [^\n]*another proxy answers[^\n]*\n$/ });
  const notOurs = await run('rtsp-fanout', instead(other.args, '--listen', '192.0.2.1:8554'));
  t.match(notOurs, { code: 1, err: /^rtsp-fanout: [^\n]*192\.0\.2\.1[^\n]*\n$/ });
  proxy.child.kill('SIGINT');
  proxy.child.kill('SIGTERM'); // as timeout(1) does it: twice at once is one wish
  t.same(await once(proxy.child, 'exit'), [0, null]);
});

t.test('a signal while it starts', async (t) => {
  const { args, socket } = await place(t);
  const child = spawn('bin/rtsp-fanout', args, { stdio: ['ignore', 'ignore', 'inherit'], timeout: 20_000 });
  const exit = once(child, 'exit');
  while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 1));
  child.kill('SIGTERM');
  t.same(await exit, [0, null]);
  t.notOk(existsSync(socket));
});

/** Command line of a proxy on a free port, on the user-space engine, with a socket of its own. */
async function place(t: Test): Promise<{ args: string[]; socket: string; port: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'main-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const socket = join(folder, 'api.sock');
  const listen = `127.0.0.1:${port}`;
  return {
    args: [SOURCE, '--datapath', 'userspace', '--listen', listen, '--api-socket', socket],
    socket,
    port,
  };
}

/** Another value of that option. */
function instead(args: readonly string[], option: string, value: string): string[] {
  return args.map((word, index) => (args[index - 1] === option ? value : word));
}

async function started(
  args: string[],
): Promise<{ child: ChildProcessByStdio<null, Readable, null>; banner(): string }> {
  const child = spawn('bin/rtsp-fanout', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error('the proxy ended before it was ready'))),
  ]);
  return { child, banner: () => out };
}

async function run(program: string, args: readonly string[]): Promise<Ran> {
  const child = spawn(`bin/${program}`, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}
