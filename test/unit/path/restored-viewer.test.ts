// SPDX-License-Identifier: Apache-2.0
// One track of a viewer that a former process has served: what this process makes of what it reports.
import t from 'tap';
import type { Context } from '../../../src/control/path/context.js';
import type { ViewerCounters } from '../../../src/control/path/ports.js';
import type { Session } from '../../../src/control/path/session.js';
import type { Track } from '../../../src/control/path/track.js';
import { ViewerTrack } from '../../../src/control/path/viewer-track.js';
import { Destinations } from '../../../src/control/state/destinations.js';

const AVERAGES = [300, 100, 100, 100, 200, 100, 100, 100].map((kbit) => kbit * 125);
const NOTHING: ViewerCounters = { packets: 0, bytes: 0, rtcpPackets: 0, drops: 0 };

/** Of a layered stream, with what its former process noted of it, and what comes of a report of so many lost in all. */
function viewerOf(former: { readonly id: number | null; readonly before: ViewerCounters }) {
  let nowNs = 0n;
  let sent: ViewerCounters = { packets: 1_000_000, bytes: 5e8, rtcpPackets: 0, drops: 0 };
  const context = {
    clock: { monotonicNs: () => nowNs, wallMs: () => 0 },
    destinations: new Destinations<ViewerTrack>(),
    nextViewerId: () => 8,
    random: (bytes: number) => Buffer.alloc(bytes, 0x80),
    log: { debug() {} },
  } as unknown as Context;
  const session = {
    resource: { route: { config: { layerPolicy: 'aimd', layerRewrite: true } } },
  } as unknown as Session;
  const track = {
    viewers: new Set(),
    stream: {
      layers: () => ({ notion: 'dependency', averages: AVERAGES }),
      add: async () => ({ counters: () => sent, allow() {}, loss() {} }),
    },
    layers: {},
  } as unknown as Track;
  const viewer = new ViewerTrack(context, session, track, '', { ports: [40_000, 40_001] }, former);
  const report = (cumulative: number) => {
    nowNs += 5_000_000_000n;
    sent = { ...sent, packets: sent.packets + 1375, bytes: sent.bytes + 687_500 };
    viewer.report({ fraction: 0, cumulative, jitter: 0, roundTripMs: 50, atMs: 0 });
    return viewer.layers.allowance;
  };
  return { viewer, report };
}

t.test('what it lost before does not count, whether it played or was paused', async (t) => {
  const noted = [
    { id: 7, before: NOTHING },
    { id: null, before: { ...NOTHING, packets: 5000 } },
  ];
  for (const former of noted) {
    const { viewer, report } = viewerOf(former);
    await viewer.start();
    t.equal(report(701), 7, 'since when it counts is not known');
    t.equal(report(702), 7, '0.07 %');
    t.ok(report(1252) < 7, '40 %');
  }
});

t.test('one that had not played yet counts from its first packet', async (t) => {
  const { viewer, report } = viewerOf({ id: null, before: NOTHING });
  await viewer.start();
  t.ok(report(550) < 7);
});
