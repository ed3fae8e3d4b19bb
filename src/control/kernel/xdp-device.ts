// SPDX-License-Identifier: Apache-2.0
// One device that copies leave by: whether XDP serves it, and what the kernel counts of that.
import { closeSync } from 'node:fs';
import { Device, Limit } from './abi.gen.js';
import { mapDelete, mapLookup, mapUpdate } from './libbpf.js';
import { shapes } from './queue-discipline.js';
import type { NetDevice } from './sysfs.js';
import { makeDevmap, setInnerMap, type DevmapEntry } from './xdp-calls.js';
import { takesFrames } from './xdp-features.js';

/** Copies that the device maps of a device are for, as chunk_map() in bpf/xdp_chunk.h picks them. */
const CHUNKS = Array.from({ length: Limit.XDP_CHUNKS }, (_, i) => (i < 3 ? 1 << i : 8 * (i - 2)));

/** Changes of a queue come in bursts (a class, its children); one look after the burst is enough. */
const SETTLE_MS = 50;

export interface XdpParts {
  /** Map `devices`, and the array of maps `chunk_maps`. */
  readonly devicesFd: number;
  readonly chunkMapsFd: number;
  /** The way of a template to its next round, and the program that a copy leaves through. */
  readonly round: DevmapEntry;
  readonly copyFd: number;
  /** Called before XDP serves it for the first time. */
  prepare(device: NetDevice): Promise<void>;
  /** What serves it has been chosen, perhaps anew. */
  chosen(): void;
}

/** What the kernel says of it; `off`: TC serves it at the moment. */
export interface DeviceReading {
  readonly copies: number;
  readonly refused: number;
  readonly untold: number;
  readonly off: boolean;
}

const NOTHING: DeviceReading = { copies: 0, refused: 0, untold: 0, off: true };

export class XdpDevice implements NetDevice {
  /** XDP would go past its queueing discipline, and that is there for a purpose: TC serves it. */
  shaped = false;
  /** Resolves when what serves it has been chosen; TC does until then. */
  ready: Promise<void>;
  readonly #parts: XdpParts;
  readonly #index: number;
  /** Its driver takes no XDP frames, and says so. */
  #unable = false;
  #prepared = false;
  #serving = false;
  /** Counted before XDP left it to TC. */
  #before = NOTHING;
  #changed: NodeJS.Timeout | undefined;
  #closed = false;

  /** `index`: of all devices so far. */
  constructor(
    readonly ifindex: number,
    readonly name: string,
    index: number,
    parts: XdpParts,
  ) {
    this.#index = index;
    this.#parts = parts;
    this.ready = this.#choose();
  }

  /** XDP serves it, unless the driver turns out not to take frames all the same. */
  get serving(): boolean {
    return this.#serving;
  }

  /** Drivers change their mind without a word: when a program is attached, or the far end of a veth begins to poll. */
  async askDriver(): Promise<void> {
    if ((await isUnable(this)) !== this.#unable) this.lookAgain();
  }

  /** Its queueing discipline has changed. */
  lookAgain(): void {
    if (this.#closed) return; // a driver may answer late
    this.#changed ??= setTimeout(() => {
      this.#changed = undefined;
      this.ready = this.ready.then(() => this.#choose());
    }, SETTLE_MS).unref();
  }

  /** Looks at nothing any more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#changed);
    await this.ready;
  }

  read(): DeviceReading {
    const value = Buffer.alloc(Device.SIZE);
    if (!mapLookup(this.#parts.devicesFd, this.#key, value)) return this.#before;
    return {
      copies: this.#before.copies + Number(value.readBigUInt64LE(Device.copies)),
      refused: this.#before.refused + Number(value.readBigUInt64LE(Device.refused)),
      untold: this.#before.untold + Number(value.readBigUInt64LE(Device.untold)),
      off: value.readBigUInt64LE(Device.offUntilNs) > process.hrtime.bigint(),
    };
  }

  get #key(): Buffer {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(this.ifindex);
    return key;
  }

  async #choose(): Promise<void> {
    try {
      [this.shaped, this.#unable] = await Promise.all([shapes(this.name), isUnable(this)]);
      if (this.shaped || this.#unable) this.#leave();
      else await this.#serve();
    } catch {
      // Most likely the device is gone. Whatever serves it goes on.
    }
    this.#parts.chosen();
  }

  /** From the next chunk on its copies are TC's. What a driver still says of frames under way is not counted any more. */
  #leave(): void {
    const known = mapLookup(this.#parts.devicesFd, this.#key, Buffer.alloc(Device.SIZE)); // may be a former process's
    if (!known) return;
    if (this.#serving) this.#before = { ...this.read(), off: true };
    this.#serving = false;
    mapDelete(this.#parts.devicesFd, this.#key);
  }

  async #serve(): Promise<void> {
    if (this.#serving) return;
    if (!this.#prepared) {
      await this.#parts.prepare(this);
      await this.#makeMaps();
      this.#prepared = true;
    }
    const value = Buffer.alloc(Device.SIZE);
    value.writeUInt32LE(this.#index, Device.index);
    mapUpdate(this.#parts.devicesFd, this.#key, value);
    this.#serving = true;
  }

  async #makeMaps(): Promise<void> {
    const { chunkMapsFd, round, copyFd } = this.#parts;
    const copy = { ifindex: this.ifindex, programFd: copyFd };
    for (const [i, copies] of CHUNKS.entries()) {
      // The template first: the kernel sends off what was enqueued last before it.
      const map = makeDevmap([round, ...Array.from({ length: copies }, () => copy)]);
      try {
        await setInnerMap(chunkMapsFd, this.#index * Limit.XDP_CHUNKS + i, map);
      } finally {
        closeSync(map);
      }
    }
  }
}

async function isUnable({ ifindex }: NetDevice): Promise<boolean> {
  return (await takesFrames(ifindex)) === false;
}
