// SPDX-License-Identifier: Apache-2.0
// Plain text tables that fit the terminal: columns that are hardly missed go first, then long texts are shortened in
// their middle, then columns go that are missed. What the network sent (paths) reaches the terminal without control
// characters.

export interface Column<Row> {
  readonly title: string;
  cell(row: Row): string;
  readonly align?: 'right';
  /** May be shortened down to this many characters. */
  readonly atLeast?: number;
  /** Left out when the table would be too wide with it, before any text is shortened; the lowest number goes first. */
  readonly optional?: number;
  /** Left out when shortening texts is not enough; the lowest number goes first. */
  readonly lastly?: number;
}

const GAP = '  ';

/** A column with its title and cells, and how many characters it gets. */
interface Measured<Row> {
  readonly column: Column<Row>;
  readonly texts: readonly string[];
  width: number;
}

/** Lines without a line end. `width`: of the terminal, characters; Infinity when it is none. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], width: number): string {
  const all = columns.map((column): Measured<Row> => {
    const texts = [column.title, ...rows.map((row) => printable(column.cell(row)))];
    return { column, texts, width: Math.max(...texts.map((text) => text.length)) };
  });
  const kept = leaveOut(
    all,
    ({ optional }) => optional,
    (shown) => total(shown, (c) => c.width) > width,
  );
  const shown = leaveOut(
    kept,
    ({ lastly }) => lastly,
    (shown) => total(shown, least) > width,
  );
  shortenLongest(shown, width);

  return Array.from({ length: rows.length + 1 }, (_, line) =>
    shown
      .map((c) => pad(shorten(c.texts[line] ?? '', c.width), c.width, c.column.align))
      .join(GAP)
      .trimEnd(),
  ).join('\n');
}

/** Those that stay: one after the other goes by its rank, as long as it is too wide. */
function leaveOut<Row>(
  all: readonly Measured<Row>[],
  rank: (column: Column<Row>) => number | undefined,
  tooWide: (shown: readonly Measured<Row>[]) => boolean,
): readonly Measured<Row>[] {
  const ranked = all.flatMap((c) => {
    const at = rank(c.column);
    return at === undefined ? [] : [{ c, at }];
  });
  let shown = all;
  for (const { c } of ranked.sort((a, b) => a.at - b.at))
    if (tooWide(shown)) shown = shown.filter((other) => other !== c);
  return shown;
}

function shortenLongest<Row>(shown: readonly Measured<Row>[], width: number): void {
  const room = (c: Measured<Row>) => c.width - least(c);
  while (total(shown, (c) => c.width) > width) {
    const longest = shown.reduce((a, b) => (room(b) > room(a) ? b : a));
    if (room(longest) <= 0) break;
    longest.width--;
  }
}

function total<Row>(shown: readonly Measured<Row>[], of: (column: Measured<Row>) => number): number {
  return shown.reduce((sum, c) => sum + of(c), 0) + GAP.length * (shown.length - 1);
}

function least<Row>({ column, width }: Measured<Row>): number {
  return Math.min(width, column.atLeast ?? Infinity);
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
