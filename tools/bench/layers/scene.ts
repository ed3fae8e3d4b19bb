// SPDX-License-Identifier: Apache-2.0
// One run: a camera, the proxy with a policy, and viewers behind a bottleneck; what each side counts between two moments.
import { mkdirSync } from 'node:fs';
import type { ClientRow, StatusRow, StreamRow } from '../../../src/control/api/types.js';
import type { PolicyName } from '../../../src/control/layers/policy.js';
import { ask } from '../../../src/proxyctl/api-client.js';
import type { Child } from '../../netns/child.js';
import { askLine, compiled } from '../programs.js';
import { busyMoment, type BusyMoment } from './busy.js';
import { Place, type Bottleneck } from './place.js';
import type { Seen } from './viewers-worker.js';

export interface SceneOptions {
  readonly policy: PolicyName;
  readonly viewers: number;
  readonly bottleneck: Bottleneck;
  /** Bits per second. */
  readonly rate: number;
  /** The real clip instead of the made-up stream; packets of the first viewer are kept in `keep`. */
  readonly clip?: string;
  readonly keep?: string;
}

/** What both sides have counted by one moment. */
export interface Moment {
  readonly ms: number;
  readonly clients: readonly ClientRow[];
  readonly streams: readonly StreamRow[];
  readonly status: StatusRow;
  readonly seen: readonly Seen[];
  /** Of both the machine and the camera. */
  readonly busy: BusyMoment;
}

const PORT = 8554;
const FOLDER = 'build/bench';
const SOCKET = `${FOLDER}/layers-${process.pid}.sock`;

export class Scene {
  readonly #children: Child[];

  static async open(options: SceneOptions): Promise<Scene> {
    mkdirSync(FOLDER, { recursive: true });
    const place = await Place.build();
    try {
      await place.narrow(options.bottleneck, options.rate);
      return new Scene(place, await start(place, options));
    } catch (error) {
      await place.close();
      throw error;
    }
  }

  private constructor(
    readonly place: Place,
    children: Child[],
  ) {
    this.#children = children;
  }

  async moment(): Promise<Moment> {
    const [clients, streams, status, seen] = await Promise.all([
      ask<ClientRow[]>(SOCKET, 'GET', '/clients'),
      ask<StreamRow[]>(SOCKET, 'GET', '/streams'),
      ask<StatusRow>(SOCKET, 'GET', '/status'),
      askLine<Seen[]>(this.#children.at(-1)!, 30_000),
    ]);
    return { ms: performance.now(), clients, streams, status, seen, busy: this.busy() };
  }

  busy(): BusyMoment {
    return busyMoment(this.#children[0]!.stdout);
  }

  /** Of the only viewer. */
  async allowance(): Promise<number> {
    const [client] = await ask<ClientRow[]>(SOCKET, 'GET', '/clients');
    return client?.tracks[0]?.layers?.allowance ?? 7;
  }

  async close(): Promise<void> {
    const [camera, proxy, viewers] = this.#children as [Child, Child, Child];
    await viewers.finish(30_000).catch(() => {});
    await proxy.stop('SIGTERM', 20_000);
    await camera.stop();
    await this.place.close();
  }
}

async function start(place: Place, options: SceneOptions): Promise<Child[]> {
  const { server, proxy, upstream } = place.topology;
  const { clip, policy, viewers, keep } = options;
  const camera = await server.spawn(process.execPath, [
    ...[compiled('tools/camera/main.js'), '--listen', `${upstream.server.address}:554`, '--json'],
    ...(clip === undefined ? ['--layers'] : ['--clip', clip]),
  ]);
  await camera.output(/"listening"/);
  const product = await proxy.spawn('bin/rtsp-fanout', [
    ...['--listen', `${place.proxyAddress}:${PORT}`, '--datapath', 'tc', '--layer-policy', policy],
    ...['--api-socket', SOCKET, '--log-level', 'debug'],
    `rtsp://${upstream.server.address}/camera`,
  ]);
  await product.output(/^ *datapath /m, 30_000);
  const crowd = await place.crowd.spawn(process.execPath, [
    compiled('tools/bench/layers/viewers-worker.js'),
    ...[`${viewers}`, `rtsp://${place.proxyAddress}:${PORT}/camera`, place.crowdAddress],
    ...(keep === undefined ? [] : [keep]),
  ]);
  await crowd.output(/^playing$/m, 60_000);
  return [camera, product, crowd];
}
