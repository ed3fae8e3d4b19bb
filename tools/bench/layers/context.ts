// SPDX-License-Identifier: Apache-2.0
// What the parts of the benchmark of layers have in common.
export interface LayersContext {
  /** Small and short: shows that everything works, figures mean nothing. */
  readonly quick: boolean;
  progress(text: string): void;
  /** Whether that run is wanted: `sharing aimd router 160`, `steps own`, `tcp aimd`. */
  wants(name: string): boolean;
}

/** The made-up stream's layers, kbit/s of RTP up to each. */
export const CUMULATIVE_KBIT = [300, 400, 500, 600, 800, 900, 1000, 1100];
/** A frame of it, and the RTP in that, bytes. */
export const FRAME = 549;
export const FRAME_RTP = 507;
