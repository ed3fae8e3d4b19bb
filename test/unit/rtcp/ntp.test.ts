// SPDX-License-Identifier: Apache-2.0
// NTP timestamps there and back, and the round trip across every wrap.
import fc from 'fast-check';
import t from 'tap';
import {
  msFromShort,
  ntpFromUnixNs,
  ntpMiddle,
  roundTrip,
  roundTripSince,
  shortFromNs,
  unixNsFromNtp,
} from '../../../src/control/rtcp/ntp.js';

const S = 1_000_000_000n;

t.test('known timestamps', (t) => {
  t.equal(ntpFromUnixNs(0n), 2208988800n << 32n, '1970');
  t.equal(ntpFromUnixNs(S / 2n), (2208988800n << 32n) + (1n << 31n), 'half a second');
  t.equal(ntpFromUnixNs(2085978496n * S), 0n, 'the wrap of February 2036');
  t.equal(unixNsFromNtp(0n), 2085978496n * S, '... and back');
  // RFC 3550 6.4.1, figure 2: SR sent at b44d:b705:2000:0000.
  t.equal(ntpMiddle(0xb44db70520000000n), 0xb7052000);
  t.equal(roundTrip(0xb7108000, 0xb7052000, 0x00054000), 0x00062000, 'the figure says 6.125 s');
  t.equal(msFromShort(0x62000), 6125);
  t.end();
});

t.test('ns to NTP and back is exact, from 1970 to 2104', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 4233462144n * S - 1n }),
        (ns) => unixNsFromNtp(ntpFromUnixNs(ns)) === ns,
      ),
    ),
  );
  t.end();
});

t.test('round trip', (t) => {
  t.equal(roundTrip(5, 0, 3), undefined, 'no SR yet');
  t.equal(roundTrip(100, 90, 20), 0, 'a delay larger than the time since is no negative trip');
  t.equal(roundTrip(3, 0xffffffff, 2), 2, 'the clock wraps between');
  t.equal(roundTripSince(10n * S, 11n * S, 0x8000), 0x8000, 'half of a second was the receiver’s delay');
  t.equal(roundTripSince(10n * S, 11n * S, 0xffffffff), 0);
  t.equal(roundTripSince(11n * S, 10n * S, 0), 0);
  t.equal(shortFromNs(1_000_000n * S), 0xffffffff, 'longer than 18.2 hours saturates');
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(0x3fffffff), fc.nat(0x3fffffff), (sent, dlsr, trip) => {
        const lsr = sent === 0 ? 1 : sent;
        return roundTrip((lsr + dlsr + trip) % 2 ** 32, lsr, dlsr) === trip;
      }),
    ),
  );
  t.end();
});
