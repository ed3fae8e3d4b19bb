// SPDX-License-Identifier: Apache-2.0
// What the proxy needs to know of a session description (RFC 4566; RFC 2326 appendix C). Read only: what is sent on is
// the text itself, translated line by line by sdp-translate.ts.

import { parse, type Media } from 'sdp-transform';

import { RtspError, SdpError } from './errors.js';
import { STATIC_PAYLOAD_TYPES } from './payload-types.js';
import { isNpt, parseRange, type Range } from './range.js';

export interface SdpPayload {
  /** RTP payload type, 0 to 127. */
  readonly type: number;
  /** Encoding name, e.g. `H264`; undefined: not told. */
  readonly encoding: string | undefined;
  /** RTP timestamp units per second; 0: not told. */
  readonly clockRate: number;
}

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** What a section says of RTCP, of its direction and of header extensions, the lines before the first section included. */
export interface RtpOptions {
  /** RTP and RTCP may share a port (RFC 5761). */
  readonly rtcpMux: boolean;
  /** Reference times of receivers are answered (RFC 3611 4.4). */
  readonly answersReferenceTime: boolean;
  /** RFC 4566 6, as the client sees it where the description follows ONVIF. */
  readonly direction: Direction;
  /** Id of AV1's dependency descriptors among the RTP header extensions (RFC 8285 5). */
  readonly descriptorId: number | undefined;
}

/** One m= section. */
export interface SdpMedia extends RtpOptions {
  /** `video`, `audio`, `application` ... */
  readonly media: string;
  /** Where the media is sent to, or is recommended to be; 0: it is negotiated. */
  readonly port: number;
  /** `RTP/AVP` ... */
  readonly protocol: string;
  readonly payloads: readonly SdpPayload[];
  /** That of the first payload type; 0: not told. */
  readonly clockRate: number;
  /** a=control as it stands there. */
  readonly control: string | undefined;
  /** Of its own c= line or the session's, without TTL; undefined: neither. */
  readonly address: string | undefined;
}

export interface SdpDescription {
  /** Session level a=control as it stands there. */
  readonly control: string | undefined;
  /** Session level a=range, or the first section's that has one. */
  readonly range: Range | undefined;
  /** No end is known: a camera, not a file. */
  readonly live: boolean;
  readonly media: readonly SdpMedia[];
}

const MAX_SECTIONS = 64;
/** Of one section; there are no more numbers than these. */
const MAX_PAYLOAD_TYPES = 128;
/** What sdp-transform gets to see: not its problem is not our risk. */
const OF_INTEREST = /^(?:m=|c=|a=(?:rtpmap|control):)/;
/** Read here, because sdp-transform 3 cannot read `m=video 5004/2 ...` nor a media name with a hyphen. */
const MEDIA = /^m=(\S+)[ \t]+(\d+)(?:\/\d+)?[ \t]+(\S+)(.*)$/;
const RANGE = /^a=range:(.*)$/m;
/** RFC 5761 5.1.1. */
const RTCP_MUX = /^a=rtcp-mux[ \t]*$/m;
const DIRECTION = /^a=(sendrecv|sendonly|recvonly|inactive)[ \t]*$/m;
/** RFC 3611 5.1: reference times are answered. */
const REFERENCE_TIME = /^a=rtcp-xr:.*\brcvr-rtt=(?:all|sender)\b/m;
/** AOM's RTP payload format for AV1, A.9. */
const DESCRIPTOR =
  /^a=extmap:(\d{1,3})(?:\/[a-z]+)?[ \t]+https:\/\/aomediacodec\.github\.io\/av1-rtp-spec\/#dependency-descriptor-rtp-header-extension(?:[ \t]|$)/m;

