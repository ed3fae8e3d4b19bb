// SPDX-License-Identifier: Apache-2.0
// Packets that were passed up, and those that the kernel program has never seen.
import t from 'tap';
import { UnseenPackets } from '../../../src/control/kernel/unseen-packets.js';

function setUp() {
  const now = { ms: 1000, seen: 7 };
  const unseen = new UnseenPackets(
    () => now.seen,
    () => now.ms,
  );
  /** `passed`: the program has counted it. */
  const packet = (ms: number, passed: boolean) => {
    now.ms += ms;
    if (passed) now.seen++;
    return unseen.cameUp();
  };
  return { now, packet, unseen };
}

t.test('packets that were passed up, some of them late', async (t) => {
  const { now, packet, unseen } = setUp();
  for (let i = 0; i < 1000; i++) t.notOk(packet(4, true));
  now.seen += 100; // they wait in the socket
  for (let i = 0; i < 100; i++) t.notOk(unseen.cameUp());
});

t.test('packets that it does not see', async (t) => {
  const { packet } = setUp();
  const told = Array.from({ length: 1000 }, () => packet(4, false)).filter(Boolean).length;
  t.equal(told, 20, 'five times a second');
});

t.test('one that it has seen among them', async (t) => {
  const { packet } = setUp();
  for (let i = 0; i < 100; i++) packet(4, true);
  t.ok(packet(250, false) || packet(250, false), 'it does no longer');
  t.notOk(packet(250, true), 'again');
});
