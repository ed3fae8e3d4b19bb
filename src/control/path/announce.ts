// SPDX-License-Identifier: Apache-2.0
// ANNOUNCE (RFC 2326 10.3) by a publisher: what it will send, by a session description. Nothing is opened for it yet.

import { findRoute, isPulled, type Route } from '../config/path-table.js';
import { RtspError, SdpError } from '../rtsp/errors.js';
import { response, type RtspRequest, type RtspResponse } from '../rtsp/message.js';
import { formatRtspUrl, withoutCredentials, type RtspUrl } from '../rtsp/url.js';
import { admitPublisher } from './admission.js';
import { parseDescription, type Description } from './description.js';
import { Publication } from './publication.js';
import { Refusal } from './refusal.js';
import { PUBLIC, type Ask, type Story } from './request.js';
import { checkTakeOver } from './take-over.js';

export async function announce(story: Story, ask: Ask): Promise<RtspResponse> {
  const { link, request, url } = ask;
  const { publications, links } = story;
  const route = publishedRoute(story, url);
  await admitPublisher(story, ask, route);
  checkTakeOver(route.config, story.resources.publisherAt(route.place), link);
  const { state = 'announced' } = publications.of(link) ?? {};
  if (state !== 'announced' || (links.get(link)?.size ?? 0) > 0)
    throw new Refusal(455, 'the connection publishes or watches something already');
  const description = readAnnouncement(request, url, story.limits.tracksPerResource);
  if (!links.has(link)) throw new Refusal(454, 'the publisher is gone');
  publications.of(link)?.close('announced anew');
  if (publications.isFull) throw new Refusal(503, 'there are too many publishers');
  new Publication(story, link, { ...route, url: withoutCredentials(url) }, description);
  return response(200);
}

/** @throws Refusal 404, 405 for a path that has a source of its own */
function publishedRoute({ paths }: Story, url: RtspUrl): Route {
  const route = findRoute(paths.table, url);
  if (!route) throw new Refusal(404, 'no path of the configuration has this name');
  if (!isPulled(route)) return route;
  throw new Refusal(405, 'the path has a source of its own', { headers: [['Allow', PUBLIC]] });
}

/** @throws Refusal 400 with what is wrong with it, 415 */
function readAnnouncement({ headers, body }: RtspRequest, url: RtspUrl, mostTracks: number): Description {
  const type = headers.get('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== undefined && type !== 'application/sdp')
    throw new Refusal(415, 'what is announced is described in another format than SDP');
  const description = parse(body.toString('latin1'), formatRtspUrl(withoutCredentials(url)));
  const { media } = description;
  if (media.length > mostTracks) throw wrong(`The description has more than ${mostTracks} media sections.`);
  if (new Set(media.map(({ control }) => control)).size < media.length)
    throw wrong('Two media sections of the description have the same control URL.');
  return description;
}

function parse(sdp: string, base: string): Description {
  try {
    return parseDescription(sdp, base);
  } catch (error) {
    if (error instanceof SdpError || error instanceof RtspError) throw wrong(error.message);
    throw error;
  }
}

function wrong(what: string): Refusal {
  return new Refusal(400, what, { reason: `Bad Request: ${what}` });
}
