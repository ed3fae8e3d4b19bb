// SPDX-License-Identifier: Apache-2.0
// The media of viewers who have it within their RTSP connection (RFC 2326 10.12): counted by sequence numbers, reported on the
// RTCP channel.
import type { Counted } from '../wire/counter.js';
import { Reception } from './reception.js';
import type { Track, Viewer } from './viewer.js';

/** One viewer's m= sections. */
export class InterleavedMedia {
  readonly receptions = new Map<number, Reception>();

  constructor(readonly viewer: Viewer) {
    viewer.onFrame = (channel, packet) => {
      const section = viewer.tracks.findIndex(
        ({ channels: at }) => at && (channel === at.low || channel === at.high),
      );
      if (section < 0) return;
      const reception = this.#of(section);
      if (channel === viewer.tracks[section]!.channels!.low) reception.rtp(packet);
      else reception.rtcpPacket(packet);
    };
  }

  #of(section: number): Reception {
    const known = this.receptions.get(section);
    if (known) return known;
    const made = new Reception();
    made.clockRate = this.viewer.tracks[section]!.clockRate;
    this.receptions.set(section, made);
    return made;
  }

  report(section: number, { channels }: Track): void {
    if (channels?.high !== undefined) this.viewer.sendFrame(channels.high, this.#of(section).report());
  }
}

/** As the kernel's counter tells it of viewers over UDP: a row for each section of each viewer. */
export function countedOf(viewers: readonly InterleavedMedia[]): Counted {
  const rows = viewers.flatMap(({ receptions }, i) =>
    [...receptions].map(([section, { sequence, bytes }]) => {
      const { packets, lost, duplicated, reordered, old } = sequence;
      const counts = { packets, bytes, lost, duplicated, reordered, old };
      return { address: `viewer ${i}`, port: section, ssrc: 0, ...counts, first: 0, firstSeq: 0, lastSeq: 0 };
    }),
  );
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((all, row) => all + of(row), 0);
  return { rtp: sum(({ packets }) => packets), rtcp: 0, other: 0, aggregated: 0, overflow: 0, rows };
}

/** Between two looks at the connections, milliseconds. */
const LOOK_MS = 20;
const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * From now on this process looks at its connections only so often, all at once, and sleeps between: what receiving costs
 * then does not depend on the pieces in which a server writes. The returned function ends it.
 */
export function lookRarely(): () => void {
  const timer = setInterval(() => Atomics.wait(never, 0, 0, LOOK_MS), 1);
  return () => clearInterval(timer);
}
