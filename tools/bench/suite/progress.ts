// SPDX-License-Identifier: Apache-2.0
// What somebody who waits for the suite sees: how far it is, how long it takes in all, what it does now.

/** Of what, so far and expected, seconds. */
export interface Clock {
  elapsed(): number;
  readonly expected: number;
}

const minutes = (seconds: number) => {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${`${whole % 60}`.padStart(2, '0')}`;
};

export function progressLine({ elapsed, expected }: Clock, section: string, text: string): string {
  return `${minutes(elapsed()).padStart(5)} of about ${minutes(expected)}  ${section}: ${text}`;
}

/** On a terminal one line that changes, else a line each. */
export function showProgress(line: string, to: NodeJS.WriteStream = process.stderr): void {
  to.write(to.isTTY ? `\r\x1b[K${line.slice(0, (to.columns || 80) - 1)}` : `${line}\n`);
}

export function endProgress(to: NodeJS.WriteStream = process.stderr): void {
  if (to.isTTY) to.write('\r\x1b[K');
}
