// SPDX-License-Identifier: Apache-2.0
// One cell: source, the real product, viewer, one of them the peer in question; then what the viewer decoded is compared
// with what the source has, picture by picture.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { difference, GOP } from '../../test/netns/players.js';
import { Product, temporaryFolder } from '../../test/netns/product.js';
import { until, within } from '../netns/wait.js';
import type { Cell, Transport } from './cell.js';
import { isSecure, PASSWORD, urlOf, USER, type Place } from './peer.js';
import { REFERENCE, sourceNamed, viewerNamed } from './peers/all.js';
import type { Result, Surroundings } from './result.js';
import type { Stage } from './stage.js';
import { showExclusion, whoseFault } from './straight.js';

const LIMIT_MS = 60_000;
const FRAMES = 50;
const PORT = 8554;
const TLS_PORT = 8322;
const PATH = '/clip';
const MULTICAST = '239.192.0.0/28';

/** Never rejects. What it starts has ended when it resolves. */
export async function runCell(stage: Stage, world: Surroundings, cell: Cell): Promise<Result> {
  const result = await onStage(stage, attempt(stage, world, cell));
  if (result.is !== 'failed' || cell.excluded) return result;
  const fault = whoseFault(stage, world, cell);
  return { is: 'failed', why: `${await fault.finally(() => stage.clear())}\n${result.why}` };
}

async function onStage(stage: Stage, running: Promise<Result>): Promise<Result> {
  try {
    return await within('the cell to end', running, LIMIT_MS);
  } catch (error) {
    return { is: 'failed', why: (error as Error).message };
  } finally {
    await stage.clear();
    await running.catch(() => {}); // what it was still waiting for is gone
    await stage.clear();
  }
}

async function attempt(stage: Stage, world: Surroundings, cell: Cell): Promise<Result> {
  const peer = cell.role === 'viewer' ? viewerNamed(cell.peer) : sourceNamed(cell.peer);
  if (peer.version() === undefined) return { is: 'not installed' };
  if (cell.excluded) return showExclusion(stage, world, cell, cell.excluded);
  await play(stage, world, cell);
  return { is: 'ok' };
}

/** @throws Error with what went wrong, and what everybody said */
async function play(stage: Stage, world: Surroundings, cell: Cell): Promise<void> {
  const viewed = cell.role === 'viewer';
  const source = viewed ? REFERENCE.source : sourceNamed(cell.peer);
  const viewer = viewed ? viewerNamed(cell.peer) : REFERENCE.viewer;
  const up = viewed ? PLAIN : cell;
  const down = viewed ? cell : PLAIN;
  const { child, ...served } = await source.serve({
    ...{ where: stage.source, address: stage.sourceAddress(up.ip), transport: up.transport, login: up.login },
    ...{ clip: world.clip, certificate: world.identity.both },
  });
  const origin = { host: inUrl(stage.sourceAddress(up.ip)), ...served, login: up.login };
  const product = await startProduct(stage, world, cell.engine, configFor(origin, up, down, world));
  const at: Place = {
    ...{ host: inUrl(stage.proxyAddress(down.ip)), port: isSecure(down.transport) ? TLS_PORT : PORT },
    ...{ path: PATH, login: down.login },
  };
  const player = await viewer.watch({ where: stage.viewer, at, transport: down.transport, frames: FRAMES });
  try {
    await isServed(product, cell.engine, down);
    const wrong = difference(await player.frames(), world.clip.hashes, FRAMES - GOP);
    if (wrong !== undefined) throw new Error(wrong);
    await product.idle();
    await product.stop();
  } catch (error) {
    const said = [player.child, product.child, child].map((each) => each.describe());
    throw new Error([(error as Error).message, ...said].join('\n'), { cause: error });
  }
}

type Way = Pick<Cell, 'transport' | 'ip' | 'login'>;
const PLAIN: Way = { transport: 'udp', ip: 'ipv4', login: 'none' };

const inUrl = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** Of a source that is to come by TLS or multicast nothing need be said. */
const SOURCE_TRANSPORT: Partial<Record<Transport, { sourceTransport: string }>> = {
  ...{ udp: { sourceTransport: 'udp' }, tcp: { sourceTransport: 'tcp' } },
  ...{ http: { sourceTransport: 'http' }, 'http-tls': { sourceTransport: 'http' } },
};

/** The file of paths, as JSON, which is YAML. */
function configFor(origin: Place, up: Way, down: Way, { authority }: Surroundings): string {
  const secure = isSecure(up.transport);
  const clip = {
    source: urlOf(secure ? 'rtsps' : 'rtsp', origin),
    ...(secure ? { sourceCa: authority.certificate } : {}),
    ...SOURCE_TRANSPORT[up.transport],
    ...(down.login !== 'none' && {
      readUsers: [{ name: USER, password: PASSWORD }],
      authMethods: [down.login],
    }),
  };
  return JSON.stringify({ paths: { [PATH.slice(1)]: clip } });
}

function startProduct(stage: Stage, world: Surroundings, engine: Cell['engine'], config: string) {
  const file = join(temporaryFolder(), 'paths.yaml');
  writeFileSync(file, config);
  const { certificate, key } = world.identity;
  return Product.start({
    ...{ engine, namespace: stage.proxy, host: '[::]', port: PORT },
    more: [
      ...['--config', file, '--multicast', MULTICAST, '--tls-listen', `[::]:${TLS_PORT}`],
      ...['--tls-certificate', certificate, '--tls-key', key],
    ],
  });
}

/** The viewer gets its copies by the transport of the cell, and from whom it should: no fallback passes for success. */
async function isServed(product: Product, engine: Cell['engine'], { transport }: Way): Promise<void> {
  const { engine: used } = await product.status();
  if (used !== engine) throw new Error(`the engine is ${used}`);
  const by = transport === 'udp' || transport === 'multicast' ? transport : 'tcp';
  const from = by === 'tcp' || engine === 'userspace' ? 'userspace' : 'kernel';
  const track = await until(
    'the viewer to be sent packets',
    async () => (await product.clients())[0]?.tracks.find(({ packets }) => packets > 0),
    15_000,
  );
  if (track.transport !== by || track.servedBy !== from)
    throw new Error(`served by ${track.transport} from ${track.servedBy}, not by ${by} from ${from}`);
}
