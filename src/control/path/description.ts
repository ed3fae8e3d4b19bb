// SPDX-License-Identifier: Apache-2.0
// What DESCRIBE taught us of a resource: its tracks and the URLs by which they are controlled (RFC 2326 C.1.1).

import type { Route } from '../config/path-table.js';
import { RtspError, SdpError } from '../rtsp/errors.js';
import type { RtspResponse } from '../rtsp/message.js';
import type { Range } from '../rtsp/range.js';
import { describeSdp, type SdpDescription, type SdpMedia } from '../rtsp/sdp.js';
import { placeOfText, resolveControl } from '../rtsp/url.js';
import type { StreamSpec } from './ports.js';
import { Refusal } from './refusal.js';

/** Of m= sections that players show, or read beside that (ONVIF's metadata). */
const KINDS = ['video', 'audio', 'application'];

/** One m= section. */
export interface MediaDescription {
  /** Upstream control URL, as the source is to be asked. */
  readonly control: string;
  /** `video`, `audio` … */
  readonly media: string;
  readonly payloadType: number | undefined;
  /** RTP timestamp units per second; 0: not told. */
  readonly clockRate: number;
  /** Of the first payload type whose encoding is told. */
  readonly encoding: StreamSpec['encoding'];
  /** Where the description says that the media goes; the port 0: not told. */
  readonly connection: { readonly address: string | undefined; readonly port: number };
  /** RTP and RTCP may share a port (RFC 5761). */
  readonly rtcpMux: boolean;
  /** Reference times of receivers are answered (RFC 3611 4.4). */
  readonly answersReferenceTime: boolean;
  /** A viewer may come to want it, and can have it. */
  readonly watchable: boolean;
}

export interface Description {
  /** The session description as it came, latin1 text. */
  readonly sdp: string;
  /** Upstream URL that relative control URLs hang on, unless the session has one of its own. */
  readonly base: string;
  /** Upstream URL of PLAY, PAUSE and TEARDOWN. */
  readonly aggregate: string;
  readonly live: boolean;
  readonly range: Range | undefined;
  readonly media: readonly MediaDescription[];
}

/** What a place (places.ts) stands for: a track, or the resource itself where `media` is undefined. */
export interface Described {
  /** Of the resource. */
  readonly route: Route;
  readonly description: Description;
  readonly media: MediaDescription | undefined;
}

/**
 * Reads a 200 to DESCRIBE of `url`.
 * @throws Refusal 502 when there is no session description in it that can be used.
 */
export function readDescription(url: string, response: RtspResponse): Description {
  const type = response.headers.get('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== undefined && type !== 'application/sdp')
    throw new Refusal(502, 'the source described the resource in another format than SDP');
  const base = absolute(response, 'Content-Base') ?? absolute(response, 'Content-Location') ?? url;
  return descriptionOf(response.body.toString('latin1'), base);
}

/** @throws Refusal 502 */
export function descriptionOf(sdp: string, base: string): Description {
  try {
    return parseDescription(sdp, base);
  } catch (error) {
    if (error instanceof SdpError || error instanceof RtspError)
      throw new Refusal(502, `the source's description cannot be used: ${error.message}`);
    throw error;
  }
}

/** @throws SdpError, RtspError */
export function parseDescription(sdp: string, base: string): Description {
  const description = describeSdp(sdp);
  const { control, live, range } = description;
  // Players hang the tracks' relative URLs on the session's own where it has one: so do servers, so do we.
  const aggregate = resolveControl(base, control);
  const media = description.media.map((section) => ({
    ...readMedia(section, aggregate),
    watchable: isWatchable(section, description),
  }));
  return { sdp, base, aggregate, live, range, media };
}

/** A header field that holds a usable absolute URL (some servers put a relative one there). */
function absolute(response: RtspResponse, name: string): string | undefined {
  const value = response.headers.get(name);
  return value !== undefined && placeOfText(value) !== undefined ? value : undefined;
}

/** ONVIF's back channel, which the client sends, is `sendonly`; a server that says that of all its sections means itself. */
function isWatchable({ media, protocol, direction }: SdpMedia, { media: all }: SdpDescription): boolean {
  const comes =
    direction === 'sendonly' ? all.every((other) => other.direction === direction) : direction !== 'inactive';
  return comes && KINDS.includes(media) && /^RTP\/AVPF?$/.test(protocol);
}

function readMedia(section: SdpMedia, aggregate: string): Omit<MediaDescription, 'watchable'> {
  return {
    control: resolveControl(aggregate, section.control),
    media: section.media,
    payloadType: section.payloads[0]?.type,
    clockRate: section.clockRate,
    encoding: readEncoding(section),
    connection: { address: section.address, port: section.port },
    rtcpMux: section.rtcpMux,
    answersReferenceTime: section.answersReferenceTime,
  };
}

function readEncoding({ payloads, descriptorId }: SdpMedia): StreamSpec['encoding'] {
  for (const { type, encoding } of payloads)
    if (encoding !== undefined)
      return {
        name: encoding,
        payloadType: type,
        ...(descriptorId !== undefined && encoding.toUpperCase() === 'AV1' && { descriptorId }),
      };
  return undefined;
}
