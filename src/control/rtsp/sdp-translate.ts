// SPDX-License-Identifier: Apache-2.0
// A server's session description as the proxy's viewers must see it. Line by line, because a parser and its writer
// reorder attributes and lose what they do not know; every byte that is not named here stays.

import { escaped, isAbsoluteUri } from './url.js';

export interface SdpTranslation {
  /** Our address as the viewer knows it. */
  readonly address: string;
  readonly family: 4 | 6;
  /** An absolute a=control URL of the server as one of ours; relative ones and `*` need no change but escapes. */
  readonly rewriteControl: (url: string) => string;
}

/** `text`: the body in latin1, so that its bytes survive. */
export function translateSdp(text: string, translation: SdpTranslation): string {
  // The capturing group keeps the line endings, at the odd indexes.
  const parts = withoutSourceFilters(text).split(/(\r\n|\r|\n)/);
  return parts.map((part, index) => (index % 2 === 0 ? translateLine(part, translation) : part)).join('');
}

/** Whom the source lets its own receivers listen to (RFC 4570) is not whom ours hear: a player would filter us out. */
function withoutSourceFilters(text: string): string {
  return text.replace(/^a=source-filter:[^\r\n]*(?:\r\n|\r|\n|$)/gm, '');
}

function translateLine(line: string, { address, family, rewriteControl }: SdpTranslation): string {
  const network = `IP${family} ${address}`;
  switch (line.slice(0, 2)) {
    case 'o=': // <user> <id> <version> <nettype> <addrtype> <address>
      return line.replace(
        /^((?:o=\S+)(?:[ \t]+\S+){3}[ \t]+)IP[46][ \t]+\S+/,
        (_, kept: string) => kept + network,
      );
    case 'c=':
      return line.replace(
        /^(c=\S+[ \t]+)IP[46][ \t]+(\S+)/,
        (_, kept: string, host: string) => kept + (isUnspecified(host) ? unspecified(family) : network),
      );
    case 'm=': // <media> <port>[/<ports>] ...; the port is negotiated by SETUP
      return line.replace(/^(m=\S+[ \t]+)\d+/, (_, kept: string) => `${kept}0`);
    case 'a=':
      return line.replace(
        /^(a=control:[ \t]*)(\S(?:.*\S)?)/,
        (_, kept: string, text: string) => kept + translateControl(escaped(text), rewriteControl),
      );
    default:
      return line;
  }
}

function translateControl(url: string, rewrite: SdpTranslation['rewriteControl']): string {
  return isAbsoluteUri(url) ? rewrite(url) : url;
}

/** "Ask in SETUP" (RFC 2326 C.1.7). A multicast address is replaced: ours are told in the answer to SETUP. */
function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** In the viewer's family: rtspsrc opens its sockets for the one that stands here. */
function unspecified(family: 4 | 6): string {
  return family === 6 ? 'IP6 ::' : 'IP4 0.0.0.0';
}
