// SPDX-License-Identifier: Apache-2.0
// The head of a message, start line and header fields, out of its text (RFC 2326 chapters 4 to 7, RFC 2068 2.1, 4.2).
// Reads on after a fault: where the body ends and which CSeq to answer are wanted of a broken head, too.

import { RtspError } from './errors.js';
import { Headers } from './message.js';

export interface HeadLimits {
  /** Bytes of the start line. */
  readonly startLine: number;
  /** Bytes of one header field, folding undone. */
  readonly headerLine: number;
  /** Header fields. */
  readonly headerCount: number;
}

export type StartLine =
  | { readonly kind: 'request'; readonly method: string; readonly uri: string }
  | { readonly kind: 'response'; readonly status: number; readonly reason: string };

export interface Head {
  /** Undefined when `error` is set. */
  readonly start: StartLine | undefined;
  readonly headers: Headers;
  /** Bytes that follow the head; undefined when that cannot be known (then `error` is set). */
  readonly bodyLength: number | undefined;
  /** The first thing that is wrong with this head. */
  readonly error: RtspError | undefined;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
const MAX_LENGTH_DIGITS = 15; // below Number.MAX_SAFE_INTEGER

/** `text`: the lines of the head in latin1, the blank line that ends it included. Never throws. */
export function parseHead(text: string, limits: HeadLimits): Head {
  const isResponse = text.startsWith('RTSP/');
  const cseq = peekCSeq(text);
  let error: RtspError | undefined;
  const attempt = <T>(step: () => T): T | undefined => {
    try {
      return step();
    } catch (fault) {
      if (!(fault instanceof RtspError)) throw fault;
      error ??= new RtspError(fault.status, fault.message, { cseq, isResponse });
      return undefined;
    }
  };

  const [first = '', ...rest] = splitLines(text);
  const start = attempt(() => parseStartLine(first, isResponse, limits));
  const lines = attempt(() => unfold(rest)) ?? rest;
  if (lines.length > limits.headerCount)
    attempt(() => fail(400, `The message has more than ${limits.headerCount} header fields.`));
  const headers = new Headers();
  let lengthHidden = false; // in a line that is no field, but may have been meant to tell the length
  for (const line of lines) {
    const field = attempt(() => parseField(line, limits));
    if (field) headers.append(...field);
    else lengthHidden ||= /content-length|transfer-encoding/i.test(line);
  }

  const bodyLength = attempt(() => readBodyLength(start, headers));
  const unsure = bodyLength === undefined || lengthHidden;
  if (error && unsure)
    error = new RtspError(error.status, error.message, { cseq, isResponse, framingIntact: false });
  return { start: error ? undefined : start, headers, bodyLength: unsure ? undefined : bodyLength, error };
}

/** The CSeq of a head that may be cut off or broken: digits, or undefined. The spelling `Cseq:` is VLC's. */
export function peekCSeq(text: string): string | undefined {
  return /^cseq[ \t]*:[ \t]*(\d{1,10})[ \t]*\r?$/im.exec(text)?.[1];
}

function fail(status: number, message: string): never {
  throw new RtspError(status, message);
}

/** Each line ends with CRLF or with LF alone; the blank one is left out. */
function splitLines(text: string): string[] {
  const lines = text.split('\n');
  return lines.slice(0, -2).map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
}

function parseStartLine(line: string, isResponse: boolean, limits: HeadLimits): StartLine {
  if (line.length > limits.startLine)
    fail(isResponse ? 400 : 414, `The start line is longer than ${limits.startLine} bytes.`);
  if (CONTROL.test(line)) fail(400, 'The start line has control characters in it.');
  return isResponse ? parseStatusLine(line) : parseRequestLine(line);
}

/** RFC 2326 6.1. The version is looked at before the rest: what another version puts there is not ours to judge. */
function parseRequestLine(line: string): StartLine {
  const version = /[ \t]([A-Za-z]+\/\d+(?:\.\d+)?)[ \t]*$/.exec(line);
  if (!version) fail(400, 'The request line is not "METHOD URI RTSP/1.0".');
  if (version[1] !== 'RTSP/1.0') fail(505, `${version[1]} is not spoken here, only RTSP/1.0 is.`);
  const words = line.slice(0, version.index).split(/[ \t]+/);
  const [method, uri] = words;
  if (words.length !== 2 || !method || !uri || !TOKEN.test(method))
    fail(400, 'The request line is not "METHOD URI RTSP/1.0".');
  return { kind: 'request', method, uri };
}

/** RFC 2326 7.1. Some servers send neither a reason nor the blank before it. */
function parseStatusLine(line: string): StartLine {
  const parts = /^(RTSP\/\d+\.\d+)[ \t]+([1-5]\d\d)(?:[ \t]+(.*))?$/.exec(line);
  if (!parts) fail(400, 'The status line is not "RTSP/1.0 CODE REASON".');
  if (parts[1] !== 'RTSP/1.0') fail(505, `${parts[1]} is not spoken here, only RTSP/1.0 is.`);
  return { kind: 'response', status: Number(parts[2]), reason: trimBlanks(parts[3] ?? '') };
}

/** A line that begins with a blank belongs to the field before it (RFC 2068 4.2). */
function unfold(lines: readonly string[]): string[] {
  const fields: string[][] = [];
  for (const line of lines) {
    if (!/^[ \t]/.test(line)) fields.push([line]);
    else if (fields.length > 0) fields.at(-1)!.push(trimBlanks(line));
    else fail(400, 'The first header field begins with a blank.');
  }
  return fields.map((parts) => parts.join(' '));
}

function parseField(line: string, limits: HeadLimits): [name: string, value: string] {
  if (line.length > limits.headerLine) fail(400, `A header field is longer than ${limits.headerLine} bytes.`);
  if (CONTROL.test(line)) fail(400, 'A header field has control characters in it.');
  const colon = line.indexOf(':');
  const name = trimBlanks(line.slice(0, Math.max(colon, 0))); // RFC 2068 2.1 allows a blank before the colon
  if (!TOKEN.test(name)) fail(400, 'A header field is not "Name: value".');
  return [name, trimBlanks(line.slice(colon + 1))];
}

/** RFC 2326 4.4: Content-Length, or no body. RTSP/1.0 has no transfer codings. */
function readBodyLength(start: StartLine | undefined, headers: Headers): number {
  if (headers.has('Transfer-Encoding')) fail(400, 'Transfer-Encoding is not part of RTSP/1.0.');
  const lengths = new Set(headers.getAll('Content-Length'));
  if (lengths.size > 1) fail(400, 'The message has more than one Content-Length, and they differ.');
  const [length = '0'] = lengths;
  if (!/^\d+$/.test(length) || length.length > MAX_LENGTH_DIGITS)
    fail(400, 'The Content-Length is not a number of bytes.');
  return start?.kind === 'response' && hasNoBody(start.status) ? 0 : Number(length);
}

/** These never have a body, whatever their Content-Length says (RFC 2326 4.4, rule 1). */
function hasNoBody(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

/** Not trim(), which takes the byte A0 for a blank, nor a pattern, which takes quadratic time. */
function trimBlanks(text: string): string {
  const isBlank = (index: number) => text[index] === ' ' || text[index] === '\t';
  let begin = 0;
  let end = text.length;
  while (begin < end && isBlank(begin)) begin++;
  while (end > begin && isBlank(end - 1)) end--;
  return text.slice(begin, end);
}
