// SPDX-License-Identifier: Apache-2.0
// SETUP (RFC 2326 10.4): a viewer joins one track. The first one's is relayed (resource.ts, track.ts), the later ones' are
// answered from what that has opened.

import { response, type RtspResponse } from '../rtsp/message.js';
import { formatTransport, parseTransport, type Transport } from '../rtsp/transport.js';
import { formatRtspUrl, parseRtspUrl } from '../rtsp/url.js';
import type { Described, MediaDescription } from './description.js';
import { Refusal } from './refusal.js';
import type { Ask, Story } from './request.js';
import type { Resource } from './resource.js';
import { Session } from './session.js';
import type { Track } from './track.js';
import { placeOf } from './url-map.js';
import { ViewerTrack } from './viewer-track.js';

type Ports = readonly [rtp: number, rtcp: number];

const LAST_PORT = 65_535;

export async function setUp(story: Story, ask: Ask): Promise<RtspResponse> {
  const ports = choosePorts(ask);
  if (!ask.session) checkRoom(story, ask);
  const { resource: url, description, media } = await findTrack(story, ask);
  const resource = ask.session?.resource ?? story.resources.at(url, placeOf(parseRtspUrl(url)) || '/');
  // One session controls one resource; 459 is what RFC 2326 10.4 has for a SETUP that cannot be bundled.
  if (resource.url !== url) throw new Refusal(459, 'the session is about another resource');
  return resource.use(async () => {
    const track = await resource.setUp(description, media);
    return join(story, ask, resource, track, ports);
  });
}

/** The first alternative that we can serve. `destination` is ignored: media goes to where the connection comes from. */
function choosePorts({ request }: Ask): Ports {
  const offered = parseTransport(request.headers.getAll('Transport').join(','));
  const chosen = offered.map(portsOf).find((ports) => ports !== undefined);
  if (!chosen)
    throw new Refusal(461, 'none of the transports is RTP/AVP over UDP, unicast, with usable client ports');
  return chosen;
}

function portsOf({ profile, lower, delivery, mode, clientPort }: Transport): Ports | undefined {
  if (profile !== 'RTP/AVP' || lower !== 'UDP' || delivery === 'multicast' || !clientPort) return undefined;
  if (mode && !mode.includes('PLAY')) return undefined;
  const { low, high = low + 1 } = clientPort;
  return high > low && high <= LAST_PORT ? [low, high] : undefined;
}

/** Before the source is asked for anything; openSession checks again. */
function checkRoom(story: Story, { link }: Ask): void {
  const { sessions, limits, links } = story;
  if (sessions.size >= limits.sessions) throw new Refusal(503, 'there are too many sessions');
  if ((links.get(link)?.size ?? 0) >= limits.sessionsPerConnection)
    throw new Refusal(503, 'the connection has too many sessions');
}

async function findTrack(story: Story, ask: Ask): Promise<Described & { media: MediaDescription }> {
  const described = await story.resources.find(ask.url, ask.session?.resource);
  const { media } = described;
  if (!media) throw new Refusal(459, 'the URL is that of several tracks, which are set up one by one');
  return { ...described, media };
}

/** The source has agreed; while it was asked, the viewer may have gone, or the source after all. */
function join(story: Story, ask: Ask, resource: Resource, track: Track, ports: Ports): RtspResponse {
  const { link, url } = ask;
  if (!story.links.has(link)) throw new Refusal(454, 'the viewer is gone');
  if (ask.session?.closed) throw new Refusal(454, 'the session has ended');
  if (resource.state === 'ending') throw new Refusal(503, 'the source went away');
  const before = ask.session?.tracks.get(track.media.control);
  if (before?.servedBy !== undefined) throw new Refusal(455, 'a track that plays cannot be set up anew');
  checkPorts(story, link.remote.address, ports, before);
  const session = ask.session ?? openSession(story, ask, resource);
  before?.close();
  const viewer = new ViewerTrack(story, session, track, formatRtspUrl(url), ports);
  session.tracks.set(track.media.control, viewer);
  return response(200, [
    ['Transport', answeredTransport(track, ports)],
    ['Session', session.header],
  ]);
}

function checkPorts(
  { destinations }: Story,
  address: string,
  ports: Ports,
  mine: ViewerTrack | undefined,
): void {
  for (const port of ports) {
    const owner = destinations.owner(address, port);
    if (owner && owner !== mine)
      throw new Refusal(461, 'another session of that address has the client port');
  }
}

function openSession(story: Story, ask: Ask, resource: Resource): Session {
  checkRoom(story, ask);
  const session = story.sessions.open((id, number) => new Session(story, id, number, resource, ask.link))!;
  const { number: viewer, address, port } = session;
  story.log.info({ viewer, address, port, resource: resource.path }, 'viewer came');
  return session;
}

function answeredTransport({ downstream, ssrc }: Track, [low, high]: Ports): string {
  return formatTransport({
    profile: 'RTP/AVP',
    lower: 'UDP',
    delivery: 'unicast',
    clientPort: { low, high },
    serverPort: { low: downstream.rtpPort, high: downstream.rtcpPort },
    ...(ssrc !== undefined && { ssrc }),
  });
}
