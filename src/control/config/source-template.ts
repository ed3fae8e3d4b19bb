// SPDX-License-Identifier: Apache-2.0
// The URL of a path's source, in whose path and query `$1` to `$9` stand for what the stars of the pattern matched, `$path`
// for the whole path that the viewer asked for, and `$query` for its `?` with what is behind, if there is one. Server and
// credentials are fixed: a viewer must not choose who is asked.

import { RtspError } from '../rtsp/errors.js';
import { credentialsOf, parseRtspUrl, type RtspUrl } from '../rtsp/url.js';

export interface SourceTemplate {
  /** Whom to ask, credentials included. */
  readonly url: RtspUrl;
  /** Path and query have variables in them. */
  readonly variable: boolean;
}

/** In the place of a URL: a publisher brings it (RFC 2326 10.3, 10.11), nobody is asked for it. */
export const PUBLISH = 'publish';

export type PathSource = SourceTemplate | typeof PUBLISH;

/** What a viewer asked for. */
export interface Asked {
  /** Without the leading `/`. */
  readonly path: string;
  readonly query: string | undefined;
  /** What each star stands for. */
  readonly stars: readonly string[];
}

const VARIABLE = /\$(path|query|[1-9])/g;

/**
 * `stars`: how many the pattern has.
 * @throws RtspError that says in one sentence what is wrong.
 */
export function parseSourceTemplate(text: string, stars: number): SourceTemplate {
  const url = parseRtspUrl(text);
  if (url.scheme === 'rtspu') throw new RtspError(400, 'Only rtsp:// and rtsps:// sources are supported.');
  credentialsOf(url);
  const variables = [...pathAndQuery(url).matchAll(VARIABLE)];
  for (const [variable, name] of variables)
    if (Number(name) > stars) throw new RtspError(400, `There is no star that ${variable} could stand for.`);
  return { url, variable: variables.length > 0 };
}

/** Whether another query is another resource. */
export function usesQuery({ url, variable }: SourceTemplate): boolean {
  return variable && pathAndQuery(url).includes('$query');
}

/** The URL to ask. The credentials of the template are in it. */
export function fillIn({ url, variable }: SourceTemplate, { path, query, stars }: Asked): RtspUrl {
  if (!variable) return url;
  const text = pathAndQuery(url).replaceAll(VARIABLE, (_, name: string) => {
    if (name === 'path') return path;
    if (name === 'query') return query === undefined ? '' : `?${query}`;
    return stars[Number(name) - 1] ?? '';
  });
  const at = text.indexOf('?');
  return at < 0
    ? { ...url, path: text, query: undefined }
    : { ...url, path: text.slice(0, at), query: text.slice(at + 1) };
}

function pathAndQuery({ path, query }: RtspUrl): string {
  return query === undefined ? path : `${path}?${query}`;
}
