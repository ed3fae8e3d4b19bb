// SPDX-License-Identifier: Apache-2.0
// Multicast addresses: which networks are good for it, and that no address is used twice at once or again too soon.
import t from 'tap';
import fc from 'fast-check';
import {
  isMulticastGroup,
  MulticastAddresses,
  parseMulticastNetwork,
  REST_MS,
} from '../../../src/control/state/multicast-addresses.js';

t.test('networks', async (t) => {
  t.same(parseMulticastNetwork('239.192.0.0/24'), { first: 0xefc00000, size: 256 });
  t.same(parseMulticastNetwork('239.1.2.3'), { first: 0xef010203, size: 1 });
  t.same(parseMulticastNetwork('239.0.0.0/16').size, 65_536);
  const wrong: [string, RegExp][] = [
    ['', /IPv4 network/],
    ['ff02::1', /IPv4 network/],
    ['239.192.0.0/33', /IPv4 network/],
    ['239.192.0/24', /IPv4 network/],
    ['239.192.0.256/32', /IPv4 network/],
    ['239.192.0.1/24', /beyond the network's 24/],
    ['239.0.0.0/15', /65536/],
    ['192.0.2.0/24', /224\.0\.0\.0\/4/],
    ['240.0.0.0/24', /224\.0\.0\.0\/4/],
    ['224.0.0.0/16', /RFC 5771/],
    ['224.0.0.5', /RFC 5771/],
    ['232.1.0.0/16', /source-specific/],
  ];
  for (const [text, why] of wrong) t.throws(() => parseMulticastNetwork(text), { message: why }, text);
});

t.test('what counts as a group', async (t) => {
  for (const yes of ['224.0.1.0', '232.1.1.1', '239.255.255.255']) t.ok(isMulticastGroup(yes), yes);
  for (const no of [
    '224.0.0.251',
    '223.255.255.255',
    '240.0.0.1',
    '',
    'ff05::1',
    '239.1.2',
    '239.1.2.x',
    '0xef.1.2.3',
  ])
    t.notOk(isMulticastGroup(no), no);
});

t.test('an address rests after use', async (t) => {
  const addresses = new MulticastAddresses(parseMulticastNetwork('239.1.0.0/30'));
  t.same(
    [0, 0, 0].map(() => addresses.take(0)),
    ['239.1.0.0', '239.1.0.1', '239.1.0.2'],
  );
  addresses.release('239.1.0.1', 1000);
  t.equal(addresses.take(1000), '239.1.0.3');
  t.equal(addresses.take(1000 + REST_MS - 1), undefined, 'none is free yet');
  t.equal(addresses.take(1000 + REST_MS), '239.1.0.1');
  t.equal(addresses.inUse, 4);
  t.throws(() => addresses.release('239.1.0.4', 0), { message: /not taken/ });
  t.equal(new MulticastAddresses(parseMulticastNetwork('239.1.0.0/30'), 6).take(0), '239.1.0.2');
  addresses.release('239.1.0.2', 0);
  t.throws(() => addresses.release('239.1.0.2', 0), { message: /not taken/ }, 'once');
  t.throws(() => addresses.release('rubbish', 0), { message: /not taken/ });
});

t.test('never two at once, never too soon, whatever comes and goes', async () => {
  const steps = fc.array(fc.record({ ms: fc.nat(60), take: fc.boolean(), which: fc.nat(99) }), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(steps, fc.constantFrom(1, 4, 16), (list, size) => {
      const addresses = new MulticastAddresses({ first: 0xef010000, size }, 5, 100);
      const held: string[] = [];
      const left = new Map<string, number>();
      let now = 0;
      for (const { ms, take, which } of list) {
        now += ms;
        if (take) {
          const address = addresses.take(now);
          const resting = [...left.values()].filter((since) => now - since < 100).length;
          if (address === undefined) {
            if (held.length + resting < size) return false; // one was free
            continue;
          }
          if (held.includes(address) || now - (left.get(address) ?? -100) < 100) return false;
          left.delete(address);
          held.push(address);
        } else if (held.length > 0) {
          const [address] = held.splice(which % held.length, 1);
          addresses.release(address!, now);
          left.set(address!, now);
        }
      }
      return addresses.inUse === held.length;
    }),
  );
});
