// SPDX-License-Identifier: Apache-2.0
// A cell of the matrix, and the file that lists them: read, checked, its lists multiplied out.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export const ROLES = ['viewer', 'source', 'publisher'] as const;
export const TRANSPORTS = ['udp', 'tcp', 'multicast', 'http', 'tls', 'http-tls'] as const;
export const ENGINES = ['xdp', 'tc', 'userspace'] as const;
export const FAMILIES = ['ipv4', 'ipv6'] as const;
export const LOGINS = ['none', 'basic', 'digest'] as const;

export type Role = (typeof ROLES)[number];
export type Transport = (typeof TRANSPORTS)[number];
export type EngineName = (typeof ENGINES)[number];
export type Family = (typeof FAMILIES)[number];
export type Login = (typeof LOGINS)[number];

/** The peer cannot do it, and shows that to somebody else than us. */
export interface Exclusion {
  /** Name of that other peer. */
  readonly against: string;
  /** What the peer says then: a regular expression, looked for in each line of its output. */
  readonly error: string;
}

export interface Cell {
  readonly role: Role;
  readonly peer: string;
  readonly transport: Transport;
  readonly engine: EngineName;
  /** Of the peer's link. */
  readonly ip: Family;
  readonly login: Login;
  readonly excluded?: Exclusion;
}

/** For people, and for --only: `viewer ffmpeg udp xdp ipv4`. */
export function nameOf({ role, peer, transport, engine, ip, login }: Cell): string {
  return [role, peer, transport, engine, ip, ...(login === 'none' ? [] : [login])].join(' ');
}

const KEYS = [...ROLES, 'transport', 'engine', 'ip', 'login', 'excluded'];

/** @throws Error with the line's number in the list and what is wrong with it */
export function readCells(file: string): Cell[] {
  const lines: unknown = parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(lines)) throw new Error(`${file} is no list`);
  const cells = lines.flatMap((line, i) => {
    try {
      return expand(line);
    } catch (error) {
      throw new Error(`${file}, entry ${i + 1}: ${(error as Error).message}`, { cause: error });
    }
  });
  const names = cells.map(nameOf);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`${file} has "${twice}" twice`);
  return cells;
}

function expand(line: unknown): Cell[] {
  if (typeof line !== 'object' || line === null) throw new Error('it is no cell');
  const given = line as Record<string, unknown>;
  const unknown = Object.keys(given).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw new Error(`${unknown} is not known here`);
  const roles = ROLES.filter((role) => role in given);
  const [role] = roles;
  if (roles.length !== 1 || role === undefined) throw new Error(`it has one of ${ROLES.join(', ')}`);
  const peer = given[role];
  if (typeof peer !== 'string') throw new Error(`${role} is the name of one peer`);
  const excluded = readExclusion(given['excluded']);
  const values = <T extends string>(key: string, known: readonly T[], fallback?: T) =>
    choices(key, given[key] ?? fallback, known);
  return values('engine', ENGINES, 'xdp').flatMap((engine) =>
    values('ip', FAMILIES, 'ipv4').flatMap((ip) =>
      values('login', LOGINS, 'none').flatMap((login) =>
        values('transport', TRANSPORTS).map((transport) => ({
          ...{ role, peer, transport, engine, ip, login },
          ...(excluded && { excluded }),
        })),
      ),
    ),
  );
}

function choices<T extends string>(key: string, given: unknown, known: readonly T[]): T[] {
  return (Array.isArray(given) ? given : [given]).map((value: unknown) => {
    const found = known.find((one) => one === value);
    if (found === undefined) throw new Error(`${key} is one or more of ${known.join(', ')}`);
    return found;
  });
}

function readExclusion(given: unknown): Exclusion | undefined {
  if (given === undefined) return undefined;
  const { against, error, ...more } = given as Record<string, unknown>;
  if (typeof against !== 'string' || typeof error !== 'string' || Object.keys(more).length > 0)
    throw new Error('excluded has "against", a peer, and "error", a regular expression');
  new RegExp(error);
  return { against, error };
}
