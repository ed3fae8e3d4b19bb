// SPDX-License-Identifier: Apache-2.0
// The UDP ports of a crowd: for each viewer as many pairs (RTP even, RTCP one above: RFC 3550 11) as the first description has
// m= sections, counted from the beginning of the range for each source address.
import type { PortRange } from '../wire/port-range.js';

/** Not all viewers fit into the range: one sentence. */
export class TooFewPorts extends Error {}

export class ClientPorts {
  /** Of each viewer. */
  #pairs: number | undefined;

  /** `addresses`: source addresses, used in turn. @throws TooFewPorts, if they are too few for one section each. */
  constructor(
    readonly range: PortRange,
    readonly viewers: number,
    readonly addresses: number,
  ) {
    this.#mustFit(1);
  }

  /**
   * RTP port of the viewer's first pair; the others follow. `viewer` counts from 0, `sections` are those of its description.
   * @throws TooFewPorts, at the first description. Error: a later one has more sections than the first.
   */
  firstOf(viewer: number, sections: number): number {
    if (this.#pairs === undefined) this.#mustFit(sections);
    this.#pairs ??= sections;
    if (sections > this.#pairs)
      throw new Error(`DESCRIBE: ${sections} m= sections, but ${this.#pairs} for the first viewer`);
    return this.range.low + 2 * this.#pairs * Math.floor(viewer / this.addresses);
  }

  #mustFit(pairs: number): void {
    const { low, high } = this.range;
    const room = Math.floor((high - low + 1) / (2 * pairs)) * this.addresses;
    if (room < this.viewers)
      throw new TooFewPorts(
        `--ports ${low}-${high} has room for ${room} of ${this.viewers} viewers, each with ${2 * pairs} ports: ` +
          'widen it, or give more source addresses (--from)',
      );
  }
}
