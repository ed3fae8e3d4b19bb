// SPDX-License-Identifier: Apache-2.0
// A start with what a former process has left: resources first, before any viewer may ask for them, then sessions with
// their connections. Whatever is missing of one (a socket, an answer of the datapath) ends that one, never the start.

import { isPulled, routeAt } from '../config/path-table.js';
import { formatRtspUrl } from '../rtsp/url.js';
import type { ResourceRecord, Records, SessionRecord } from './records.js';
import { recordsOf } from './records.js';
import type { Listener } from './ports.js';
import type { Story } from './request.js';
import type { Resource } from './resource.js';
import { Session } from './session.js';
import { ViewerTrack } from './viewer-track.js';

/** By the name of their connection. Nobody may use them before restoreSessions() has returned. */
export async function restoreResources(story: Story, records: Records): Promise<Map<string, Resource>> {
  const restored = new Map<string, Resource>();
  await Promise.all(
    recordsOf<ResourceRecord>(records, 'resource').map(async (record) => {
      const route = routeAt(story.paths.table, record.path);
      if (!route || !isPulled(route) || formatRtspUrl(route.url) !== record.url) {
        story.log.warn({ resource: record.path }, 'a path of the former process is another one now');
        return;
      }
      const resource = record.own ? story.resources.own(route) : story.resources.pull(route);
      try {
        await resource.restore(record, Number(records.get(`cseq/${record.link}`) ?? 0));
        if (resource.state !== 'ending') restored.set(record.link, resource);
      } catch (error) {
        const { message: why } = error as Error;
        story.log.warn({ resource: record.path, why }, 'a source of the former process is lost');
        await resource.end(why);
      }
    }),
  );
  return restored;
}

/** Resolves with how many viewers are back when all of them get copies. Sessions are there when it returns. */
export async function restoreSessions(
  story: Story,
  listener: Listener,
  resources: ReadonlyMap<string, Resource>,
  records: Records,
): Promise<number> {
  const links = new Map<string, ReturnType<Listener['restore']>>();
  const linkNamed = (name: string) => {
    if (!links.has(name)) links.set(name, listener.restore(name));
    return links.get(name);
  };
  const wanted = recordsOf<SessionRecord>(records, 'session');
  const sessions = wanted.map((record) => {
    const resource = resources.get(record.resource);
    return resource && restoreSession(story, record, resource, linkNamed);
  });
  // Connections whose sessions are lost: the viewer is told by their end.
  for (const record of wanted)
    for (const link of record.links.map(linkNamed)) if (link && !story.links.get(link)?.size) link.close();
  await Promise.all(
    sessions.map((session) => session?.resume().catch(() => session.evict('it cannot be served'))),
  );
  for (const resource of resources.values()) resource.checkUse();
  return sessions.filter((session) => session && !session.closed).length;
}

function restoreSession(
  story: Story,
  record: SessionRecord,
  resource: Resource,
  linkNamed: (name: string) => ReturnType<Listener['restore']>,
): Session | undefined {
  const links = record.links.flatMap((name) => linkNamed(name) ?? []);
  if (links.length === 0) return undefined;
  const { address, port, localAddress, since } = record;
  const from = { remote: { address, port }, local: { address: localAddress, port: 0 } };
  const session = new Session(story, record.id, record.number, resource, from, since);
  story.sessions.restore(session);
  for (const link of links) {
    if (!story.links.has(link)) story.links.set(link, new Set());
    session.usedBy(link);
  }
  for (const { control, url, ports, id, before } of record.tracks) {
    const track = resource.tracks.get(control);
    if (track)
      session.tracks.set(control, new ViewerTrack(story, session, track, url, { ports }, { id, before }));
  }
  session.state = record.state;
  return session;
}
