// SPDX-License-Identifier: Apache-2.0
// Another table of paths takes effect. Who watches what has not changed does not notice; who watches what is gone or comes
// from elsewhere now is told by an RTCP BYE and the end of the connection, as when a source ends.

import { sameSource } from '../config/diff.js';
import { routeAt, type PathTable } from '../config/path-table.js';
import { mayPublish, mayWatch } from './admission.js';
import type { Story } from './request.js';
import type { Watched } from './watched.js';

export function reload(story: Story, table: PathTable): void {
  story.paths.table = table;
  story.described.clear(); // control URLs may mean something else now; sessions know their own
  for (const resource of [...story.resources.all]) if (resource.state !== 'ending') reroute(resource, table);
}

function reroute(resource: Watched, table: PathTable): void {
  const route = routeAt(table, resource.route.place);
  if (!route || !sameSource(route, resource.route)) {
    void resource.end(route ? 'its path has been changed' : 'its path has been removed');
    return;
  }
  resource.route = { ...route, url: resource.route.url };
  const { publisher } = resource;
  if (publisher && !mayPublish(route.config, publisher.link.remote.address))
    publisher.evict('it may not publish any more');
  for (const session of [...resource.sessions])
    if (!mayWatch(route.config, session.address)) session.evict('it may not watch any more');
}
