// SPDX-License-Identifier: Apache-2.0
// A message or an interleaved frame as bytes (RFC 2326 chapters 4 to 7, 10.12). Lines always end with CRLF.

import type { InterleavedFrame, RtspMessage } from './message.js';
import { reasonPhrase } from './status.js';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NOT_TEXT = /[^\t\x20-\x7e\x80-\xff]/;
const NOT_URI = /[^\x21-\x7e\x80-\xff]/;
const MAX_FRAME = 65_535;

/**
 * Content-Length is the body's length and stands there only where a body does: without it the length is zero
 * (RFC 2326 4.4), and some clients look for an entity as soon as they see the field. One among `headers` is ignored.
 * @throws TypeError where a part would end its line early (response splitting) or is not latin1 text.
 */
export function serialize(message: RtspMessage): Buffer {
  let head = `${startLine(message)}\r\n`;
  for (const [name, value] of message.headers) {
    if (!TOKEN.test(name)) throw new TypeError(`not a header field's name: ${JSON.stringify(name)}`);
    if (NOT_TEXT.test(value))
      throw new TypeError(`not a header field's value: ${name}: ${JSON.stringify(value)}`);
    if (name.toLowerCase() !== 'content-length') head += `${name}: ${value}\r\n`;
  }
  if (message.body.length > 0) head += `Content-Length: ${message.body.length}\r\n`;
  return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), message.body]);
}

function startLine(message: RtspMessage): string {
  if (message.kind === 'request') {
    const { method, uri } = message;
    if (!TOKEN.test(method)) throw new TypeError(`not a method: ${JSON.stringify(method)}`);
    if (uri === '' || NOT_URI.test(uri)) throw new TypeError(`not a URI: ${JSON.stringify(uri)}`);
    return `${method} ${uri} RTSP/1.0`;
  }
  const { status, reason } = message;
  if (!Number.isInteger(status) || status < 100 || status > 599)
    throw new TypeError(`not a status: ${status}`);
  if (NOT_TEXT.test(reason)) throw new TypeError(`not a reason phrase: ${JSON.stringify(reason)}`);
  return `RTSP/1.0 ${status} ${reason || reasonPhrase(status)}`;
}

/** @throws RangeError for a channel or a length that the frame's header has no room for. */
export function serializeFrame(frame: InterleavedFrame): Buffer {
  const { channel, payload } = frame;
  if (payload.length > MAX_FRAME) throw new RangeError(`a frame of ${payload.length} bytes`);
  const header = Buffer.from([0x24, 0, 0, 0]);
  header.writeUInt8(channel, 1);
  header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}
