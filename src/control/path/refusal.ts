// SPDX-License-Identifier: Apache-2.0
// The one way in which a step of a story says no: an RTSP status for the viewer, and why.

import { findRoute, type PathTable } from '../config/path-table.js';
import { RtspError } from '../rtsp/errors.js';
import type { RtspResponse } from '../rtsp/message.js';
import { reasonPhrase } from '../rtsp/status.js';
import { formatRtspUrl, parseRtspUrl, withoutCredentials } from '../rtsp/url.js';

export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** RTSP status code (RFC 2326 7.1.1). */
  readonly status: number;
  /** Further header fields of the answer, e.g. Allow. */
  readonly headers: readonly (readonly [string, string])[];
  /** Where the source sends the viewer instead: a place of ours (url.ts, placeOf). */
  readonly location: string | undefined;
  /** Where the source sends us, as it says it. Viewers are not to learn of it. */
  readonly redirect: string | undefined;
  /** What the viewer is told instead of the status's own phrase; empty: just that. */
  readonly reason: string;

  /** `message` is one sentence for the log; viewers see the status. */
  constructor(
    status: number,
    message: string,
    more: {
      headers?: readonly (readonly [string, string])[];
      location?: string;
      redirect?: string;
      reason?: string;
    } = {},
  ) {
    super(message);
    this.status = status;
    this.headers = more.headers ?? [];
    this.location = more.location;
    this.redirect = more.redirect;
    this.reason = more.reason ?? '';
  }
}

/** It is about the one thing that was asked for, so that others may be had; 401 and 403 are about who asks. */
export function isAboutOne({ status }: Refusal): boolean {
  return status >= 400 && status < 500 && status !== 401 && status !== 403;
}

/** Elsewhere, for good or for now (RFC 2326 11.3); 303 and 307 by later servers. */
const REDIRECTS: readonly number[] = [301, 302, 303, 307];

/**
 * What the source refused, as the viewer is told: the same status. A challenge (WWW-Authenticate) is not passed on:
 * an answer to it would have to be made for the source's URL, not for ours, and the credentials for the source are
 * the proxy's business. What the source says in a phrase is its own, so the standard phrase goes out.
 */
export function refusedBySource(paths: PathTable, method: string, response: RtspResponse): Refusal {
  const { status } = response;
  const phrase = response.reason || reasonPhrase(status);
  const message = `the source answered ${method} with ${status} ${phrase}`;
  if (status >= 400 && status <= 599) return new Refusal(status, message);
  const text = response.headers.get('Location');
  // What cannot be reached through us viewers are not to learn of.
  const location = text !== undefined && REDIRECTS.includes(status) ? placeAt(paths, text) : undefined;
  const more = text !== undefined && REDIRECTS.includes(status) ? { redirect: text } : {};
  if (location !== undefined) return new Refusal(status, message, { ...more, location });
  return new Refusal(502, `the source answered ${method} with ${status}, which cannot be passed on`, more);
}

/** The place of ours that stands for a source's URL, if it has the same path there as here. */
function placeAt(paths: PathTable, text: string): string | undefined {
  try {
    const url = parseRtspUrl(text);
    const route = findRoute(paths, url);
    return route && same(formatRtspUrl(route.url), formatRtspUrl(withoutCredentials(url)))
      ? route.place
      : undefined;
  } catch (error) {
    if (error instanceof RtspError) return undefined;
    throw error;
  }
}

/** Host names have no case; a path that differs in it only is no harm to be sent to. */
function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
