// SPDX-License-Identifier: Apache-2.0
// server <-> proxy <-> viewers as network namespaces joined by veth pairs: no bridge, each link its own subnet, names
// unique to this process, everything removed by close() or with the process.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { Child, type StartOptions, run } from './child.js';
import { onProcessExit } from './on-exit.js';

/** Device features as `ethtool -K` names them: gro, gso, tso, tx, rx ... */
export type Offloads = Readonly<Record<string, boolean>>;

export interface TopologyOptions {
  /** Viewer namespaces, each on a link of its own (default 1, at most 16). */
  readonly viewers?: number;
  /** Addresses in each viewer namespace (default 1, at most 60000). */
  readonly addresses?: number;
  /** Queues of each link to viewers, in both directions (default 1). */
  readonly queues?: number;
  /** For both ends of every link; GRO on (veth then polls with NAPI, as a NIC does) unless said otherwise. */
  readonly offloads?: Offloads;
}

/** One end of a link. `address` is its first one. */
export interface Port {
  readonly device: string;
  readonly address: string;
}

const NAMES = '/run/netns';
const PREFIX = 'rfo';
const DEFAULT_OFFLOADS: Offloads = { gro: true, gso: false, tso: false };
let made = 0;

export class Namespace {
  readonly #children = new Set<Child>();

  constructor(readonly name: string) {}

  /** Starts a program in this network namespace; files stay the host's (/sys/fs/bpf among them). */
  async spawn(command: string, args: readonly string[], options: StartOptions = {}): Promise<Child> {
    const child = await Child.start('nsenter', [`--net=${NAMES}/${this.name}`, command, ...args], options);
    this.#children.add(child);
    void child.exited.then(() => this.#children.delete(child));
    return child;
  }

  /** Runs a program to its end. @throws with its output when it fails. */
  async run(command: string, args: readonly string[], input?: string): Promise<string> {
    return run(
      'nsenter',
      [`--net=${NAMES}/${this.name}`, command, ...args],
      input === undefined ? {} : { input },
    );
  }

  /** @throws when a feature cannot be set; one that is fixed at the wanted value is no error. */
  async offloads(device: string, features: Offloads): Promise<void> {
    const words = Object.entries(features).flatMap(([name, on]) => [name, on ? 'on' : 'off']);
    await this.run('ethtool', ['-K', device, ...words]);
  }

  /** Kills what still runs in here, and waits for the end of what spawn() has started. */
  async clear(): Promise<void> {
    killAll(this.name);
    await Promise.all([...this.#children].map((child) => child.exited));
  }

  /** Kills what still runs in here, then removes the namespace and with it its devices. */
  async remove(): Promise<void> {
    await this.clear();
    await run('ip', ['netns', 'delete', this.name]);
  }
}

export interface Topology {
  readonly server: Namespace;
  readonly proxy: Namespace;
  readonly viewers: readonly Namespace[];
  /** server <-> proxy. */
  readonly upstream: { readonly server: Port; readonly proxy: Port };
  /** proxy <-> viewers[i]; `addresses` are all of that viewer namespace. */
  readonly downstream: readonly {
    readonly proxy: Port;
    readonly viewer: Port;
    readonly addresses: readonly string[];
  }[];
  close(): Promise<void>;
}

/** Kills whatever runs in the network namespace, grandchildren included. */
function killAll(name: string): void {
  const inside = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).stdout ?? '';
  for (const pid of inside.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it has just ended by itself
    }
  }
}

function removeNow(name: string): void {
  killAll(name);
  spawnSync('ip', ['netns', 'delete', name]);
}

/** Removes namespaces, and what still runs in them, of test processes that were killed before they could. */
function sweep(): void {
  for (const name of existsSync(NAMES) ? readdirSync(NAMES) : []) {
    const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
    if (pid && !existsSync(`/proc/${pid}`)) removeNow(name);
  }
}

/** The address number `n` (from 1) of link `link`: 10.77.link.0/24 upstream, 10.(78+link).0.0/16 downstream. */
function downstreamAddress(link: number, n: number): string {
  return `10.${78 + link}.${n >> 8}.${n & 255}`;
}

async function connect(
  a: Namespace,
  deviceA: string,
  b: Namespace,
  deviceB: string,
  queues = 1,
): Promise<void> {
  const own = ['numtxqueues', `${queues}`, 'numrxqueues', `${queues}`];
  const peer = ['peer', 'name', deviceB, ...own, 'netns', b.name];
  await run('ip', ['-n', a.name, 'link', 'add', deviceA, ...own, 'type', 'veth', ...peer]);
}

async function setUp(namespace: Namespace, device: string, cidrs: readonly string[], offloads: Offloads) {
  const lines = cidrs.map((cidr) => `addr add ${cidr} dev ${device}`);
  await namespace.run(
    'ip',
    ['-batch', '-'],
    [...lines, `link set ${device} up`, 'link set lo up', ''].join('\n'),
  );
  await namespace.offloads(device, offloads);
}

async function build(namespaces: Namespace[], options: TopologyOptions): Promise<Omit<Topology, 'close'>> {
  const offloads = { ...DEFAULT_OFFLOADS, ...options.offloads };
  const base = `${PREFIX}-${process.pid}-${made++}`;
  const create = async (role: string) => {
    const namespace = new Namespace(`${base}-${role}`);
    await run('ip', ['netns', 'add', namespace.name]);
    namespaces.push(namespace);
    return namespace;
  };
  const server = await create('server');
  const proxy = await create('proxy');
  await connect(server, 'eth0', proxy, 'up0');
  const upstream = {
    server: { device: 'eth0', address: '10.77.0.2' },
    proxy: { device: 'up0', address: '10.77.0.1' },
  };
  await setUp(server, 'eth0', [`${upstream.server.address}/24`], offloads);
  await setUp(proxy, 'up0', [`${upstream.proxy.address}/24`], offloads);

  const viewers: Namespace[] = [];
  const downstream: Topology['downstream'][number][] = [];
  for (let link = 0; link < (options.viewers ?? 1); link++) {
    const viewer = await create(`viewer${link}`);
    const device = `down${link}`;
    const address = downstreamAddress(link, 1);
    const addresses = Array.from({ length: options.addresses ?? 1 }, (_, i) =>
      downstreamAddress(link, i + 2),
    );
    await connect(viewer, 'eth0', proxy, device, options.queues);
    await setUp(proxy, device, [`${address}/16`], offloads);
    await setUp(
      viewer,
      'eth0',
      addresses.map((a) => `${a}/16`),
      offloads,
    );
    await viewer.run('ip', ['route', 'add', 'default', 'via', address]);
    viewers.push(viewer);
    downstream.push({
      proxy: { device, address },
      viewer: { device: 'eth0', address: addresses[0]! },
      addresses,
    });
  }
  return { server, proxy, viewers, upstream, downstream };
}

/** Builds all or nothing. @throws the first command that failed, with its output. */
export async function createTopology(options: TopologyOptions = {}): Promise<Topology> {
  if ((options.viewers ?? 1) > 16 || (options.addresses ?? 1) > 60_000)
    throw new RangeError('at most 16 viewer namespaces of 60000 addresses');
  sweep();
  const namespaces: Namespace[] = [];
  const forget = onProcessExit(() => {
    for (const { name } of namespaces) removeNow(name);
  });
  const close = async (): Promise<void> => {
    for (;;) {
      const last = namespaces.at(-1);
      if (!last) break;
      await last.remove();
      namespaces.pop();
    }
    forget();
  };
  try {
    return { ...(await build(namespaces, options)), close };
  } catch (error) {
    await close();
    throw error;
  }
}
