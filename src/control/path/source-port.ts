// SPDX-License-Identifier: Apache-2.0
// RTSP connections to sources, as the stories in this folder need them; part of ports.ts.

import type { RtspMessage } from '../rtsp/message.js';
import type { Endpoint } from './ports.js';

/** The RTSP connection to a source. Messages sent before it is open go out when it is. */
export interface SourceLink {
  send(message: RtspMessage): void;
  /** A `$` frame; dropped where the source does not read. At most 65535 bytes. */
  sendFrame(channel: number, payload: Buffer): void;
  /** No event comes after this. */
  close(): void;
  /** As ViewerLink's. */
  readonly subflows?: number | undefined;
  /** As ViewerLink.hold. */
  hold(): string | undefined;
}

export interface SourceEvents {
  opened(local: Endpoint, remote: Endpoint): void;
  message(message: RtspMessage): void;
  /** A `$` frame. */
  frame(channel: number, payload: Buffer): void;
  /** From below, once: refused, reset, ended, or what came was not RTSP. */
  closed(why: Error): void;
}

export interface SourceAddress {
  readonly host: string;
  readonly port: number;
  /** TLS; undefined: none. */
  readonly tls?: SourceTrust | undefined;
  /** RTSP over HTTP: path and query of the resource; undefined: plain. */
  readonly tunnel?: string | undefined;
}

/** What a source's certificate must be: signed by an authority and for its host, unless only the fingerprint is given. */
export interface SourceTrust {
  /** Name of a PEM file; undefined: the authorities that are known anyway. */
  readonly authority: string | undefined;
  /** SHA-256, `AB:CD:...`. */
  readonly fingerprint: string | undefined;
}

export type ConnectSource = (to: SourceAddress, events: SourceEvents) => SourceLink;
