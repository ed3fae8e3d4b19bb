// SPDX-License-Identifier: Apache-2.0
// One spelling per address, and back from bytes.
import { isIPv6, SocketAddress } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import {
  addressBytes,
  addressText,
  canonicalAddress,
  endpointText,
  holderOf,
  isLinkLocal,
  plainAddress,
  withoutZone,
  zoneOf,
} from '../../../src/control/state/address.js';

t.test('each spelling becomes the one', async (t) => {
  const cases: [text: string, one: string | undefined][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['::192.0.2.1', '::c000:201'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['FE80:0::1%wlan0.5', 'fe80::1%wlan0.5'],
    ['192.0.2.256', undefined],
    ['192.0.2.01', undefined],
    ['192.0.2', undefined],
    ['1:2:3:4:5:6:7:8:9', undefined],
    ['1::2::3', undefined],
    ['12345::', undefined],
    ['[::1]', undefined],
    ['::1]:80/x', undefined],
    ['proxy.example', undefined],
    ['', undefined],
  ];
  for (const [text, one] of cases) t.equal(canonicalAddress(text), one, text);
  t.throws(() => addressBytes('proxy.example'), TypeError);
});

t.test('bytes to text and back, spelt as the C library does', async () => {
  const anything = fc.uint8Array({ minLength: 16, maxLength: 16 });
  const withZeros = fc
    .array(fc.constantFrom(0, 0, 0, 1, 0x0db8, 0xffff), { minLength: 8, maxLength: 8 })
    .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])));
  fc.assert(
    fc.property(fc.oneof(anything, withZeros), (bytes) => {
      const text = addressText(bytes);
      if (!isIPv6(text)) return Buffer.from(addressBytes(text)).equals(bytes.subarray(12)); // it was a mapped one
      const isCompatible = bytes.subarray(0, 12).every((byte) => byte === 0); // spelt ::a.b.c.d there
      const theirs = new SocketAddress({ address: text, family: 'ipv6' }).address;
      return Buffer.from(addressBytes(text)).equals(bytes) && (isCompatible || theirs === text);
    }),
  );
});

t.test('zones, mapped addresses, ends, holders', async (t) => {
  t.equal(plainAddress('::ffff:192.0.2.1'), '192.0.2.1');
  t.equal(plainAddress('2001:db8::1'), '2001:db8::1');
  t.equal(plainAddress('192.0.2.1'), '192.0.2.1');
  t.equal(withoutZone('fe80::1%eth0'), 'fe80::1');
  t.same([zoneOf('fe80::1%eth0'), zoneOf('fe80::1')], ['eth0', undefined]);
  t.same(['fe80::1%eth0', 'febf::1', 'fec0::1', '::1', '192.0.2.1'].map(isLinkLocal), [
    true,
    true,
    false,
    false,
    false,
  ]);
  t.equal(endpointText('2001:db8::1', 554), '[2001:db8::1]:554');
  t.equal(endpointText('proxy.example', 554), 'proxy.example:554');
  t.equal(holderOf('2001:db8::1:2:3:4'), '2001:db8::/64');
  t.equal(holderOf('2001:db8:0:0:9::9'), '2001:db8::/64');
  t.not(holderOf('2001:db8:0:1::9'), holderOf('2001:db8::9'));
  t.equal(holderOf('192.0.2.1'), '192.0.2.1');
});
