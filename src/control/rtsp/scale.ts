// SPDX-License-Identifier: Apache-2.0
// The Scale header (RFC 2326 12.34): how fast normal play time passes; 1 is as it was recorded, below 0 backwards.

/** Undefined: there is none, or none that means anything. */
export function readScale(value: string | undefined): number | undefined {
  const scale = value !== undefined && /^-?\d{1,6}(?:\.\d{0,6})?$/.test(value.trim()) ? Number(value) : 0;
  return scale === 0 ? undefined : scale;
}

/** Players read it as they write it: `1.000`. */
export function formatScale(scale: number): string {
  return scale.toFixed(3);
}
