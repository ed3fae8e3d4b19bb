// SPDX-License-Identifier: Apache-2.0
// What the matrix needs of a real peer, by its role. Each is a file in peers/.
import type { Child } from '../netns/child.js';
import type { Namespace } from '../netns/topology.js';
import type { Player } from '../../test/netns/players.js';
import type { Cell, Login, Transport } from './cell.js';
import type { Clip } from './clip.js';

interface Named {
  readonly name: string;
  /** What it says its version is; undefined: it is not installed. */
  version(): string | undefined;
}

/** A resource at whoever serves it. */
export interface Place {
  /** As in a URL: IPv6 in brackets. */
  readonly host: string;
  /** That of TLS where the transport says so. */
  readonly port: number;
  readonly path: string;
  readonly login: Login;
}

export interface Viewing {
  readonly where: Namespace;
  readonly at: Place;
  readonly transport: Transport;
  /** It leaves after so many. */
  readonly frames: number;
}

export interface ViewerPeer extends Named {
  readonly role: 'viewer';
  watch(viewing: Viewing): Promise<Player>;
}

export interface Serving {
  readonly where: Namespace;
  readonly address: string;
  /** It offers nothing else, where it can be told so. */
  readonly transport: Transport;
  readonly login: Login;
  readonly clip: Clip;
  /** File (PEM) of certificate and key. */
  readonly certificate: string;
}

export interface SourcePeer extends Named {
  readonly role: 'source';
  serve(serving: Serving): Promise<{ readonly child: Child; readonly port: number; readonly path: string }>;
}

export interface Publishing {
  readonly where: Namespace;
  readonly at: Place;
  readonly transport: Transport;
  readonly clip: Clip;
}

export interface PublisherPeer extends Named {
  readonly role: 'publisher';
  /** It goes on until it is stopped. */
  publish(publishing: Publishing): Promise<Child>;
}

export type Peer = ViewerPeer | SourcePeer | PublisherPeer;

/** How one end of the proxy is reached. */
export type Way = Pick<Cell, 'transport' | 'ip' | 'login'>;
/** Of the end that the cell is not about. */
export const PLAIN: Way = { transport: 'udp', ip: 'ipv4', login: 'none' };

export const USER = 'alice';
export const PASSWORD = 'secret';

/** Of a URL with another scheme where the peer wants that: HTTP tunnels have no scheme that all agree on. */
export function urlOf(scheme: string, { host, port, path, login }: Place): string {
  return `${scheme}://${login === 'none' ? '' : `${USER}:${PASSWORD}@`}${host}:${port}${path}`;
}

export const isSecure = (transport: Transport): boolean => transport.endsWith('tls');
