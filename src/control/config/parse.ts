// SPDX-License-Identifier: Apache-2.0
// The file of `--config` as a table of paths, or all that is wrong with it.

import { RtspError } from '../rtsp/errors.js';
import { flag, list, text, type Kind } from './kinds.js';
import {
  DEFAULTS,
  FIELDS,
  type FieldName,
  type PathConfig,
  type PathSettings,
  type PathSort,
} from './path-config.js';
import { findRoute, type PathTable } from './path-table.js';
import { climbs } from './pattern.js';
import { readYaml } from './read-yaml.js';
import { parseSourceTemplate, PUBLISH, type PathSource, type SourceTemplate } from './source-template.js';
import { Faults, type Entry, type Fault, type Value } from './value.js';

export type Parsed = { readonly table: PathTable } | { readonly faults: readonly Fault[] };

/** The place of a file of authorities that the configuration names. @throws Error, one sentence, when it is none. */
export type FindAuthority = (name: string) => string;

type Entries = ReadonlyMap<string, Entry>;

const TOP = ['paths', 'defaults', 'root', 'mptcp'];
const MOST_STARS = 9;
const SOURCE_IS = { pulled: 'a URL', secured: 'rtsps://', published: 'publish' } as const;

/** `find`: opens what is named, which is not done here; without it such a name is its own place. */
export function parseConfig(yaml: string, find: FindAuthority = (name) => name): Parsed {
  const faults = new Faults();
  const top = readYaml(yaml, faults);
  const table = top && readTop(top, faults, find);
  if (!top && faults.all.length === 0) faults.add(1, 'the file says nothing: it must have paths');
  return table && faults.all.length === 0 ? { table } : { faults: faults.all };
}

function readTop(top: Value, faults: Faults, find: FindAuthority): PathTable | undefined {
  const entries = entriesOf(top, 'the file', faults);
  if (!entries) return undefined;
  refuseUnknown(entries, TOP, faults);
  const given = entries.get('defaults');
  const defaults = given ? entriesOf(given.value, 'defaults', faults) : undefined;
  if (defaults) refuseUnknown(defaults, Object.keys(FIELDS), faults);
  const settings = { ...DEFAULTS, ...readSettings(defaults ?? new Map(), faults, find) };
  const found = entries.get('paths');
  const named = found ? entriesOf(found.value, 'paths', faults) : faults.add(top.line, 'paths are missing');
  if (!named) return undefined;
  if (named.size === 0) return faults.add(found!.line, 'paths must name at least one');
  const paths = [...named].flatMap(([name, entry]) => readPath(name, entry, settings, faults, find) ?? []);
  const mptcp = entries.get('mptcp');
  const table = mptcp ? { paths, mptcp: flag(mptcp.value, 'mptcp', faults) } : { paths };
  return withRoot(table, entries.get('root'), faults);
}

function readPath(
  name: string,
  { line, value }: Entry,
  defaults: PathSettings,
  faults: Faults,
  find: FindAuthority,
): PathConfig | undefined {
  const wrong = wrongName(name);
  if (wrong !== undefined) faults.add(line, `path ${name}: ${wrong}`);
  const entries = entriesOf(value, `path ${name}`, faults);
  if (!entries) return undefined;
  refuseUnknown(entries, ['source', 'fallbacks', ...Object.keys(FIELDS)], faults);
  const settings = readSettings(entries, faults, find);
  const source = entries.get('source');
  if (!source) return faults.add(line, `path ${name}: its source is missing`);
  const from = readSource(name, source, faults);
  if (from === undefined) return undefined;
  refuseUseless(entries, from, faults);
  const given = entries.get('fallbacks');
  const fallbacks = given && readFallbacks(name, from, given, faults);
  const config: PathConfig = {
    ...{ ...defaults, ...settings, name },
    source: withLogin(from, { ...defaults, ...settings }, source.line, faults),
    ...(fallbacks ? { fallbacks } : {}),
  };
  if (!config.onDemand && from !== PUBLISH && starsOf(name) > 0)
    return faults.add(
      entries.get('onDemand')?.line ?? line,
      `path ${name}: a pattern is always on demand (onDemand: true), for it names no path in particular`,
    );
  return config;
}

function readSource(name: string, { value }: Entry, faults: Faults): PathSource | undefined {
  const isPublished = value.kind === 'scalar' && value.value === PUBLISH;
  return isPublished ? PUBLISH : readUrl(name, 'source', value, faults);
}

