// SPDX-License-Identifier: Apache-2.0
// The channels of each RTSP connection that packets are interleaved on (RFC 2326 10.12): whose they are, and which are free.

/** Channels are numbered by one byte. */
const CHANNELS = 256;

export type ChannelPair = readonly [rtp: number, rtcp: number];

export class Channels<Link, Owner> {
  readonly #owners = new Map<Link, Map<number, Owner>>();

  /** Connections that have a channel in use. */
  get size(): number {
    return this.#owners.size;
  }

  owner(link: Link, channel: number): Owner | undefined {
    return this.#owners.get(link)?.get(channel);
  }

  /** The two that are wanted, unless another than `mine` has one of them: then the lowest even pair that is free. Undefined: none is. */
  choose(link: Link, wanted: ChannelPair | undefined, mine: Owner | undefined): ChannelPair | undefined {
    const isFree = (pair: ChannelPair) =>
      pair.every((channel) => [undefined, mine].includes(this.owner(link, channel)));
    if (wanted && isFree(wanted)) return wanted;
    for (let low = 0; low < CHANNELS; low += 2) if (isFree([low, low + 1])) return [low, low + 1];
    return undefined;
  }

  /** Takes both, or none and answers false: another has one of them. */
  claim(link: Link, pair: ChannelPair, owner: Owner): boolean {
    const owners = this.#owners.get(link) ?? new Map<number, Owner>();
    if (pair.some((channel) => owners.has(channel))) return false;
    for (const channel of pair) owners.set(channel, owner);
    this.#owners.set(link, owners);
    return true;
  }

  release(link: Link, pair: ChannelPair): void {
    const owners = this.#owners.get(link);
    for (const channel of pair) owners?.delete(channel);
    if (owners?.size === 0) this.#owners.delete(link);
  }
}
