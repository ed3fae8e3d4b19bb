// SPDX-License-Identifier: Apache-2.0
// Plain text tables that fit the terminal: columns that may be missed go first, then long texts are shortened in
// their middle. What the network sent (paths) reaches the terminal without control characters.

export interface Column<Row> {
  readonly title: string;
  cell(row: Row): string;
  readonly align?: 'right';
  /** May be shortened down to this many characters. */
  readonly atLeast?: number;
  /** Left out when the table would be too wide with it; the last such column goes first. */
  readonly optional?: true;
}

const GAP = '  ';

/** Lines without a line end. `width`: of the terminal, characters; Infinity when it is none. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], width: number): string {
  const cells = columns.map((column) => ({
    column,
    texts: [column.title, ...rows.map((row) => printable(column.cell(row)))],
  }));
  let shown = cells.map(({ column, texts }) => ({
    column,
    texts,
    width: Math.max(...texts.map((text) => text.length)),
  }));
  const total = () => shown.reduce((sum, c) => sum + c.width, 0) + GAP.length * (shown.length - 1);

  while (total() > width) {
    const last = shown.findLast(({ column }) => column.optional);
    if (last === undefined) break;
    shown = shown.filter((c) => c !== last);
  }
  while (total() > width) {
    const room = (c: (typeof shown)[number]) => c.width - (c.column.atLeast ?? Infinity);
    const widest = shown.reduce((a, b) => (room(b) > room(a) ? b : a));
    if (room(widest) <= 0) break;
    widest.width--;
  }

  return Array.from({ length: rows.length + 1 }, (_, line) =>
    shown
      .map((c) => pad(shorten(c.texts[line] ?? '', c.width), c.width, c.column.align))
      .join(GAP)
      .trimEnd(),
  ).join('\n');
}

/** `abcdefgh` in 5 is `ab…gh`: both ends of a path or an address tell more than its middle. */
export function shorten(text: string, width: number): string {
  if (text.length <= width) return text;
  const head = Math.floor((width - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (width - 1 - head))}`;
}

/** C0, DEL and C1 control characters could move the cursor or change colours. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?');
}

function pad(text: string, width: number, align: 'right' | undefined): string {
  return align === 'right' ? text.padStart(width) : text.padEnd(width);
}
