// SPDX-License-Identifier: Apache-2.0
// RTSP URLs (RFC 2326 3.2), kept as text as far as possible: servers compare them byte by byte.

import { isIPv6 } from 'node:net';

import { headerText } from './digest.js';
import { RtspError } from './errors.js';

export interface RtspUrl {
  readonly scheme: 'rtsp' | 'rtsps' | 'rtspu';
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** A name or an address; IPv6 without brackets, a zone as `%eth0`. */
  readonly host: string;
  readonly port: number;
  /** All from the first `/` behind the authority up to the first `?`, as it came; may be empty. */
  readonly path: string;
  /** All behind the first `?`, as it came: servers hang `/trackID=1` on it, so it may hold `/` and further `?`. */
  readonly query: string | undefined;
}

export type Place = Pick<RtspUrl, 'path' | 'query'>;

export const DEFAULT_RTSP_PORT = 554;
const DEFAULT_PORTS = { rtsp: DEFAULT_RTSP_PORT, rtspu: DEFAULT_RTSP_PORT, rtsps: 322 } as const;
const MAX_URL = 4096;
const SHAPE = /^(rtsp[su]?):\/\/([^/?]*)([^?]*)(?:\?(.*))?$/i;
const HOST_NAME = /^[A-Za-z0-9._~-]{1,255}$/;

/** @throws RtspError 400, or 414 above 4096 characters. */
export function parseRtspUrl(text: string): RtspUrl {
  if (text.length > MAX_URL) throw new RtspError(414, `The URL is longer than ${MAX_URL} characters.`);
  const parts = /[^\x21-\x7e\x80-\xff]/.test(text) ? null : SHAPE.exec(text);
  if (!parts) throw new RtspError(400, 'The URL is not rtsp://HOST[:PORT][/PATH].');
  const [, scheme = '', authority = '', path = '', query] = parts;
  const at = authority.lastIndexOf('@'); // a password may hold `@`
  const name = scheme.toLowerCase() as RtspUrl['scheme'];
  return {
    scheme: name,
    ...parseCredentials(at < 0 ? undefined : authority.slice(0, at)),
    ...parseHostPort(authority.slice(at + 1), DEFAULT_PORTS[name]),
    path,
    query,
  };
}

function parseCredentials(text: string | undefined): Pick<RtspUrl, 'user' | 'password'> {
  if (text === undefined) return { user: undefined, password: undefined };
  const colon = text.indexOf(':');
  return colon < 0
    ? { user: text, password: undefined }
    : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function parseHostPort(text: string, defaultPort: number): Pick<RtspUrl, 'host' | 'port'> {
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(text);
  const v6 = parts?.[1]?.replace(/%25/, '%'); // RFC 6874
  const host = v6 ?? parts?.[2] ?? '';
  if (v6 === undefined ? !HOST_NAME.test(host) : !isIPv6(host))
    throw new RtspError(400, 'The URL has no host name or address that can be read.');
  const port = parts?.[3] ? Number(parts[3]) : defaultPort;
  if (port < 1 || port > 65_535) throw new RtspError(400, 'The port of the URL is not between 1 and 65535.');
  return { host, port };
}

/** The default port is left out. */
export function formatRtspUrl(url: RtspUrl): string {
  const { scheme, user, password, host, port, path, query } = url;
  const credentials = user === undefined ? '' : `${user}${password === undefined ? '' : `:${password}`}@`;
  const address = host.includes(':') ? `[${host.replace('%', '%25')}]` : host;
  const suffix = port === DEFAULT_PORTS[scheme] ? '' : `:${port}`;
  return `${scheme}://${credentials}${address}${suffix}${path}${query === undefined ? '' : `?${query}`}`;
}

/**
 * User name and password as header text, `%41` undone (RFC 3986 2.1); undefined: the URL has none.
 * @throws RtspError 400 where they could not stand in a header.
 */
export function credentialsOf({
  user,
  password = '',
}: RtspUrl): { username: string; password: string } | undefined {
  if (user === undefined) return undefined;
  const plain = (text: string) =>
    headerText(text).replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  const credentials = { username: plain(user), password: plain(password) };
  if (/[\x00-\x1f\x7f]/.test(credentials.username + credentials.password))
    throw new RtspError(400, 'The user name or password of the URL has control characters in it.');
  if (credentials.username.includes(':'))
    throw new RtspError(400, 'The user name of the URL has a colon in it.');
  return credentials;
}

export function withoutCredentials(url: RtspUrl): RtspUrl {
  return { ...url, user: undefined, password: undefined };
}

/** The same resource as seen at another server; the credentials were for the first and are dropped. */
export function withAuthority(url: RtspUrl, host: string, port: number): RtspUrl {
  return { ...withoutCredentials(url), host, port };
}

/** Whether a URI of any scheme has an authority of its own. */
export function isAbsoluteUri(uri: string): boolean {
  return /^[a-z][a-z0-9+.-]{0,31}:\/\//i.test(uri);
}

/**
 * The URL that a=control names (RFC 2326 C.1.1). `*` and an empty one mean the base itself. A relative one is hung on
 * behind a `/`, as live555, ffmpeg and GStreamer do and servers expect: RFC 1808 would replace the base's last
 * segment, and would drop its query, which many cameras need (`rtsp://host/live?channel=1/trackID=1`).
 */
export function resolveControl(base: string, control: string | undefined): string {
  if (!control || control === '*') return base;
  const uri = escaped(control);
  if (isAbsoluteUri(uri)) return uri;
  return base.endsWith('/') || uri.startsWith('/') ? base + uri : `${base}/${uri}`;
}

/** With `%20` for a blank, and so on (RFC 3986 2.1): in a request line the text as it is would end there. */
export function escaped(text: string): string {
  return text.replace(
    /[\x00-\x20\x7f]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

/** What placeOf has put together. */
export function parsePlace(place: string): Place {
  const at = place.indexOf('?');
  return at < 0
    ? { path: place, query: undefined }
    : { path: place.slice(0, at), query: place.slice(at + 1) };
}

/** Path and query, without a trailing slash, which players add and drop at will. */
export function placeOf(url: Place): string {
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
