// SPDX-License-Identifier: Apache-2.0
// The bandwidth of each layer: every 200 ms average = (average * 15 + bytes / time) / 16. The twin of bpf/layer_rate.h, to
// the bit, and the reader of what that has written.

export const LAYERS = 8;
/** Window of the average, nanoseconds. */
export const WINDOW_NS = 200_000_000n;
/** After so many windows without a packet averages begin anew, from 0. */
export const MOST_WINDOWS = 64n;
const WINDOWS_PER_SECOND = 5n;

/** As `struct fanout_stream` has it: averages (bytes/s) up to the beginning of the window, and what has come since. */
export interface RateState {
  /** 0: nothing has come yet. */
  windowNs: bigint;
  bytes: bigint[];
  averages: bigint[];
}

export function noRates(): RateState {
  return {
    windowNs: 0n,
    bytes: new Array<bigint>(LAYERS).fill(0n),
    averages: new Array<bigint>(LAYERS).fill(0n),
  };
}

/** Ends every window that is over by then. Divisions round down. */
export function rollRates(state: RateState, nowNs: bigint): void {
  if (state.windowNs === 0n) return;
  const windows = (nowNs - state.windowNs) / WINDOW_NS;
  if (windows <= 0n) return;
  state.windowNs += windows * WINDOW_NS;
  for (let layer = 0; layer < LAYERS; layer++) {
    let average = (state.averages[layer]! * 15n + state.bytes[layer]! * WINDOWS_PER_SECOND) / 16n;
    if (windows > MOST_WINDOWS) average = 0n;
    else for (let i = 1n; i < windows; i++) average = (average * 15n) / 16n;
    state.averages[layer] = average;
    state.bytes[layer] = 0n;
  }
}

/** A packet of that layer, `bytes` of UDP payload. The first begins the first window. */
export function countLayer(state: RateState, layer: number, bytes: number, nowNs: bigint): void {
  if (state.windowNs === 0n) state.windowNs = nowNs;
  rollRates(state, nowNs);
  state.bytes[layer]! += BigInt(bytes);
}
