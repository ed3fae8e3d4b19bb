// SPDX-License-Identifier: Apache-2.0
// RTSP over HTTP as Apple's QuickTime began it ("Tunnelling RTSP and RTP through HTTP", 1999), from both ends.
// A GET brings the answers, a POST the requests in base64; the same x-sessioncookie says that they belong together.

import { RtspError } from './errors.js';

export interface TunnelHead {
  readonly method: 'GET' | 'POST';
  readonly cookie: string;
  /** Bytes of the head, the blank line included. */
  readonly length: number;
}

const MAX_HEAD = 8192;
const REQUEST_LINE = /^(GET|POST) [\x21-\x7e\x80-\xff]+ HTTP\/1\.[01]$/;
const COOKIE = /^x-sessioncookie[ \t]*:[ \t]*([\x21-\x7e]{1,128})[ \t]*$/im;

/** Whether a connection begins with HTTP; undefined while that cannot be told. GET_PARAMETER is RTSP. */
export function beginsWithHttp(bytes: Buffer): boolean | undefined {
  const text = bytes.toString('latin1', 0, 5);
  if (/^(?:GET |POST )/.test(text)) return true;
  return 'GET '.startsWith(text) || 'POST '.startsWith(text) ? undefined : false;
}

/**
 * The head of an HTTP request; undefined when more bytes are needed.
 * @throws RtspError with the HTTP status for the client: 400, 431
 */
export function parseTunnelHead(bytes: Buffer): TunnelHead | undefined {
  const text = bytes.toString('latin1', 0, MAX_HEAD);
  const end = /\r?\n\r?\n/.exec(text);
  if (!end) {
    if (text.length >= MAX_HEAD) throw new RtspError(431, `The header is longer than ${MAX_HEAD} bytes.`);
    return undefined;
  }
  const head = text.slice(0, end.index);
  const [line = ''] = head.split(/\r?\n/, 1);
  const method = REQUEST_LINE.exec(line)?.[1] as TunnelHead['method'] | undefined;
  if (!method) throw new RtspError(400, 'The request line is not "METHOD PATH HTTP/1.0".');
  const cookie = COOKIE.exec(head.replaceAll('\r', ''))?.[1];
  if (cookie === undefined)
    throw new RtspError(400, 'RTSP is served here, over HTTP only with an x-sessioncookie.');
  return { method, cookie, length: end.index + end[0].length };
}

/** The answer to GET; what follows is RTSP as it is, to the end of the connection. */
export const TUNNEL_OPENED =
  'HTTP/1.0 200 OK\r\nServer: rtsp-fanout\r\nConnection: close\r\nCache-Control: no-store\r\n' +
  'Pragma: no-cache\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n';

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  409: 'Conflict',
  431: 'Request Header Fields Too Large',
  503: 'Service Unavailable',
};

export function tunnelRefused(status: number, message: string): string {
  const body = `${message}\n`;
  return (
    `HTTP/1.0 ${status} ${REASONS[status] ?? 'Refused'}\r\nServer: rtsp-fanout\r\nConnection: close\r\n` +
    `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  );
}

/** Whom a client asks, and how its two requests are known to belong together. */
export interface TunnelTarget {
  /** `host:port` */
  readonly authority: string;
  /** With its query; empty: the root. */
  readonly path: string;
  readonly cookie: string;
}

/** What a client begins its connections with. Servers do not look at the length; all clients say this one. */
export function tunnelRequest(
  method: TunnelHead['method'],
  { authority, path, cookie }: TunnelTarget,
): string {
  const head = [
    `${method} ${path || '/'} HTTP/1.0`,
    `Host: ${authority}`,
    'User-Agent: rtsp-fanout',
    `x-sessioncookie: ${cookie}`,
    'Pragma: no-cache',
    'Cache-Control: no-cache',
    method === 'GET' ? 'Accept: application/x-rtsp-tunnelled' : 'Content-Type: application/x-rtsp-tunnelled',
    ...(method === 'GET' ? [] : ['Content-Length: 32767', 'Expires: Sun, 9 Jan 1972 00:00:00 GMT']),
  ];
  return `${head.join('\r\n')}\r\n\r\n`;
}

/**
 * The length of the head that answers a GET; undefined when more bytes are needed.
 * @throws RtspError 502 where it is not a 200
 */
export function parseTunnelAnswer(bytes: Buffer): number | undefined {
  const text = bytes.toString('latin1', 0, MAX_HEAD);
  const end = /\r?\n\r?\n/.exec(text);
  if (!end && text.length < MAX_HEAD) return undefined;
  const [line = ''] = text.split(/\r?\n/, 1);
  const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: .*)?$/.exec(line)?.[1];
  if (!end || status === undefined) throw new RtspError(502, 'What it answers to GET is no HTTP.');
  if (status !== '200') throw new RtspError(502, `It answers ${status} to RTSP over HTTP.`);
  return end.index + end[0].length;
}

const WHOLE = /(?:[A-Za-z0-9+/]{4})+|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=/y;

/** Decodes base64 as it comes. Each request has been encoded alone, so padding may stand anywhere between groups of four. */
export class Base64Decoder {
  #rest = ''; // less than a group

  /** @throws RtspError 400 when it is no base64 */
  decode(chunk: Buffer): Buffer {
    const text = this.#rest + chunk.toString('latin1').replace(/[\r\n\t ]+/g, '');
    const end = text.length - (text.length % 4);
    const groups = text.slice(0, end);
    const parts: Buffer[] = [];
    WHOLE.lastIndex = 0;
    while (WHOLE.lastIndex < end) {
      const part = WHOLE.exec(groups)?.[0];
      if (part === undefined) throw new RtspError(400, 'The body is not base64.');
      parts.push(Buffer.from(part, 'base64'));
    }
    this.#rest = text.slice(end);
    return Buffer.concat(parts);
  }
}
