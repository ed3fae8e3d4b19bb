// SPDX-License-Identifier: Apache-2.0
// The one way in which a step of a story says no: an RTSP status for the viewer, and why.

import { RtspError } from '../rtsp/errors.js';
import type { RtspResponse } from '../rtsp/message.js';
import { reasonPhrase } from '../rtsp/status.js';
import { parseRtspUrl, type RtspUrl } from '../rtsp/url.js';

export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** RTSP status code (RFC 2326 7.1.1). */
  readonly status: number;
  /** Further header fields of the answer, e.g. Allow. */
  readonly headers: readonly (readonly [string, string])[];
  /** Where the source sends the viewer instead: a URL of the source, to be translated for each viewer. */
  readonly location: string | undefined;

  /** `message` is one sentence for the log; viewers see the status. */
  constructor(
    status: number,
    message: string,
    more: { headers?: readonly (readonly [string, string])[]; location?: string } = {},
  ) {
    super(message);
    this.status = status;
    this.headers = more.headers ?? [];
    this.location = more.location;
  }
}

/**
 * What the source refused, as the viewer is told: the same status. A challenge (WWW-Authenticate) is not passed on:
 * an answer to it would have to be made for the source's URL, not for ours, and the credentials for the source are
 * the proxy's business. What the source says in a phrase is its own, so the standard phrase goes out.
 */
export function refusedBySource(source: RtspUrl, method: string, response: RtspResponse): Refusal {
  const { status } = response;
  const phrase = response.reason || reasonPhrase(status);
  const message = `the source answered ${method} with ${status} ${phrase}`;
  if (status >= 400 && status <= 599) return new Refusal(status, message);
  const location = response.headers.get('Location');
  // A place at another server cannot be reached through us, and viewers are not to learn of it.
  if ((status === 301 || status === 302) && location !== undefined && isAt(source, location))
    return new Refusal(status, message, { location });
  return new Refusal(502, `the source answered ${method} with ${status}, which cannot be passed on`);
}

function isAt(source: RtspUrl, text: string): boolean {
  try {
    const { host, port } = parseRtspUrl(text);
    return host.toLowerCase() === source.host.toLowerCase() && port === source.port;
  } catch (error) {
    if (error instanceof RtspError) return false;
    throw error;
  }
}
