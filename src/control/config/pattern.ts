// SPDX-License-Identifier: Apache-2.0
// Names of paths with stars in them: each star stands for at least one character, of whatever kind. No regular
// expressions, for what is matched comes from the network, and some of those can be kept busy for minutes.

/** What each star stands for, or undefined. Linear: a part that is found at its first place leaves most for the rest. */
export function matchPattern(pattern: string, path: string): string[] | undefined {
  const parts = pattern.split('*');
  const first = parts[0]!;
  if (parts.length === 1) return path === pattern ? [] : undefined;
  if (!path.startsWith(first)) return undefined;
  const stars: string[] = [];
  let at = first.length;
  for (const [index, part] of parts.slice(1).entries()) {
    const last = index === parts.length - 2;
    const next = last ? path.length - part.length : path.indexOf(part, at + 1);
    if (next <= at || !path.startsWith(part, next)) return undefined;
    stars.push(path.slice(at, next));
    at = next + part.length;
  }
  return stars;
}

/** A path that a server might take for another one, outside of what the pattern is meant to open. */
export function climbs(path: string): boolean {
  return path.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment));
}