/** `text` is bounded by the framer. @throws SdpError when it has no m= section, too many, or one that cannot be read. */
export function describeSdp(text: string): SdpDescription {
  const lines = text.split(/\r\n|\r|\n/).filter((line) => OF_INTEREST.test(line));
  const mediaLines = lines.filter((line) => line.startsWith('m='));
  if (mediaLines.length === 0) throw new SdpError('The description has no media section.');
  if (mediaLines.length > MAX_SECTIONS)
    throw new SdpError(`The description has more than ${MAX_SECTIONS} media sections.`);
  const session = readSections(lines);
  const address = session.connection?.ip;
  const range = readRange(text);
  const [whole = '', ...sections] = text
    .split(/\r\n|\r|\n/)
    .join('\n')
    .split(/^(?=m=)/m);
  return {
    control: trimmed(session.control),
    range,
    live: !range || (isNpt(range) ? range.end === undefined : range.text.endsWith('-')),
    media: session.media.map((section, i) => ({
      ...readSection(mediaLines[i] ?? '', section, address),
      rtcpMux: RTCP_MUX.test(sections[i] ?? ''),
      answersReferenceTime: REFERENCE_TIME.test(`${whole}${sections[i] ?? ''}`),
      direction: readDirection(sections[i]) ?? readDirection(whole) ?? 'sendrecv',
      descriptorId: readDescriptorId(sections[i]) ?? readDescriptorId(whole),
    })),
  };
}

function readSections(lines: readonly string[]) {
  try {
    return parse(lines.join('\r\n'));
  } catch (error) {
    throw new SdpError('The description cannot be parsed.', { cause: error });
  }
}

function readSection(
  line: string,
  section: Media,
  sessionAddress: string | number | undefined,
): Omit<SdpMedia, keyof RtpOptions> {
  const [, media, port, protocol, payloads = ''] = MEDIA.exec(line) ?? [];
  if (!media || !protocol) throw new SdpError('A media section of the description cannot be read.');
  const { rtp, control, connection } = section;
  const types = payloads
    .split(/[ \t]+/)
    .filter((word) => /^\d{1,3}$/.test(word) && Number(word) <= 127)
    .slice(0, MAX_PAYLOAD_TYPES);
  const known = types.map((type) => readPayload(Number(type), rtp));
  const address = connection?.ip ?? sessionAddress;
  return {
    media,
    port: Number(port) <= 65_535 ? Number(port) : 0,
    protocol,
    payloads: known,
    clockRate: known[0]?.clockRate ?? 0,
    control: trimmed(control),
    address: trimmed(address)?.split('/', 1)[0],
  };
}

/** a=rtpmap goes before the static table: a section may redefine what it likes. */
function readPayload(type: number, rtpmaps: Media['rtp']): SdpPayload {
  const map = rtpmaps.find((entry) => entry.payload === type);
  const fixed = STATIC_PAYLOAD_TYPES.get(type);
  const rate = Number(map?.rate ?? fixed?.clockRate ?? 0);
  return {
    type,
    encoding: trimmed(map?.codec) ?? fixed?.name,
    clockRate: Number.isInteger(rate) && rate <= 0xffffffff ? rate : 0,
  };
}

function readDirection(lines = ''): Direction | undefined {
  return DIRECTION.exec(lines)?.[1] as Direction | undefined;
}

/** Ids are 1 to 14, or to 255 in the two-byte form; more are placeholders in offers (RFC 8285 5). */
function readDescriptorId(lines = ''): number | undefined {
  const id = Number(DESCRIPTOR.exec(lines)?.[1] ?? 0);
  return id >= 1 && id <= 255 ? id : undefined;
}

function readRange(text: string): Range | undefined {
  const value = RANGE.exec(text)?.[1];
  if (value === undefined) return undefined;
  try {
    return parseRange(value.trim());
  } catch (error) {
    if (error instanceof RtspError) return undefined; // `a=range:` alone is seen; it tells nothing
    throw error;
  }
}

function trimmed(value: string | number | undefined): string | undefined {
  const text = value === undefined ? '' : String(value).trim();
  return text || undefined;
}
