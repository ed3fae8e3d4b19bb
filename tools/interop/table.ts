// SPDX-License-Identifier: Apache-2.0
// The matrix as rows and columns: a row for each peer and setting, a column for each transport.
import { type Cell, ROLES, type Role, type Transport, TRANSPORTS } from './cell.js';
import type { Ran } from './matrix.js';
import type { Result } from './result.js';

const WORDS: Readonly<Record<Result['is'], string>> = {
  ...{ ok: 'ok', failed: 'FAILED', excluded: 'excluded', 'not installed': 'missing' },
};
export const NO_CELL = '-';
/** So that a terminal of 100 columns has room for the widest row. */
const SHORT: Partial<Record<Transport, string>> = { multicast: 'mcast' };
export const HEADS = ['peer', 'engine', 'ip', 'login', ...TRANSPORTS.map((name) => SHORT[name] ?? name)];
const TITLES: Readonly<Record<Role, string>> = {
  ...{ viewer: 'Viewers', source: 'Sources', publisher: 'Publishers' },
};

export interface Section {
  readonly title: string;
  /** As HEADS. */
  readonly rows: readonly (readonly string[])[];
}

/** Roles without a cell are left out. */
export function sections(ran: readonly Ran[]): Section[] {
  return ROLES.map((role) => ({
    title: TITLES[role],
    rows: rowsOf(ran.filter(({ cell }) => cell.role === role)),
  })).filter(({ rows }) => rows.length > 0);
}

function rowsOf(ran: readonly Ran[]): string[][] {
  const settings = new Map<string, Ran[]>();
  for (const each of ran) {
    const key = settingOf(each.cell).join(' ');
    settings.set(key, [...(settings.get(key) ?? []), each]);
  }
  return [...settings.values()].map((row) => [
    ...settingOf(row[0]!.cell),
    ...TRANSPORTS.map((transport) => {
      const found = row.find(({ cell }) => cell.transport === transport);
      return found ? wordFor(found.result) : NO_CELL;
    }),
  ]);
}

const wordFor = (result: Result): string =>
  result.is === 'ok' && result.again ? 'ok again' : WORDS[result.is];

const settingOf = ({ peer, engine, ip, login }: Cell): string[] => [
  ...[peer, engine, ip],
  login === 'none' ? NO_CELL : login,
];

/** Columns as wide as what is in them. */
export function plainTable(rows: readonly (readonly string[])[]): string {
  const widths = HEADS.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]!.length)));
  return [HEADS, ...rows]
    .map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function tally(ran: readonly Ran[]): Readonly<Record<Result['is'], number>> {
  const count = (is: Result['is']) => ran.filter(({ result }) => result.is === is).length;
  return {
    ...{ ok: count('ok'), failed: count('failed') },
    ...{ excluded: count('excluded'), 'not installed': count('not installed') },
  };
}

/** `57 cells: 54 ok, 0 failed, 3 excluded, 0 not installed` */
export function summary(ran: readonly Ran[]): string {
  const again = ran.filter(({ result }) => result.is === 'ok' && result.again).length;
  const parts = Object.entries(tally(ran)).map(([is, count]) =>
    is === 'ok' && again > 0 ? `${count} ok (${again} of them the second time)` : `${count} ${is}`,
  );
  return `${ran.length} cells: ${parts.join(', ')}`;
}
