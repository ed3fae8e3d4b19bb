// SPDX-License-Identifier: Apache-2.0
// Where packets leave: asked from the kernel, and followed while routes, neighbours and links change under it.
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { NextHops, type NextHop } from '../../src/control/kernel/next-hop.js';
import { ip } from '../fixtures/kernel-bench.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;

/** Two devices into nowhere, with permanent neighbours behind them. */
function setUp(): void {
  for (const n of [1, 2]) {
    ip('link', 'add', `d${n}`, 'type', 'veth', 'peer', 'name', `e${n}`);
    ip('addr', 'add', `10.${n}.0.1/24`, 'dev', `d${n}`);
    ip('addr', 'add', `2001:db8:${n}::1/64`, 'dev', `d${n}`, 'nodad');
    for (const end of [`d${n}`, `e${n}`]) ip('link', 'set', end, 'up');
    for (const address of [`10.${n}.0.2`, `2001:db8:${n}::2`, 'fe80::2'])
      ip('neigh', 'replace', address, 'lladdr', `02:00:00:00:0${n}:02`, 'dev', `d${n}`);
  }
}

function tearDown(): void {
  for (const n of [1, 2]) ip('link', 'del', `d${n}`);
}

// Hearing keeps no process alive; waiting for it in a test must.
const alive = setInterval(() => {}, 1000);
t.teardown(() => clearInterval(alive));

const mac = (hop: NextHop) => (hop.to === 'neighbour' ? hop.mac.toString('hex') : hop.to);

t.test('a neighbour, one behind a gateway, this host, and nowhere', { skip }, async (t) => {
  setUp();
  ip('route', 'add', '10.9.0.0/16', 'via', '10.2.0.2');
  const hops = new NextHops(() => {});
  t.equal(mac(await hops.resolve('10.1.0.2')), '020000000102');
  t.match(await hops.resolve('10.1.0.2'), { link: { name: 'd1', mtu: 1500, type: 'ethernet' } });
  t.equal(mac(await hops.resolve('10.9.1.1')), '020000000202', 'the gateway');
  t.match(await hops.resolve('127.0.0.1'), { to: 'local', link: { name: 'lo' } });
  t.match(await hops.resolve('10.1.0.1'), { to: 'local', link: { name: 'lo' } });
  t.match(await hops.resolve('192.0.2.1'), { to: 'nowhere', why: /no route/ });
  t.match(await hops.resolve('10.1.0.99'), { to: 'nowhere', why: /does not answer ARP on d1/ });
  t.match(await hops.resolve('::1'), { to: 'local', link: { name: 'lo' } });
  hops.close();
  tearDown();
});

t.test('the same over IPv6, gateways and neighbours link-local as they are there', { skip }, async (t) => {
  setUp();
  ip('route', 'add', '2001:db8:9::/48', 'via', 'fe80::2', 'dev', 'd2');
  const seen: [string, string][] = [];
  let wake = () => {};
  const hops = new NextHops((changed) => {
    for (const [address, hop] of changed) seen.push([address, mac(hop)]);
    wake();
  });
  t.match(await hops.resolve('2001:db8:1::2'), { to: 'neighbour', link: { name: 'd1', mtu: 1500 } });
  t.equal(mac(await hops.resolve('2001:db8:1::2')), '020000000102');
  t.equal(mac(await hops.resolve('2001:db8:9::9')), '020000000202', 'the gateway');
  for (const n of [1, 2])
    t.equal(mac(await hops.resolve(`fe80::2%d${n}`)), `020000000${n}02`, 'the zone tells which link');
  t.match(await hops.resolve('fe80::2'), { to: 'nowhere', why: /needs its zone/ });
  t.match(await hops.resolve('fe80::2%d9'), { to: 'nowhere', why: /no route to fe80::2%d9/ });
  t.match(await hops.resolve('2001:db8:2::1'), { to: 'local', link: { name: 'lo' }, only: false });
  t.match(await hops.resolve('2001:db8:77::1'), { to: 'nowhere', why: /no route/ });
  t.match(await hops.resolve('2001:db8:1::99'), { to: 'nowhere', why: /neighbour solicitation on d1/ });

  const changed = async (act: () => void) => {
    await new Promise((resolve) => setTimeout(resolve, 200)); // what came before
    seen.length = 0;
    const next = new Promise<void>((resolve) => (wake = resolve));
    act();
    await next;
    return seen.pop();
  };
  await hops.watch('2001:db8:9::9');
  const move = () => ip('route', 'replace', '2001:db8:9::/48', 'via', 'fe80::2', 'dev', 'd1');
  t.same(await changed(move), ['2001:db8:9::9', '020000000102'], 'another route');
  const another = () => ip('neigh', 'replace', 'fe80::2', 'lladdr', '02:00:00:00:aa:aa', 'dev', 'd1');
  t.same(await changed(another), ['2001:db8:9::9', '02000000aaaa'], 'another machine at the same address');
  hops.close();
  tearDown();
});

