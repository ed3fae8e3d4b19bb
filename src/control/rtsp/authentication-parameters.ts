// SPDX-License-Identifier: Apache-2.0
// How challenges and credentials are written (RFC 7235 2.1, 4.1): schemes and parameters in one list, between commas.

/** Of one field; peers send two or three. */
const MOST_CHALLENGES = 8;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The challenges of one field, each as its scheme in lower case and its parameters (RFC 7235 4.1: both have commas). */
export function schemesOf(field: string): (readonly [string, string])[] {
  const schemes: [string, string[]][] = [];
  for (const item of splitItems(field)) {
    const [scheme, rest] = splitScheme(item);
    const begins = !/^[^\s"=]+\s*=/.test(item);
    if (begins) schemes.push([scheme, rest ? [rest] : []]);
    else schemes.at(-1)?.[1].push(item);
  }
  return schemes.slice(0, MOST_CHALLENGES).map(([scheme, items]) => [scheme, items.join(',')] as const);
}

export function splitScheme(text: string): [scheme: string, rest: string] {
  const blank = text.search(/[ \t]/);
  if (blank < 0) return [text.toLowerCase(), ''];
  return [text.slice(0, blank).toLowerCase(), text.slice(blank + 1).trim()];
}

/** `name=value` pairs, names in lower case, values without quotes; the first of a name counts. */
export function parametersOf(text: string): Map<string, string> {
  const pairs: [string, string][] = [];
  for (const item of splitItems(text)) {
    const equals = item.indexOf('=');
    const name = item.slice(0, Math.max(equals, 0)).trim().toLowerCase();
    if (TOKEN.test(name)) pairs.push([name, unquote(item.slice(equals + 1).trim())]);
  }
  return new Map(pairs.reverse()); // of one name the last in a map counts
}

/** Splits at commas outside of quotes; in quotes a backslash takes the next character as it is (RFC 7230 3.2.6). */
function splitItems(text: string): string[] {
  const items: string[] = [];
  let begin = 0;
  let quoted = false;
  for (let i = 0; i <= text.length; i++) {
    if (quoted && text[i] === '\\') i++;
    else if (text[i] === '"') quoted = !quoted;
    if (i < text.length && (quoted || text[i] !== ',')) continue;
    const item = text.slice(begin, i).trim();
    if (item) items.push(item);
    begin = i + 1;
  }
  return items;
}

export function quoteText(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

function unquote(text: string): string {
  return /^".*"$/s.test(text) ? text.slice(1, -1).replace(/\\(.)/gs, '$1') : text;
}
