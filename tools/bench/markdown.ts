// SPDX-License-Identifier: Apache-2.0
// Figures as text, and tables of them.
import type { Estimate, Spread } from './statistics.js';

/** Right-aligned but for the first column. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const align = head.map((_, i) => (i === 0 ? '---' : '---:'));
  return [head, align, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** With so many digits after the point, and a space between thousands. */
export function figure(value: number, digits = 0): string {
  if (!Number.isFinite(value)) return '-';
  const [whole = '', fraction] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ' ');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** Median, and the range where there is one. */
export function range(spread: Spread, digits = 0, scale = 1): string {
  const of = (value: number) => figure(value * scale, digits);
  const { median, least, most } = spread;
  return least === most ? of(median) : `${of(median)} (${of(least)} to ${of(most)})`;
}

/** Mean, and its standard error. */
export function plusMinus({ mean, error }: Estimate, digits = 0, scale = 1): string {
  return `${figure(mean * scale, digits)} ± ${figure(error * scale, digits)}`;
}

/** A target beside its figure, said plainly; undefined: the readings are too unsteady for either. */
export function verdict(met: boolean | undefined, target: string): string {
  const word = met === undefined ? '**cannot be told from these readings**' : met ? 'met' : '**missed**';
  return `${word} (target: ${target})`;
}
