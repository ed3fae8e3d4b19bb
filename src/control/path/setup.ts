// SPDX-License-Identifier: Apache-2.0
// SETUP (RFC 2326 10.4): a viewer joins one track. The first one's is relayed (resource.ts, track.ts), the later ones' are
// answered from what that has opened.

import { response, type RtspResponse } from '../rtsp/message.js';
import { formatTransport, parseTransport, type NumberRange, type Transport } from '../rtsp/transport.js';
import { formatRtspUrl } from '../rtsp/url.js';
import { admit, checkRoomAt } from './admission.js';
import type { Described, MediaDescription } from './description.js';
import type { Device } from './ports.js';
import { Refusal } from './refusal.js';
import type { Ask, Story } from './request.js';
import type { Watched } from './watched.js';
import { Session } from './session.js';
import type { Track } from './track.js';
import { ViewerTrack, type Delivery } from './viewer-track.js';

type Ports = Delivery['ports'];

/** How a viewer can be served, as far as that can be told without its track. */
type Way =
  | { readonly by: 'udp'; readonly ports: Ports }
  | { readonly by: 'multicast'; readonly device: Device }
  | { readonly by: 'tcp'; readonly channels: Ports | undefined };

const LAST_PORT = 65_535;
const LAST_CHANNEL = 255;

export async function setUp(story: Story, ask: Ask): Promise<RtspResponse> {
  const ways = await waysFor(story, ask);
  if (!ask.session) checkRoom(story, ask);
  const { route, description, media } = await findTrack(story, ask);
  if (!ask.session) checkRoomAt(story, route); // before a resource is made, which nobody would end
  const resource = ask.session?.resource ?? story.resources.at(route);
  // One session controls one resource; 459 is what RFC 2326 10.4 has for a SETUP that cannot be bundled.
  if (resource.route.place !== route.place) throw new Refusal(459, 'the session is about another resource');
  return story.resources.use(resource, ask.link.remote.address, async () => {
    const track = await resource.setUp(description, media);
    return joinFirst(ways, (way) => joinBy(way, story, ask, resource, track));
  });
}

/** The first that works: 461 of one leads to the next. */
async function joinFirst(
  ways: readonly Way[],
  joinBy: (way: Way) => Promise<RtspResponse>,
): Promise<RtspResponse> {
  for (const [i, way] of ways.entries())
    try {
      return await joinBy(way);
    } catch (error) {
      const isLast = i === ways.length - 1;
      if (isLast || !(error instanceof Refusal && error.status === 461)) throw error;
    }
  throw new Refusal(461, 'none of the transports is RTP/AVP by a way that this viewer can be served');
}

async function joinBy(
  way: Way,
  story: Story,
  ask: Ask,
  resource: Watched,
  track: Track,
): Promise<RtspResponse> {
  const { link, session } = ask;
  if (way.by === 'udp') return join(story, ask, resource, track, way);
  if (way.by === 'tcp') {
    const mine = session?.tracks.get(track.media.control);
    const ports = story.channels.choose(link, way.channels, mine?.link === link ? mine : undefined);
    if (!ports) throw new Refusal(461, 'the connection has no channels left');
    return join(story, ask, resource, track, { ports, link });
  }
  const group = await track.groups.enter(way.device);
  try {
    return join(story, ask, resource, track, { ports: group.ports, group });
  } catch (error) {
    track.groups.leave(group);
    throw error;
  }
}

/**
 * What we can serve of what the viewer offers, in its order; at least one. `destination` is ignored: media goes to where the
 * connection comes from, or to a group of ours.
 */
async function waysFor(story: Story, { request, link }: Ask): Promise<Way[]> {
  const ways: Way[] = [];
  for (const offer of parseTransport(request.headers.getAll('Transport').join(','))) {
    if (offer.profile !== 'RTP/AVP' || offer.mode?.includes('PLAY') === false) continue;
    if (offer.delivery === 'multicast') {
      if (offer.lower !== 'UDP' || !story.multicast) continue;
      const device = await story.deviceFor(link.remote.address, story.multicast.device);
      if (device) ways.push({ by: 'multicast', device });
    } else if (offer.lower === 'TCP')
      ways.push({ by: 'tcp', channels: pairOf(offer.interleaved, LAST_CHANNEL) });
    else {
      const ports = offer.lower === 'UDP' ? portsOf(offer) : undefined;
      if (ports) ways.push({ by: 'udp', ports });
    }
  }
  if (ways.length > 0) return ways;
  throw new Refusal(461, 'none of the transports is RTP/AVP by a way that this viewer can be served');
}

