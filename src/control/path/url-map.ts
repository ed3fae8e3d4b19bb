// SPDX-License-Identifier: Apache-2.0
// The URLs that viewers name us by.

import { RtspError } from '../rtsp/errors.js';
import {
  formatRtspUrl,
  isAbsoluteUri,
  parsePlace,
  parseRtspUrl,
  withoutCredentials,
  type RtspUrl,
} from '../rtsp/url.js';
import { endpointText } from '../state/address.js';
import type { ViewerLink } from './ports.js';

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

/** The URL of a place (url.ts, placeOf) of ours, as a viewer that asked for `url` names it. */
export function atPlace(url: RtspUrl, place: string): string {
  return formatRtspUrl({ ...withoutCredentials(url), ...parsePlace(place) });
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
