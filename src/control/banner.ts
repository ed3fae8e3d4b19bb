// SPDX-License-Identifier: Apache-2.0
// What the proxy prints on stdout once it serves: what to open, who copies the packets and why, how to see viewers.

import { networkInterfaces } from 'node:os';
import { ROOTS_SOCKET } from './api/socket-path.js';
import type { PathsGiven } from './paths-given.js';
import type { Datapath, Endpoint } from './path/ports.js';
import { endpointText, isLinkLocal } from './state/address.js';

export interface BannerFacts {
  readonly version: string;
  readonly listen: Endpoint;
  readonly tls: Endpoint | undefined;
  readonly paths: Pick<PathsGiven, 'source' | 'example'>;
  readonly datapath: Pick<Datapath, 'engine' | 'why'>;
  readonly apiSocket: string;
  /** How to call proxyctl from where the user is. */
  readonly proxyctl: string;
}

export function bannerText(facts: BannerFacts): string {
  const { listen, tls, paths, datapath, apiSocket } = facts;
  const urls = Object.entries({ rtsp: listen, rtsps: tls }).flatMap(([scheme, at]) =>
    (at ? addressesToOpen(at.address) : []).map(
      (address) => `${scheme}://${endpointText(address, at!.port)}${paths.example ?? '/...'}`,
    ),
  );
  // Who looks may be root where the proxy is not.
  const socket = apiSocket === ROOTS_SOCKET ? '' : ` --api-socket ${apiSocket}`;
  return [
    `rtsp-fanout ${facts.version}`,
    ...urls.map((url, index) => (index === 0 ? `  open      ${url}` : `            ${url}`)),
    `  source    ${paths.source}`,
    `  datapath  ${datapath.engine} (${datapath.why})`,
    `  viewers   ${facts.proxyctl}${socket} clients`,
    '',
  ].join('\n');
}

/** Where all addresses are listened on: this host's own, then the first of each family that others can reach. */
function addressesToOpen(listened: string): string[] {
  if (listened !== '0.0.0.0' && listened !== '::') return [listened];
  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address, internal }) => !internal && !isLinkLocal(address));
  const first = (family: string) => outside.find((address) => address.family === family);
  const reachable = [first('IPv4'), ...(listened === '::' ? [first('IPv6')] : [])];
  return ['127.0.0.1', ...reachable.flatMap((found) => found?.address ?? [])];
}
