// SPDX-License-Identifier: Apache-2.0
// One path of the camera: its tracks on one clock and one timer. The clock starts with the first viewer and never
// stops, so that who joins later gets what is on now; the timer rests while nobody watches.

import type { Destination, LiveTrack } from './live-track.js';

const REPORT_INTERVAL = 5; // s

export class LiveSource {
  #startedAt: number | undefined; // ms of performance.now()
  #timer: NodeJS.Timeout | undefined;
  #reportAt = 0; // s since the start
  #ended = false;
  #paused = false;
  #due = 0; // s, of the next turn
  #mostLateMs = 0;

  /** @param silent a camera that hangs: it answers, but sends nothing */
  constructor(
    readonly path: string,
    readonly tracks: readonly LiveTrack[],
    readonly silent: boolean,
  ) {}

  get watched(): boolean {
    return this.tracks.some(({ viewers }) => viewers.size > 0);
  }

  /** From the next packet on, which is what LiveTrack.next tells until this event loop turn ends. */
  add(destinations: ReadonlyMap<LiveTrack, Destination>): void {
    const now = this.#now();
    this.#startedAt ??= performance.now();
    if (!this.watched) for (const track of this.tracks) track.seek(now);
    for (const [track, destination] of destinations) track.viewers.add(destination);
    this.#schedule(now);
  }

  /** Sender reports for a viewer whose PLAY has been answered: it can synchronise at once. */
  greet(destinations: ReadonlyMap<LiveTrack, Destination>): void {
    if (this.silent) return;
    for (const [track, destination] of destinations) track.sendReport(this.#now(), [destination]);
  }

  remove(destinations: ReadonlyMap<LiveTrack, Destination>): void {
    for (const [track, destination] of destinations) track.viewers.delete(destination);
    if (!this.watched) this.#rest();
  }

  /** Sends nothing until this is called again: then what is on at that time, numbered on without a gap. */
  togglePause(): void {
    this.#paused = !this.#paused;
    if (this.#paused) return this.#rest();
    const now = this.#now();
    for (const track of this.tracks) track.seek(now);
    if (this.watched) this.#schedule(now);
  }

  /** By how much packets were sent late at most since this was asked, milliseconds: above a few the machine is busy. */
  takeMostLate(): number {
    const late = this.#mostLateMs;
    this.#mostLateMs = 0;
    return late;
  }

  close(): void {
    this.#rest();
    if (!this.silent && !this.#ended) for (const track of this.tracks) track.sendGoodbye();
    for (const { sockets, viewers } of this.tracks) {
      viewers.clear();
      sockets.rtp.close();
      sockets.rtcp.close();
    }
  }

  /** Seconds since the start; 0 before it. */
  #now(): number {
    return this.#startedAt === undefined ? 0 : (performance.now() - this.#startedAt) / 1000;
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Times are absolute, so a late turn of the event loop is made up for and nothing drifts. */
  #schedule(due: number): void {
    if (this.silent || this.#ended || this.#paused) return;
    if (!this.#timer) this.#due = due;
    this.#timer ??= setTimeout(() => this.#turn(), Math.max(0, (due - this.#now()) * 1000));
  }

  #turn(): void {
    this.#timer = undefined;
    const now = this.#now();
    this.#mostLateMs = Math.max(this.#mostLateMs, (now - this.#due) * 1000);
    const times = this.tracks.map((track) => track.sendUntil(now)).filter((due) => due !== undefined);
    if (times.length === 0) return this.#end();
    if (now >= this.#reportAt) {
      this.#reportAt = now + REPORT_INTERVAL;
      for (const track of this.tracks) track.sendReport(now);
    }
    this.#schedule(Math.min(...times));
  }

  #end(): void {
    this.#ended = true;
    for (const track of this.tracks) track.sendGoodbye();
  }
}
