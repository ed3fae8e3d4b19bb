// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them, each in at most 6 characters.

const STEPS = ['', 'k', 'M', 'G', 'T', 'P', 'E'] as const;

/** 999, 12.3k, 4.56M: decimal steps, three figures. */
export function count(value: number): string {
  return scaled(value, '');
}

/** 512 B, 1.2 kB, 3.4 MB: decimal steps. */
export function bytes(value: number): string {
  return scaled(value, 'B');
}

function scaled(value: number, unit: string): string {
  let step = 0;
  let rest = Math.abs(value);
  // 999.5 would be rounded to 1000.
  while (rest >= (step === 0 ? 1000 : 999.5) && step < STEPS.length - 1) {
    rest /= 1000;
    step++;
  }
  const digits = step === 0 || rest >= 99.95 ? 0 : 1;
  const gap = unit === '' ? '' : ' ';
  return `${value < 0 ? '-' : ''}${rest.toFixed(digits)}${gap}${STEPS[step]}${unit}`;
}

/** The two largest units: 7s, 2m10s, 3h02m, 12d04h. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value: number) => String(value).padStart(2, '0');
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${two(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
}

/** 0 to 1 as 0%, 0.4%, 12.5%, 100%. */
export function percent(fraction: number): string {
  return `${trimmed(fraction * 100)}%`;
}

/** 0.3 ms, 12.5 ms, 340 ms; `-` for null. */
export function milliseconds(value: number | null): string {
  if (value === null) return '-';
  return value >= 100 ? `${Math.round(value)} ms` : `${trimmed(value)} ms`;
}

function trimmed(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '');
}
