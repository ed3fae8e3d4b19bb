// SPDX-License-Identifier: Apache-2.0
// What a cell is: source or publisher, the real product, viewer, one of them the peer in question; then what the viewer has
// decoded is compared with what the source has, picture by picture.
import { difference, GOP } from '../../test/netns/players.js';
import type { Child } from '../netns/child.js';
import type { Cell } from './cell.js';
import { PLAIN, type Place, type Way } from './peer.js';
import { publisherNamed, REFERENCE, sourceNamed, viewerNamed } from './peers/all.js';
import { isIdle, isPublished, isServed, type Proxy } from './proxy.js';
import { inUrl } from './stage.js';

const FRAMES = 50;

/** @throws Error with what went wrong, and what everybody said */
export async function play(proxy: Proxy, cell: Cell): Promise<void> {
  const children: Child[] = [];
  try {
    await acts(proxy, cell, children);
  } catch (error) {
    const said = children.reverse().map((child) => child.describe());
    throw new Error([(error as Error).message, ...said].join('\n'), { cause: error });
  }
}

/** Whatever it starts is put among the children. */
async function acts(proxy: Proxy, cell: Cell, children: Child[]): Promise<void> {
  const { stage, world } = proxy;
  const [up, down] = cell.role === 'viewer' ? [PLAIN, cell] : [cell, PLAIN];
  const origin = await serve(proxy, cell, children);
  const { product, place } = await proxy.prepare(cell.engine, { origin, up, down });
  children.push(product.child);
  let publisher: Child | undefined;
  if (cell.role === 'publisher') {
    const at = place(inUrl(stage.proxyAddressUpstream(cell.ip)), cell);
    const { transport } = cell;
    const publishing = { where: stage.source, at, transport, clip: world.clip };
    children.push((publisher = await publisherNamed(cell.peer).publish(publishing)));
    await isPublished(product);
  }
  const viewer = cell.role === 'viewer' ? viewerNamed(cell.peer) : REFERENCE.viewer;
  const at = place(inUrl(stage.proxyAddress(down.ip)), down);
  const player = await viewer.watch({ where: stage.viewer, at, transport: down.transport, frames: FRAMES });
  children.push(player.child);
  await isServed(product, cell.engine, down);
  const wrong = difference(await player.frames(), world.clip.hashes, FRAMES - GOP);
  if (wrong !== undefined) throw new Error(wrong);
  await publisher?.stop('SIGINT');
  await isIdle(product, cell.engine);
}

/** Undefined: the cell is about a publisher. */
async function serve({ stage, world }: Proxy, cell: Cell, children: Child[]): Promise<Place | undefined> {
  if (cell.role === 'publisher') return undefined;
  const source = cell.role === 'source' ? sourceNamed(cell.peer) : REFERENCE.source;
  const { transport, login, ip }: Way = cell.role === 'source' ? cell : PLAIN;
  const address = stage.sourceAddress(ip);
  const { child, port, path } = await source.serve({
    ...{ where: stage.source, address, transport, login },
    ...{ clip: world.clip, certificate: world.identity.both },
  });
  children.push(child);
  return { host: inUrl(address), port, path, login };
}
