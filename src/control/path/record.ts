// SPDX-License-Identifier: Apache-2.0
// What a publisher asks after ANNOUNCE: SETUP of each track (RFC 2326 10.4, mode=record), RECORD (10.11), PAUSE, TEARDOWN.

import { response, type RtspResponse } from '../rtsp/message.js';
import { placeOf, type RtspUrl } from '../rtsp/url.js';
import { findRoute, isPulled, routeAt, type PathTable, type Route } from '../config/path-table.js';
import { PUBLISH } from '../config/source-template.js';
import { admitPublisher } from './admission.js';
import type { MediaDescription } from './description.js';
import { placesOf } from './places.js';
import type { Publication } from './publication.js';
import { arrangePublisher } from './publisher-transport.js';
import { Refusal } from './refusal.js';
import { PUBLIC, type Ask, type Story } from './request.js';

type Step = (story: Story, ask: Ask, publication: Publication) => Promise<RtspResponse> | RtspResponse;

/** Instead of what they mean to viewers, on a connection that has announced something. */
export const PUBLISHER_METHODS: ReadonlyMap<string, Step> = new Map<string, Step>([
  ['SETUP', setUp],
  ['RECORD', record],
  ['PAUSE', pause],
  ['TEARDOWN', tearDown],
  ['PLAY', play],
]);

async function setUp(story: Story, ask: Ask, publication: Publication): Promise<RtspResponse> {
  const { request, link } = ask;
  checkState(publication, 'announced', 'ready');
  const { control } = trackAt(story, ask, publication);
  await admitPublisher(story, { ...ask, established: true }, routeNow(story, publication));
  publication.forget(control);
  const offers = request.headers.getAll('Transport').join(',');
  const arranged = await arrangePublisher(story, link, publication.frames, offers);
  if (publication.closed) {
    arranged.arrival.feeder?.close();
    arranged.arrival.upstream.close();
    throw new Refusal(454, 'the publisher is gone');
  }
  publication.arrange(control, arranged);
  return response(200, [
    ['Transport', arranged.transport],
    ['Session', publication.header],
  ]);
}

/** @throws Refusal 404 where a reload has made something else of it */
function routeNow({ paths }: Story, { route }: Publication): Route {
  const now = routeAt(paths.table, route.place);
  if (now && !isPulled(now)) return now;
  throw new Refusal(404, 'the path has been changed');
}

/** @throws Refusal 404, 459 */
function trackAt({ paths }: Story, { url }: Ask, { route, description }: Publication): MediaDescription {
  const place = findRoute(paths.table, url)?.place ?? placeOf(url);
  const places = new Map(placesOf(route, description));
  const meant = places.get(place) ?? places.get(placeOf(url));
  if (!meant) throw new Refusal(404, 'no track that was announced has this URL');
  if (!meant.media) throw new Refusal(459, 'the URL is that of several tracks, which are set up one by one');
  return meant.media;
}

/** Time and again: a publisher may pause. */
async function record(story: Story, ask: Ask, publication: Publication): Promise<RtspResponse> {
  checkState(publication, 'ready', 'publishing', 'paused');
  await admitPublisher(story, { ...ask, established: true }, routeNow(story, publication));
  const { description, arranged } = publication;
  if (!publication.recorded) {
    if (!description.media.every(({ control }) => arranged.has(control)))
      throw new Refusal(455, 'not all tracks that were announced have been set up');
    await story.resources.publish(publication);
  }
  publication.state = 'publishing';
  return response(200, [['Session', publication.header]]);
}

/** Viewers get what comes, and nothing comes. */
function pause(_story: Story, _ask: Ask, publication: Publication): RtspResponse {
  checkState(publication, 'publishing');
  publication.state = 'paused';
  return response(200, [['Session', publication.header]]);
}

function tearDown(_story: Story, _ask: Ask, publication: Publication): RtspResponse {
  publication.close('TEARDOWN');
  return response(200);
}

function play(): RtspResponse {
  throw new Refusal(455, 'a connection that publishes does not watch');
}

function checkState({ state }: Publication, ...right: readonly Publication['state'][]): void {
  if (!right.includes(state)) throw new Refusal(455, `what is ${state} cannot do that`);
}

/** Without an ANNOUNCE before it on this connection. */
export function recordNothing({ paths: { table } }: Story, { url }: Ask): RtspResponse {
  if (awaitsPublishers(table, url)) throw new Refusal(455, 'nothing has been announced on this connection');
  throw new Refusal(405, 'the path has a source of its own', { headers: [['Allow', PUBLIC]] });
}

/** Whether that path does; where the URL is no path's: whether any does. */
export function awaitsPublishers(table: PathTable, url: RtspUrl): boolean {
  const route = findRoute(table, url);
  return route ? !isPulled(route) : table.paths.some(({ source }) => source === PUBLISH);
}
