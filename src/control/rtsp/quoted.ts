// SPDX-License-Identifier: Apache-2.0
// Lists in header fields whose items may be quoted strings (RFC 2068 2.1, 2.2). Quoted pairs (`\x`) are not undone:
// no RTSP peer sends them in the fields that are read here.

/** Splits at `separator` outside of quotes; trims; leaves empty items out. An open quote ends with the text. */
export function splitOutsideQuotes(text: string, separator: ',' | ';'): string[] {
  const items: string[] = [];
  let begin = 0;
  let quoted = false;
  for (let i = 0; i <= text.length; i++) {
    if (text[i] === '"') quoted = !quoted;
    if (i < text.length && (quoted || text[i] !== separator)) continue;
    const item = text.slice(begin, i).trim();
    if (item) items.push(item);
    begin = i + 1;
  }
  return items;
}

/** `"text"` without its quotes. */
export function unquote(text: string): string {
  return text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
}

/** `name=value` apart, name in lower case, value unquoted, undefined where there is no `=`. */
export function splitParameter(text: string): [name: string, value: string | undefined] {
  const equals = text.indexOf('=');
  if (equals < 0) return [text.trim().toLowerCase(), undefined];
  return [text.slice(0, equals).trim().toLowerCase(), unquote(text.slice(equals + 1).trim())];
}