t.test('rules about where copies come from, and about UDP', { skip }, async (t) => {
  setUp();
  ip('addr', 'add', '10.3.0.1/32', 'dev', 'lo');
  ip('addr', 'add', '2001:db8:3::1/128', 'dev', 'lo', 'nodad');
  ip('route', 'add', '10.9.0.0/16', 'via', '10.1.0.2');
  ip('route', 'add', '10.9.0.0/16', 'via', '10.2.0.2', 'table', '77');
  ip('route', 'add', '2001:db8:9::/48', 'via', '2001:db8:1::2');
  ip('route', 'add', '2001:db8:9::/48', 'via', '2001:db8:2::2', 'table', '77');
  let wake = () => {};
  const hops = new NextHops(() => wake());
  const changed = async (act: () => void) => {
    const next = new Promise<void>((resolve) => (wake = resolve));
    act();
    await next;
  };
  for (const [to, ours, theirs, family] of [
    ['10.9.1.1', '10.1.0.1', '10.3.0.1', '-4'],
    ['2001:db8:9::9', '2001:db8:1::1', '2001:db8:3::1', '-6'],
  ] as const) {
    t.equal(mac(await hops.watch(`${to} from ${theirs}`)), '020000000102');
    await changed(() => ip(family, 'rule', 'add', 'from', theirs, 'lookup', '77'));
    t.equal(mac(await hops.resolve(`${to} from ${theirs}`)), '020000000202', 'a rule about the source');
    hops.unwatch(`${to} from ${theirs}`);
    t.equal(mac(await hops.watch(`${to} from ${ours}`)), '020000000102', 'not about another');
    t.equal(mac(await hops.resolve(to)), '020000000102');
    await changed(() => ip(family, 'rule', 'add', 'ipproto', 'udp', 'lookup', '77'));
    t.equal(mac(await hops.resolve(`${to} from ${ours}`)), '020000000202', 'one about UDP');
    ip(family, 'rule', 'del', 'from', theirs);
    await changed(() => ip(family, 'rule', 'del', 'ipproto', 'udp'));
    t.equal(mac(await hops.resolve(`${to} from ${ours}`)), '020000000102');
  }
  t.equal(mac(await hops.resolve('10.9.1.1 from 192.0.2.7')), '020000000102', 'not an address of this host');
  hops.close();
  ip('addr', 'flush', 'dev', 'lo', 'scope', 'global');
  tearDown();
});

t.test('hundreds of addresses at once', { skip }, async (t) => {
  setUp();
  for (let n = 3; n < 250; n++)
    ip('neigh', 'replace', `10.1.0.${n}`, 'lladdr', '02:00:00:00:00:77', 'dev', 'd1');
  const hops = new NextHops(() => {});
  const addresses = Array.from({ length: 1000 }, (_, i) => `10.1.0.${3 + (i % 247)}`);
  const found = await Promise.all(addresses.map((address) => hops.watch(address)));
  t.same(new Set(found.map(mac)), new Set(['020000000077']));
  hops.close();
  tearDown();
});

