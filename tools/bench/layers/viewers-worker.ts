// SPDX-License-Identifier: Apache-2.0
// Viewers of the made-up layered stream in one process: `node viewers-worker.js N URL ADDRESS [FILE]`. Each reports as RFC 3550
// 6.2 says, half of five seconds to one and a half after the report before. Prints "playing", then answers each line of
// input with the state of all. With FILE all packets of the first are kept there, each behind a 32-bit length and the time.
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Receiver } from '../../load/receiver.js';
import { Viewer } from '../../load/viewer.js';

/** Of one viewer, from the beginning on. */
export interface Seen {
  readonly packets: number;
  /** UDP payload. */
  readonly bytes: number;
  /** By sequence numbers. */
  readonly lost: number;
  /** Packets of the base layer. */
  readonly base: number;
  readonly baseLost: number;
}

const REPORT_MS = 5000;
const FIRST_PORT = 20_000;
const JOINS_AT_ONCE = 8;
/** Of layered.ts: base packets in a picture, RTP timestamp units from one to the next. */
const BASE_PACKETS = 3;
const PICTURE_UNITS = (11 * 90_000) / 271;
/** STAP-A, IDR slice, slice. */
const BASE_TYPES = [24, 5, 1];

class Watcher {
  bytes = 0;
  base = 0;
  baseLost = 0;
  reportAtMs = performance.now() + REPORT_MS * (0.25 + 0.5 * Math.random()); // the first one sooner (6.2)
  #timestamp: number | undefined;
  #ofPicture = 0;

  constructor(
    readonly viewer: Viewer,
    readonly receiver: Receiver,
  ) {
    receiver.onRtp = (packet) => this.take(packet);
  }

  take(packet: Buffer): void {
    this.bytes += packet.length;
    const timestamp = packet.readUInt32BE(4);
    const before = this.#timestamp;
    if (timestamp !== before) {
      const pictures = before === undefined ? 0 : Math.round(((timestamp - before) >>> 0) / PICTURE_UNITS);
      if (before !== undefined) this.baseLost += BASE_PACKETS * pictures - this.#ofPicture;
      this.#timestamp = timestamp;
      this.#ofPicture = 0;
    }
    if (!BASE_TYPES.includes(packet[12]! & 0x1f)) return;
    this.base++;
    this.#ofPicture++;
  }

  get seen(): Seen {
    const { packets, lost } = this.receiver.reception.sequence;
    return { packets, bytes: this.bytes, lost, base: this.base, baseLost: this.baseLost };
  }

  reportIfDue(now: number): void {
    const track = this.viewer.tracks[0];
    if (now < this.reportAtMs || !track) return;
    this.reportAtMs = now + REPORT_MS * (0.5 + Math.random());
    this.receiver.report(track);
  }
}

async function join(url: string, localAddress: string, index: number): Promise<Watcher> {
  const port = FIRST_PORT + 2 * index;
  const receiver = await Receiver.bind(localAddress, port);
  const viewer = new Viewer(url, { localAddress, openPorts: async () => port, timeoutMs: 20_000 });
  const watcher = new Watcher(viewer, receiver);
  viewer.onLost = (reason) => {
    process.stderr.write(`viewer ${index}: ${reason}\n`);
    process.exit(1);
  };
  await viewer.play();
  receiver.reception.clockRate = viewer.tracks[0]!.clockRate;
  return watcher;
}

function keep(watcher: Watcher, file: string): void {
  const out = createWriteStream(file);
  const { onRtp } = watcher.receiver;
  watcher.receiver.onRtp = (packet) => {
    const head = Buffer.alloc(12);
    head.writeUInt32BE(packet.length);
    head.writeDoubleBE(performance.timeOrigin + performance.now(), 4);
    out.write(Buffer.concat([head, packet]));
    onRtp(packet);
  };
}

const [count, url = '', address = '', file] = process.argv.slice(2);
const watchers: Watcher[] = [];
for (let from = 0; from < Number(count); from += JOINS_AT_ONCE) {
  const some = Array.from({ length: Math.min(JOINS_AT_ONCE, Number(count) - from) }, (_, i) => from + i);
  watchers.push(...(await Promise.all(some.map((index) => join(url, address, index)))));
}
if (file !== undefined) keep(watchers[0]!, file);
setInterval(() => {
  const now = performance.now();
  for (const watcher of watchers) watcher.reportIfDue(now);
}, 100);
console.log('playing');
createInterface({ input: process.stdin })
  .on('line', () => console.log(JSON.stringify(watchers.map(({ seen }) => seen))))
  .on('close', () => {
    void Promise.all(watchers.map(({ viewer }) => viewer.teardown().catch(() => {}))).then(() =>
      process.exit(0),
    );
  });
