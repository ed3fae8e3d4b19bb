// SPDX-License-Identifier: Apache-2.0
// The real product in the middle of a cell: its file of paths, its doors, and how it serves the viewer.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientRow, PathRow, StatusRow, StreamRow } from '../../src/control/api/types.js';
import { ask } from '../../src/proxyctl/api-client.js';
import { temporaryFolder } from '../netns/temporary-folder.js';
import { Product } from '../../test/netns/product.js';
import { until } from '../netns/wait.js';
import type { Cell, Transport } from './cell.js';
import { isSecure, PASSWORD, type Place, urlOf, USER, type Way } from './peer.js';
import type { Surroundings } from './result.js';
import type { Stage } from './stage.js';

const PORT = 8554;
const TLS_PORT = 8322;
const MULTICAST = '239.192.0.0/28';
const WAIT_MS = 30_000;

export interface Ways {
  /** Undefined where somebody is to publish. */
  readonly origin: Place | undefined;
  readonly up: Way;
  readonly down: Way;
}

/** The proxy of a stage goes through all of its cells with one engine, by reloads: each cell has a path of its own. */
export class Proxy {
  readonly #file = join(temporaryFolder(), 'paths.yaml');
  #running: { readonly engine: Cell['engine']; readonly product: Product } | undefined;
  #cells = 0;

  constructor(
    readonly stage: Stage,
    readonly world: Surroundings,
  ) {}

  /** Started where it must be. `place` says where a peer finds it that comes by that way. */
  async prepare(engine: Cell['engine'], { origin, up, down }: Ways) {
    const name = `clip${++this.#cells}`;
    const clip = {
      ...(origin ? fromSource(origin, up, this.world) : fromPublisher(up)),
      ...forViewers(down),
    };
    writeFileSync(this.#file, JSON.stringify({ paths: { [name]: clip } })); // which is YAML
    if (this.#running?.engine === engine) this.#running.product.child.signal('SIGHUP');
    else await this.#start(engine);
    const { product } = this.#running!;
    const isKnown = async () => (await tell<PathRow[]>(product, 'paths')).some((path) => path.name === name);
    await until('the path of the cell', isKnown, WAIT_MS, () => product.child.describe());
    const place = (host: string, { transport, login }: Way): Place => ({
      ...{ host, port: isSecure(transport) ? TLS_PORT : PORT },
      ...{ path: `/${name}`, login },
    });
    return { product, place };
  }

  async #start(engine: Cell['engine']): Promise<void> {
    await this.stop();
    const { certificate, key } = this.world.identity;
    const product = await Product.start({
      ...{ engine, namespace: this.stage.proxy, host: '[::]', port: PORT },
      more: [
        ...['--config', this.#file, '--multicast', MULTICAST, '--tls-listen', `[::]:${TLS_PORT}`],
        ...['--tls-certificate', certificate, '--tls-key', key],
      ],
    });
    this.#running = { engine, product };
  }

  /** It may be in any state: the next cell gets a new one. */
  async abandon(): Promise<void> {
    await this.#running?.product.child.stop('SIGKILL');
    this.#running = undefined;
  }

  /** @throws Error where it does not end well */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.product.stop();
  }
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
const tell = <Answer>({ socket }: Product, what: 'clients' | 'streams' | 'paths' | 'status') =>
  ask<Answer>(socket, 'GET', `/${what}`);

/** Resolves when somebody publishes. */
export async function isPublished(product: Product): Promise<void> {
  const publishes = async () => (await tell<StreamRow[]>(product, 'streams'))[0]?.state === 'playing';
  await until('somebody to publish', publishes, WAIT_MS);
}

/** The viewer gets its copies by that transport, and from whom it should: no fallback passes for success. */
export async function isServed(product: Product, engine: Cell['engine'], { transport }: Way): Promise<void> {
  const by = transport === 'udp' || transport === 'multicast' ? transport : 'tcp';
  const from = by === 'tcp' || engine === 'userspace' ? 'userspace' : 'kernel';
  const tracks = async () => (await tell<ClientRow[]>(product, 'clients'))[0]?.tracks;
  const isSent = async () => (await tracks())?.find(({ servedBy }) => servedBy !== null);
  const track = await until('the viewer to be served', isSent, WAIT_MS);
  if (track.transport !== by || track.servedBy !== from)
    throw new Error(`served by ${track.transport} from ${track.servedBy}, not by ${by} from ${from}`);
}

/** Resolves when nobody is there any more. */
export async function isIdle(product: Product, engine: Cell['engine']): Promise<void> {
  const status = () => tell<StatusRow>(product, 'status');
  await until(
    'the proxy to have neither viewers nor streams',
    async () => {
      const { viewers, streams } = await status();
      return viewers === 0 && streams === 0;
    },
    WAIT_MS,
  );
  const { engine: used } = await status();
  if (used !== engine) throw new Error(`the engine was ${used}`);
}