function readUrl(name: string, key: string, value: Value, faults: Faults): SourceTemplate | undefined {
  const url = text(value, key, faults);
  if (url === undefined) return undefined;
  try {
    return parseSourceTemplate(url, starsOf(name));
  } catch (error) {
    if (!(error instanceof RtspError)) throw error;
    return faults.add(value.line, `${key}: ${error.message.replace(/\.$/, '')}`);
  }
}

/** With name and password that stand beside the URL in it: all that is made of it has them then. */
function withLogin(
  source: PathSource,
  { sourceUser, sourcePassword }: PathSettings,
  line: number,
  faults: Faults,
): PathSource {
  if (source === PUBLISH || (sourceUser === undefined && sourcePassword === undefined)) return source;
  if (sourceUser === undefined) faults.add(line, 'sourcePassword is given without sourceUser');
  if (source.url.user !== undefined)
    faults.add(line, 'the source has a name in its URL, and sourceUser or sourcePassword beside it');
  const [user, password] = [sourceUser ?? '', sourcePassword ?? ''].map(encodeURIComponent);
  return { ...source, url: { ...source.url, user, password } };
}

/** Of the same scheme: whether media is encrypted is not left to chance. */
function readFallbacks(
  name: string,
  source: PathSource,
  { line, value }: Entry,
  faults: Faults,
): readonly SourceTemplate[] | undefined {
  if (source === PUBLISH) return faults.add(line, 'fallbacks is for paths whose source is a URL');
  const template: Kind<SourceTemplate> = (value, key, faults) => {
    const found = readUrl(name, key, value, faults);
    if (!found || found.url.scheme === source.url.scheme) return found;
    return faults.add(value.line, `${key} must be ${source.url.scheme}:// as the source is`);
  };
  return list(template)(value, 'fallbacks', faults);
}

/** A key that would have no effect on this sort of path. */
function refuseUseless(entries: Entries, source: PathSource, faults: Faults): void {
  for (const [key, { line }] of entries) {
    const only = FIELDS[key as FieldName]?.only;
    if (only !== undefined && !sortsOf(source).includes(only))
      faults.add(line, `${key} is for paths whose source is ${SOURCE_IS[only]}`);
  }
}

function sortsOf(source: PathSource): readonly PathSort[] {
  if (source === PUBLISH) return ['published'];
  return source.url.scheme === 'rtsps' ? ['pulled', 'secured'] : ['pulled'];
}

/** Only what is given. */
function readSettings(entries: Entries, faults: Faults, find: FindAuthority): Partial<PathSettings> {
  const read = Object.entries(FIELDS).flatMap(([name, { kind }]) => {
    const entry = entries.get(name as FieldName);
    const value = entry && (kind as Kind<unknown>)(entry.value, name, faults);
    return value === undefined ? [] : [[name, value] as const];
  });
  const settings: Partial<PathSettings> = Object.fromEntries(read);
  const { sourceCa } = settings;
  if (sourceCa === undefined) return settings;
  try {
    return { ...settings, sourceCa: find(sourceCa) };
  } catch (error) {
    faults.add(entries.get('sourceCa')!.line, `sourceCa: ${(error as Error).message}`);
    return settings;
  }
}

function wrongName(name: string): string | undefined {
  if (name.startsWith('~')) return 'there are no regular expressions here: * stands for anything';
  if (!/^[\x21-\x7e]+$/.test(name) || name.includes('?'))
    return 'a name is made of printable ASCII without blanks and question marks';
  if (name.startsWith('/') || name.endsWith('/')) return 'a name neither begins nor ends with a slash';
  if (climbs(name)) return 'a name has no . or .. between slashes';
  return starsOf(name) > MOST_STARS ? `there are more than ${MOST_STARS} stars` : undefined;
}

function starsOf(name: string): number {
  return name.split('*').length - 1;
}

function withRoot(table: PathTable, entry: Entry | undefined, faults: Faults): PathTable | undefined {
  if (!entry) return table;
  const name = text(entry.value, 'root', faults);
  if (name === undefined) return undefined;
  const root = { path: `/${name.replace(/^\//, '')}`, query: undefined };
  if (!findRoute(table, root)) return faults.add(entry.line, `root: there is no path ${name}`);
  return { ...table, root };
}

function entriesOf(value: Value, what: string, faults: Faults): Entries | undefined {
  return value.kind === 'map' ? value.entries : faults.add(value.line, `${what} must be keys with values`);
}

function refuseUnknown(entries: Entries, known: readonly string[], faults: Faults): void {
  for (const [key, { line }] of entries)
    if (!known.includes(key)) faults.add(line, `${key} is not known here: there are ${known.join(', ')}`);
}
