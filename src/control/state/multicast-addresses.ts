// SPDX-License-Identifier: Apache-2.0
// Which IPv4 multicast addresses are ours to send to, and which of them are in use or were until lately: who has not left
// a group yet must not see another stream in it.

/**
 * An address that was given back rests for so long: routers and switches forget a group that nobody has left properly
 * after 260 s (RFC 3376 8.4, Group Membership Interval).
 */
export const REST_MS = 260_000;
/** A network of more addresses is of no use, and what rests is remembered one by one. */
const LARGEST_NETWORK = 65_536;

export interface MulticastNetwork {
  /** Of the lowest address, host order. */
  readonly first: number;
  /** Addresses, a power of two. */
  readonly size: number;
}

/** Any IPv4 address as a number, host order; undefined: it is none. */
function numberOf(address: string): number | undefined {
  const bytes = address.split('.');
  if (bytes.length !== 4 || !bytes.every((byte) => /^\d{1,3}$/.test(byte) && Number(byte) <= 255))
    return undefined;
  return bytes.reduce((sum, byte) => sum * 256 + Number(byte), 0);
}

function textOf(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

const overlaps = (network: MulticastNetwork, first: string, size: number): boolean => {
  const other = numberOf(first)!;
  return network.first < other + size && other < network.first + network.size;
};

/** 224.0.0.0/4 (RFC 5771), its first 256 left out: what is sent to those is between neighbours and not for streams. */
export function isMulticastGroup(address: string): boolean {
  const number = numberOf(address);
  return number !== undefined && number >>> 28 === 0xe && number >>> 8 !== 0xe00000;
}

/** `239.192.0.0/24`, or one address. @throws RangeError with a sentence that says what it should be. */
export function parseMulticastNetwork(text: string): MulticastNetwork {
  const [, address = '', bits = '32'] = /^([\d.]+)(?:\/(\d{1,2}))?$/.exec(text) ?? [];
  const first = numberOf(address);
  const size = 2 ** (32 - Number(bits));
  if (first === undefined || size < 1) throw new RangeError('It is an IPv4 network, e.g. 239.192.0.0/24.');
  if (size > LARGEST_NETWORK) throw new RangeError('It is a network of at most 65536 addresses (/16).');
  if (first % size !== 0) throw new RangeError(`Bits are set beyond the network's ${bits}.`);
  const network = { first, size };
  if (first >>> 28 !== 0xe) throw new RangeError('Multicast addresses are 224.0.0.0/4.');
  if (overlaps(network, '224.0.0.0', 256))
    throw new RangeError('224.0.0.0/24 is for routers and their neighbours (RFC 5771).');
  if (overlaps(network, '232.0.0.0', 2 ** 24))
    throw new RangeError('232.0.0.0/8 is for source-specific multicast, which players do not ask for.');
  return network;
}

/** Walks upwards and starts again at the bottom, so that each is used again as late as possible, and never too soon. */
export class MulticastAddresses {
  readonly #network: MulticastNetwork;
  readonly #restMs: number;
  readonly #taken = new Set<number>();
  /** When each was given back, the longest ago first. */
  readonly #resting = new Map<number, number>();
  #next: number;

  /** `start`: any whole number from 0 on; where the walk begins, for who was served by a former process may still listen. */
  constructor(network: MulticastNetwork, start = 0, restMs = REST_MS) {
    this.#network = network;
    this.#restMs = restMs;
    this.#next = start % network.size;
  }

  get inUse(): number {
    return this.#taken.size;
  }

  /** Undefined: all are in use, or were until lately. `nowMs` never goes back. */
  take(nowMs: number): string | undefined {
    this.#wake(nowMs);
    const { first, size } = this.#network;
    if (this.#taken.size + this.#resting.size >= size) return undefined;
    while (this.#taken.has(this.#next) || this.#resting.has(this.#next)) this.#next = (this.#next + 1) % size;
    const taken = this.#next;
    this.#taken.add(taken);
    this.#next = (taken + 1) % size;
    return textOf(first + taken);
  }

  /** Throws a RangeError when it was not taken. */
  release(address: string, nowMs: number): void {
    const index = (numberOf(address) ?? NaN) - this.#network.first;
    if (!this.#taken.delete(index)) throw new RangeError(`${address} was not taken`);
    this.#resting.set(index, nowMs);
  }

  #wake(nowMs: number): void {
    for (const [index, since] of this.#resting) {
      if (nowMs - since < this.#restMs) return;
      this.#resting.delete(index);
    }
  }
}
