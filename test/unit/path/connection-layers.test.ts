// SPDX-License-Identifier: Apache-2.0
// An interleaved viewer's connection that carries less than there is: what is left for a layered track beside what else goes
// over it.
import t from 'tap';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, PROXY, type FakeStream } from '../../fixtures/fake-world.js';

const KBIT = 125;
const AVERAGES = [300, 100, 100, 100, 200, 100, 100, 100].map((kbit) => kbit * KBIT);
const LOOK_MS = 200;
const SETTLED_MS = 20_000;

interface Connection {
  /** kbit/s that it carries, and that sound takes of it. */
  readonly carries: number;
  readonly sound: number;
  /** Indices of the tracks that are layered. */
  readonly layered: readonly number[];
}

/** Two minutes; what it had at last, and what changed and waited since it had settled. */
async function play({ carries, sound, layered }: Connection) {
  const world = await FakeWorld.start({ script: fakeSource() });
  const viewer = world.viewer();
  const setUp = async (track: string, channels: string, Session?: string) => {
    const Transport = `RTP/AVP/TCP;unicast;interleaved=${channels}`;
    const { headers } = await viewer.ask('SETUP', `${PROXY}/x/${track}`, { Transport, Session });
    return headers.get('Session')!.split(';')[0]!;
  };
  const Session = await setUp('v', '0-1');
  await setUp('a', '2-3', Session);
  for (const i of layered) world.streams[i]!.rates = { notion: 'dependency', averages: AVERAGES };
  await world.advance(1100);
  await viewer.ask('PLAY', `${PROXY}/x/`, { Session });
  const rows = () => layered.map((i) => world.proxy.clients()[0]!.tracks[i]!.layers!);
  const send = (stream: FakeStream, bytes: number) => {
    stream.sent = { ...stream.sent, bytes: stream.sent.bytes + bytes };
    viewer.queued += bytes;
  };
  const rateOf = (allowance: number) => AVERAGES.slice(0, allowance + 1).reduce((sum, rate) => sum + rate);
  let before = 0;
  let most = 0;
  for (let ms = 0; ms < 120_000; ms += LOOK_MS) {
    if (ms % 20_000 === 0) await viewer.ask('GET_PARAMETER', `${PROXY}/x/`, { Session });
    if (ms === SETTLED_MS) before = rows().reduce((sum, { changes }) => sum + changes, 0);
    for (const [at, i] of layered.entries())
      send(world.streams[i]!, (rateOf(rows()[at]!.allowance) * LOOK_MS) / 1000);
    if (sound > 0) send(world.streams[1]!, (sound * KBIT * LOOK_MS) / 1000);
    const taken = Math.min(viewer.queued, (carries * KBIT * LOOK_MS) / 1000);
    viewer.queued -= taken;
    viewer.taken += taken;
    if (ms >= SETTLED_MS) most = Math.max(most, viewer.queued);
    await world.advance(LOOK_MS, LOOK_MS);
  }
  const last = rows();
  await world.proxy.close();
  return {
    changes: last.reduce((sum, { changes }) => sum + changes, 0) - before,
    kbits: last.map(({ allowance }) => rateOf(allowance) / KBIT),
    most,
  };
}

t.test('what sound takes is not given to pictures', async (t) => {
  const { changes, kbits, most } = await play({ carries: 1000, sound: 128, layered: [0] });
  t.same(kbits, [800], 'the layers that fit beside it');
  t.ok(changes <= 4, `${changes} changes: it has been tried whether there is more`);
  t.ok(most < 0.3 * 1000 * KBIT, `${most} bytes waited at most`);
});

t.test('two layered tracks share it', async (t) => {
  const { changes, kbits, most } = await play({ carries: 1300, sound: 0, layered: [0, 1] });
  t.same(kbits, [600, 600]);
  t.ok(changes <= 8, `${changes} changes`);
  t.ok(most < 0.3 * 1300 * KBIT, `${most} bytes waited at most`);
});
