// SPDX-License-Identifier: Apache-2.0
// rtsp://PROXY:PORT/x/y?q <-> rtsp://SERVER:PORT/x/y?q. Path and query are the same on both sides; a path on the
// proxy's command line is what the root URL (`/`, or no path at all) stands for, and nothing else.

import { RtspError } from '../rtsp/errors.js';
import { formatRtspUrl, isAbsoluteUri, parseRtspUrl, withAuthority, type RtspUrl } from '../rtsp/url.js';
import { endpointText } from '../state/address.js';
import type { ViewerLink } from './ports.js';

/** The server as a viewer addresses it, which is us. */
export interface Authority {
  readonly scheme: RtspUrl['scheme'];
  readonly host: string;
  readonly port: number;
}

/**
 * What a viewer asked for: the URL as it names it. A path alone is taken for a path of ours.
 * @throws RtspError 400, 414
 */
export function viewerUrl(uri: string, link: ViewerLink): RtspUrl {
  if (isAbsoluteUri(uri)) {
    const url = parseRtspUrl(uri);
    // Whoever has taken TLS off in front of us does not rewrite URLs, so rtsps:// may come over either.
    if (url.scheme === 'rtspu') throw new RtspError(400, 'Only rtsp:// and rtsps:// are served here.');
    return url;
  }
  if (!uri.startsWith('/')) throw new RtspError(400, 'The URL is neither absolute nor a path.');
  const scheme = link.secure ? 'rtsps' : 'rtsp';
  return parseRtspUrl(`${scheme}://${endpointText(link.local.address, link.local.port)}${uri}`);
}

/** The URL at the source of what a viewer asked for. */
export function sourceUrl(source: RtspUrl, viewer: RtspUrl): RtspUrl {
  const isRoot = (viewer.path === '' || viewer.path === '/') && viewer.query === undefined;
  const { path, query } = isRoot ? source : viewer;
  return { ...source, path, query };
}

/** A URL of the source as that viewer must see it. One that cannot be read names nothing that a viewer could reach: undefined. */
export function translateUrl(text: string, to: Authority): string | undefined {
  try {
    return formatRtspUrl({ ...withAuthority(parseRtspUrl(text), to.host, to.port), scheme: to.scheme });
  } catch (error) {
    if (error instanceof RtspError) return undefined;
    throw error;
  }
}

/** What is the same of a URL on both sides, without a trailing slash, which players add and drop at will. */
export function placeOf(url: RtspUrl): string {
  const place = url.query === undefined ? url.path : `${url.path}?${url.query}`;
  return place.endsWith('/') ? place.slice(0, -1) : place;
}

/** placeOf of a URL's text; undefined when it cannot be read. */
export function placeOfText(text: string): string | undefined {
  try {
    return placeOf(parseRtspUrl(text));
  } catch (error) {
    if (error instanceof RtspError) return undefined;
    throw error;
  }
}

/** Without its last `/segment`, which stands in the query where there is one (url.ts, resolveControl). */
export function parentOf(url: RtspUrl): RtspUrl | undefined {
  const { path, query } = url;
  const text = query ?? path;
  const slash = text.replace(/\/$/, '').lastIndexOf('/');
  if (slash < 0) return undefined;
  const parent = text.slice(0, slash);
  return query === undefined ? { ...url, path: parent } : { ...url, query: parent };
}
