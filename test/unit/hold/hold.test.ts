// SPDX-License-Identifier: Apache-2.0
// The descriptor store as systemd speaks it (a socket of the test's own stands for it), and the journal that lives in it.
import { execFileSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { Journal, parseJournal, readJournal, JOURNAL_VERSION } from '../../../src/control/hold/journal.js';
import { KEEPER_VARIABLE, openManager } from '../../../src/control/hold/manager.js';
import {
  datagramPair,
  memoryFile,
  receiveWithRights,
  sendWithRights,
} from '../../../src/control/hold/rights.js';
import { inheritedDescriptors, openStore, type DescriptorStore } from '../../../src/control/hold/store.js';
import type { Log } from '../../../src/control/path/ports.js';

const errors: string[] = [];
const log: Log = { debug() {}, info() {}, warn() {}, error: (_fields, message) => void errors.push(message) };

/** A store that keeps real duplicates, and what a next process would get of it. */
class FakeStore implements DescriptorStore {
  readonly held = new Map<string, number>();
  names = () => [...this.held.keys()];
  dropRest = () => {};
  put = (name: string, fd: number) => void this.held.set(name, openSync(`/proc/self/fd/${fd}`, 'r'));
  take(name: string): number | undefined {
    const fd = this.held.get(name);
    this.held.delete(name);
    return fd;
  }
  remove(name: string): void {
    const fd = this.held.get(name);
    if (fd !== undefined) closeSync(fd);
    this.held.delete(name);
  }
}

t.test('a descriptor goes through a datagram and is the same open file', async (t) => {
  const [ours, theirs] = datagramPair(100);
  const file = memoryFile('test');
  writeSync(file, 'hello');
  sendWithRights(theirs, 'FDSTORE=1\nFDNAME=x', file);
  sendWithRights(theirs, 'READY=1');
  const got = receiveWithRights(ours)!;
  t.equal(got.message, 'FDSTORE=1\nFDNAME=x');
  t.not(got.descriptor, file);
  t.equal(readFileSync(`/proc/self/fd/${got.descriptor}`, 'utf8'), 'hello');
  t.same(receiveWithRights(ours), { message: 'READY=1', descriptor: undefined });
  t.equal(receiveWithRights(ours), undefined, 'nothing more');
  for (const fd of [ours, theirs, file, got.descriptor!]) closeSync(fd);
});

t.test('systemd: NOTIFY_SOCKET with FDSTORE, and descriptors by name', { skip: !canPython() }, async (t) => {
  const path = `/run/rfo-test-${process.pid}.sock`;
  const env = { NOTIFY_SOCKET: path, FDSTORE: '10', LISTEN_PID: `${process.pid}`, LISTEN_FDS: '0' };
  t.teardown(() => rmSync(path, { force: true }));
  // Bound by somebody else's code, so that the address is right by it.
  const receiver = `
import socket, sys, array, os
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.settimeout(10)
print('bound', flush=True)
for _ in range(3):
    data, anc, _, _ = s.recvmsg(4096, 1024)
    fds = [f for l, k, d in anc if k == socket.SCM_RIGHTS for f in array.array('i', d)]
    print(repr((data.decode(), [os.read(f, 99).decode() for f in fds])), flush=True)
`;
  const { spawn } = await import('node:child_process');
  const child = spawn('python3', ['-c', receiver, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  while (!output.includes('bound')) await new Promise((resolve) => setTimeout(resolve, 10));
  const keepsNone = (await openManager(log, { NOTIFY_SOCKET: path }))!;
  t.equal(await openStore(keepsNone, env), undefined, 'systemd that keeps none');
  const manager = (await openManager(log, env))!;
  t.equal(manager.name, 'systemd');
  const store = (await openStore(manager, env))!;
  t.same(Object.keys(env), ['FDSTORE'], 'children of ours do not talk to systemd');
  const file = openSync('package.json', 'r');
  store.put('viewer-1', file);
  store.remove('viewer-1');
  manager.tell('READY=1');
  await new Promise((resolve) => child.on('exit', resolve));
  const lines = output.trim().split('\n').slice(1);
  t.match(lines[0], /FDSTORE=1\\nFDPOLL=0\\nFDNAME=viewer-1', \['\{\\n {2}"name": "rtsp-fanout"/);
  t.equal(lines[1], String.raw`('FDSTOREREMOVE=1\nFDNAME=viewer-1', [])`);
  t.equal(lines[2], `('READY=1', [])`);
  store.put('viewer-2', file);
  t.equal(errors.length, 1, 'nobody listens any more: told once');
  store.put('viewer-3', file);
  t.equal(errors.length, 1);
  closeSync(file);
});

t.test('descriptors of a former process', async (t) => {
  t.same(
    [...inheritedDescriptors({ LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b' })],
    [
      ['a', 3],
      ['b', 4],
    ],
  );
  t.same(
    [...inheritedDescriptors({ LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b', LISTEN_PID: '1' })],
    [],
    'not ours',
  );
  for (const count of ['', 'x', '-1', '0', '1.5', undefined])
    t.same([...inheritedDescriptors({ LISTEN_FDS: count })], [], `${count}`);
  t.equal(await openManager(log, {}), undefined);
  t.equal(await openStore(undefined, {}), undefined);
  t.equal(KEEPER_VARIABLE, 'RTSP_FANOUT_KEEPER');
});

t.test('what was noted last is what is read, however it was noted and wherever it was cut', async (t) => {
  const key = fc.constantFrom('a', 'b/1', 'c');
  const change = fc.record({ key, value: fc.option(fc.json().map((text) => JSON.parse(text) as unknown)) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), fc.nat(200), (changes, cut) => {
      const store = new FakeStore();
      const journal = new Journal(store, memoryFile, 0);
      const wanted = new Map<string, unknown>();
      journal.put('early', 1);
      journal.begin();
      wanted.set('early', 1);
      for (const { key, value } of changes)
        if (value === null) {
          journal.remove(key);
          wanted.delete(key);
        } else {
          journal.put(key, value);
          wanted.set(key, value);
        }
      const [name] = store.names();
      const text = readFileSync(`/proc/self/fd/${store.held.get(name!)}`, 'utf8');
      parseJournal(text.slice(0, cut)); // never throws
      t.same(readJournal(store).records, wanted);
      journal.close();
    }),
    { numRuns: 100 },
  );
  t.equal(parseJournal('rtsp-fanout 999\na 1\n'), undefined, 'another version');
  t.equal(parseJournal(`rtsp-fanout ${JOURNAL_VERSION}\na {\n`), undefined, 'damaged');
  t.same([...parseJournal(`rtsp-fanout ${JOURNAL_VERSION}\na 1\nb {"x"`)!], [['a', 1]], 'cut short');
});

t.test('a journal is written anew before it grows without bound', async (t) => {
  const store = new FakeStore();
  const journal = new Journal(store, memoryFile, 7);
  journal.begin();
  const names = new Set<string>();
  for (let i = 0; i < 20_000; i++) {
    journal.put(`session/${i % 10}`, { i, text: 'ä'.repeat(20) });
    for (const name of store.names()) names.add(name);
  }
  t.ok(names.size > 3, 'written anew now and then');
  t.equal(store.names().length, 1, 'the old one goes');
  const fd = store.held.get(store.names()[0]!)!;
  t.ok(fstatSync(fd).size < 70_000, 'bounded');
  t.match(store.names()[0], /^journal-\d+$/);
  const { number, records } = readJournal(store);
  t.ok(number > 8);
  t.same(
    [...records!.values()].map((record) => (record as { i: number }).i),
    Array.from({ length: 10 }, (_, i) => 19_990 + i),
  );
  journal.close();
});

function canPython(): boolean {
  try {
    execFileSync('python3', ['--version']);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}