t.test('changes are followed, and only for those who are watched', { skip }, async (t) => {
  setUp();
  ip('route', 'add', '10.9.0.0/16', 'via', '10.1.0.2');
  const seen: [string, string][] = [];
  let wake = () => {};
  const hops = new NextHops((changed) => {
    for (const [address, hop] of changed) seen.push([address, mac(hop)]);
    wake();
  });
  const changed = async (act: () => void) => {
    const next = new Promise<void>((resolve) => (wake = resolve));
    act();
    await next;
    return seen.pop();
  };
  await hops.watch('10.9.1.1');
  await hops.watch('10.2.0.2');
  await hops.watch('10.2.0.2');
  hops.unwatch('10.2.0.2');
  const move = () => ip('route', 'replace', '10.9.0.0/16', 'via', '10.2.0.2');
  t.same(await changed(move), ['10.9.1.1', '020000000202'], 'another route');
  const another = () => ip('neigh', 'replace', '10.2.0.2', 'lladdr', '02:00:00:00:aa:aa', 'dev', 'd2');
  t.same((await changed(another))?.[1], '02000000aaaa', 'another machine at the same address');
  await new Promise((resolve) => setTimeout(resolve, 200));
  seen.length = 0;
  t.same(
    (await changed(() => ip('link', 'set', 'd2', 'mtu', '1400')))?.[1],
    '02000000aaaa',
    'a smaller link',
  );
  t.match(await hops.watch('10.9.1.1'), { link: { mtu: 1400 } });
  await new Promise((resolve) => setTimeout(resolve, 200));
  seen.length = 0;
  hops.unwatch('10.2.0.2');
  ip('neigh', 'replace', '10.2.0.2', 'lladdr', '02:00:00:00:bb:bb', 'dev', 'd2');
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.same([...new Set(seen.map(([address]) => address))], ['10.9.1.1'], 'nobody watches 10.2.0.2 any more');
  t.equal(mac(await hops.watch('10.2.0.2')), '02000000bbbb', 'who comes again is told what is so by then');
  hops.close();
  tearDown();
});

/** What `ip -batch` reads. */
function batch(lines: string[]): void {
  execFileSync('ip', ['-batch', '-'], { input: lines.join('\n') });
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !done(); i++) await sleep(5);
}

/** As many viewers behind the gateway 10.2.0.2 as directly attached to d1. */
async function watchMany(each: number, onChange: ConstructorParameters<typeof NextHops>[0]) {
  const attached = Array.from({ length: each }, (_, i) => `10.1.${i >> 7}.${3 + (i & 127)}`);
  const behind = attached.map((address) => address.replace('10.1', '10.9'));
  for (const end of ['d1', 'e1', 'd2', 'e2']) ip('-6', 'addr', 'flush', 'dev', end); // or they are told after a second or two
  ip('addr', 'add', '10.1.0.9/16', 'dev', 'd1');
  ip('route', 'add', '10.9.0.0/16', 'via', '10.2.0.2');
  batch(attached.map((address) => `neigh replace ${address} lladdr 02:00:00:00:00:77 dev d1 nud reachable`));
  const hops = new NextHops(onChange, 3_600_000); // no refresh in between
  for (const address of [...attached, ...behind]) await hops.watch(`${address} from 10.1.0.1`);
  return { hops, attached, behind };
}

