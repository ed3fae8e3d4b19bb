// SPDX-License-Identifier: Apache-2.0
// The real product in the middle of a cell: its file of paths, its doors, and how it serves the viewer.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientRow, StreamRow } from '../../src/control/api/types.js';
import { ask } from '../../src/proxyctl/api-client.js';
import { Product, temporaryFolder } from '../../test/netns/product.js';
import { until } from '../netns/wait.js';
import type { Cell, Transport } from './cell.js';
import { isSecure, PASSWORD, type Place, urlOf, USER, type Way } from './peer.js';
import type { Surroundings } from './result.js';
import type { Stage } from './stage.js';

const PORT = 8554;
const TLS_PORT = 8322;
export const PATH = '/clip';
const MULTICAST = '239.192.0.0/28';
const WAIT_MS = 30_000;

/** Where a peer finds it that comes by that way. */
export const placeAt = (host: string, { transport, login }: Way): Place => ({
  ...{ host, port: isSecure(transport) ? TLS_PORT : PORT },
  ...{ path: PATH, login },
});

/** `origin`: undefined where somebody is to publish. */
export async function startProxy(
  stage: Stage,
  world: Surroundings,
  engine: Cell['engine'],
  { origin, up, down }: { origin: Place | undefined; up: Way; down: Way },
): Promise<Product> {
  const file = join(temporaryFolder(), 'paths.yaml');
  const clip = { ...(origin ? fromSource(origin, up, world) : fromPublisher(up)), ...forViewers(down) };
  writeFileSync(file, JSON.stringify({ paths: { [PATH.slice(1)]: clip } })); // which is YAML
  const { certificate, key } = world.identity;
  return Product.start({
    ...{ engine, namespace: stage.proxy, host: '[::]', port: PORT },
    more: [
      ...['--config', file, '--multicast', MULTICAST, '--tls-listen', `[::]:${TLS_PORT}`],
      ...['--tls-certificate', certificate, '--tls-key', key],
    ],
  });
}

/** Of a source that is to come by TLS or multicast nothing need be said. */
const SOURCE_TRANSPORT: Partial<Record<Transport, { sourceTransport: string }>> = {
  ...{ udp: { sourceTransport: 'udp' }, tcp: { sourceTransport: 'tcp' } },
  ...{ http: { sourceTransport: 'http' }, 'http-tls': { sourceTransport: 'http' } },
};

function fromSource(origin: Place, { transport }: Way, { authority }: Surroundings) {
  const secure = isSecure(transport);
  return {
    source: urlOf(secure ? 'rtsps' : 'rtsp', origin),
    ...(secure ? { sourceCa: authority.certificate } : {}),
    ...SOURCE_TRANSPORT[transport],
  };
}

const users = [{ name: USER, password: PASSWORD }];

const fromPublisher = ({ login }: Way) => ({
  source: 'publish',
  ...(login !== 'none' && { publishUsers: users, authMethods: [login] }),
});

const forViewers = ({ login }: Way) => login !== 'none' && { readUsers: users, authMethods: [login] };

/** Asked without proxyctl: on a busy machine a viewer's two seconds are over before that has started. */
const tell = <Row>({ socket }: Product, what: 'clients' | 'streams') => ask<Row[]>(socket, 'GET', `/${what}`);

/** Resolves when somebody publishes. */
export async function isPublished(product: Product): Promise<void> {
  const publishes = async () => (await tell<StreamRow>(product, 'streams'))[0]?.state === 'playing';
  await until('somebody to publish', publishes, WAIT_MS, () => product.child.describe());
}

/** The viewer gets its copies by that transport, and from whom it should: no fallback passes for success. */
export async function isServed(product: Product, engine: Cell['engine'], { transport }: Way): Promise<void> {
  const by = transport === 'udp' || transport === 'multicast' ? transport : 'tcp';
  const from = by === 'tcp' || engine === 'userspace' ? 'userspace' : 'kernel';
  const track = await until(
    'the viewer to be served',
    async () =>
      (await tell<ClientRow>(product, 'clients'))[0]?.tracks.find(({ servedBy }) => servedBy !== null),
    WAIT_MS,
  );
  if (track.transport !== by || track.servedBy !== from)
    throw new Error(`served by ${track.transport} from ${track.servedBy}, not by ${by} from ${from}`);
}