/** One port for both where RTCP is to be multiplexed (RFC 5761): said by name, or by a range of one port as live555 has it. */
function portsOf({ clientPort, rtcpMux }: Transport): Ports | undefined {
  if (clientPort && (rtcpMux || clientPort.low === clientPort.high)) return [clientPort.low, clientPort.low];
  return pairOf(clientPort, LAST_PORT);
}

function pairOf(range: NumberRange | undefined, last: number): Ports | undefined {
  if (!range) return undefined;
  const { low, high = low + 1 } = range;
  return high > low && high <= last ? [low, high] : undefined;
}

/** Before the source is asked for anything; openSession checks again. */
function checkRoom(story: Story, { link }: Ask): void {
  const { sessions, limits, links } = story;
  const full = sessions.full(link.remote.address);
  if (full) throw new Refusal(503, `there are too many sessions ${full}`);
  if ((links.get(link)?.size ?? 0) >= limits.sessionsPerConnection)
    throw new Refusal(503, 'the connection has too many sessions');
}

async function findTrack(story: Story, ask: Ask): Promise<Described & { media: MediaDescription }> {
  const described = await story.resources.find(
    ask.url,
    ask.link.remote.address,
    (route) => admit(story, ask, route),
    ask.session?.resource,
  );
  const { media } = described;
  if (!media) throw new Refusal(459, 'the URL is that of several tracks, which are set up one by one');
  return { ...described, media };
}

/** The source has agreed; while it was asked, the viewer may have gone, or the source after all. */
function join(story: Story, ask: Ask, resource: Watched, track: Track, delivery: Delivery): RtspResponse {
  const { link, url } = ask;
  if (!story.links.has(link)) throw new Refusal(454, 'the viewer is gone');
  if (ask.session?.closed) throw new Refusal(454, 'the session has ended');
  if (resource.state === 'ending') throw new Refusal(503, 'the source went away');
  const before = ask.session?.tracks.get(track.media.control);
  if (before?.servedBy !== undefined) throw new Refusal(455, 'a track that plays cannot be set up anew');
  if (!delivery.group && !delivery.link) checkPorts(story, link.remote.address, delivery.ports, before);
  const session = ask.session ?? openSession(story, ask, resource);
  before?.close();
  const viewer = new ViewerTrack(story, session, track, formatRtspUrl(url), delivery);
  session.tracks.set(track.media.control, viewer);
  session.note();
  return response(200, [
    ['Transport', answeredTransport(track, delivery)],
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

function openSession(story: Story, ask: Ask, resource: Watched): Session {
  checkRoom(story, ask);
  checkRoomAt(story, resource.route);
  const session = story.sessions.open((id, number) => new Session(story, id, number, resource, ask.link));
  session.usedBy(ask.link);
  const { number: viewer, address, port } = session;
  story.log.info({ viewer, address, port, resource: resource.path }, 'viewer came');
  return session;
}

function answeredTransport({ downstream, ssrc }: Track, { ports, group, link }: Delivery): string {
  const [low, high] = ports;
  const protocol = { profile: 'RTP/AVP', lower: link ? 'TCP' : 'UDP' };
  const source = ssrc !== undefined && { ssrc };
  if (link)
    return formatTransport({ ...protocol, delivery: 'unicast', interleaved: { low, high }, ...source });
  if (group) {
    const { address: destination, ttl } = group;
    const port = { low, high };
    return formatTransport({
      ...protocol,
      ...{ delivery: 'multicast', destination, source: group.device.address, port, ttl },
    });
  }
  return formatTransport({
    ...protocol,
    delivery: 'unicast',
    clientPort: { low, high },
    serverPort: { low: downstream.rtpPort, high: low === high ? downstream.rtpPort : downstream.rtcpPort },
    ...source,
    ...(low === high && { rtcpMux: true }),
  });
}