t.test(
  'neighbours that are only doubted cost nothing, one that changes reaches all behind it',
  { skip },
  async (t) => {
    setUp();
    const seen = new Map<string, string>();
    let told = 0;
    const { hops, attached, behind } = await watchMany(300, (changed) => {
      told++;
      for (const [address, hop] of changed) seen.set(address, mac(hop));
    });
    await sleep(300);
    const before = { looks: hops.looks, questions: hops.questions };
    for (let turn = 0; turn < 10; turn++) {
      const state = ['stale', 'reachable', 'delay', 'probe'][turn % 4]!;
      batch(
        attached.map((address) => `neigh change ${address} lladdr 02:00:00:00:00:77 dev d1 nud ${state}`),
      );
      ip('neigh', 'change', '10.2.0.2', 'lladdr', '02:00:00:00:02:02', 'dev', 'd2', 'nud', state);
      await sleep(60);
    }
    t.equal(hops.looks, before.looks, 'nobody is asked for again');
    t.equal(hops.questions, before.questions, '3000 events, and not one question');
    t.equal(seen.size, 0);

    const began = performance.now();
    ip('neigh', 'replace', '10.2.0.2', 'lladdr', '02:00:00:00:aa:aa', 'dev', 'd2');
    await until(() => seen.size === behind.length);
    const ms = performance.now() - began;
    t.same([...seen.keys()].sort(), behind.map((address) => `${address} from 10.1.0.1`).sort());
    t.same([...new Set(seen.values())], ['02000000aaaa']);
    t.ok(ms < 500, `another machine as gateway: after ${ms} ms`);
    t.equal(told, 1, 'all at once');
    t.equal(hops.looks, before.looks);
    hops.close();
    tearDown();
  },
);

t.test('looks come one after the other, and who does not answer delays nobody', { skip }, async (t) => {
  setUp();
  const seen: [string, string][] = [];
  const hops = new NextHops((changed) => {
    for (const [address, hop] of changed) seen.push([address, mac(hop)]);
  });
  const dead = Array.from({ length: 20 }, (_, i) => `10.1.0.${100 + i}`);
  const found = await Promise.all(dead.map((address) => hops.watch(address)));
  t.same(new Set(found.map(mac)), new Set(['nowhere']));
  ip('route', 'add', '10.9.0.0/16', 'via', '10.1.0.2');
  await hops.watch('10.9.1.1');
  await sleep(200);
  const looks = hops.looks;
  const began = performance.now();
  batch([
    ...Array.from({ length: 200 }, (_, i) => `route replace 10.8.0.0/16 via 10.1.0.2 metric ${i}`),
    'route replace 10.9.0.0/16 via 10.2.0.2',
  ]);
  const done = performance.now();
  await until(() => seen.length > 0);
  const now = performance.now();
  t.same(seen, [['10.9.1.1', '020000000202']]);
  t.ok(now - done < 900, `after ${now - done} ms`);
  t.ok(hops.looks - looks <= 2 + (now - began) / 50, `${hops.looks - looks} looks`);

  await sleep(3500); // until the kernel, too, has found that they do not answer
  seen.length = 0;
  const silent = hops.looks;
  ip('neigh', 'replace', dead[7]!, 'lladdr', '02:00:00:00:00:99', 'dev', 'd1');
  await until(() => seen.length > 0);
  t.same(seen, [[dead[7], '020000000099']], 'one that answers at last is told, and nobody else asked for');
  t.equal(hops.looks, silent, 'nor did their silence make anybody look');
  hops.close();
  tearDown();
});

t.test('a storm of changes while the event loop is busy harms nobody', { skip }, async (t) => {
  setUp();
  const seen: string[] = [];
  const hops = new NextHops((changed) => seen.push(...[...changed.values()].map(mac)));
  await hops.watch('10.1.0.2');
  batch(Array.from({ length: 150 }, (_, i) => `link add s${i} type veth peer name p${i}\nlink del s${i}`));
  ip('neigh', 'replace', '10.1.0.2', 'lladdr', '02:00:00:00:cc:cc', 'dev', 'd1');
  for (let i = 0; i < 100 && !seen.includes('02000000cccc'); i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  ip('neigh', 'replace', '10.1.0.2', 'lladdr', '02:00:00:00:dd:dd', 'dev', 'd1');
  for (let i = 0; i < 100 && !seen.includes('02000000dddd'); i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  t.ok(seen.includes('02000000dddd'), 'it hears on');
  hops.close();
  tearDown();
});
