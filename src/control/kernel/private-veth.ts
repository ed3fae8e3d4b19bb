// SPDX-License-Identifier: Apache-2.0
// The engine's own veth pairs: two in whose queues packets wait for their next pass (TC's and XDP's), one through which
// copies reach viewers on this very host. Made with ip(8) and ethtool(8) at start, removed at the end; nothing per packet.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { promisify } from 'node:util';
import { KernelError } from './kernel-error.js';

const run = promisify(execFile);
/** The largest that a veth takes: templates are as large as the source's link lets them be. With XDP at the other end a
 * frame must fit into one page, room for headers and the like taken off. */
const MTU = { queue: 65535, local: 65535, xdp: 3400 };
/** Of lane.h, TX_QUEUES. */
const MOST_QUEUES = 64;

/** Each CPU has a queue of its own, or all that is sent there would be received on one. TC's is steered instead. */
export const queuesOf = (use: VethUse): number =>
  use === 'queue' ? 1 : Math.min(cpus().length, MOST_QUEUES);

export interface VethEnd {
  readonly name: string;
  readonly ifindex: number;
  readonly mac: Buffer;
}

/** What goes into `send` comes out of `receive`. */
export interface VethPair {
  readonly send: VethEnd;
  readonly receive: VethEnd;
}

export type VethUse = 'queue' | 'local' | 'xdp';

/** `rfo8554-q0` and `rfo8554-q1`: at most 15 characters for any port. */
function endNames(port: number, use: VethUse): [send: string, receive: string] {
  const stem = `rfo${port}-${use[0]}`;
  return [`${stem}0`, `${stem}1`];
}

/** The port of the proxy whose private device this is; undefined for any other device. */
export function portOfPrivateDevice(name: string): number | undefined {
  const port = /^rfo(\d+)-[qlx][01]$/.exec(name)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** Its output. Throws KernelError with what it said. */
export async function command(program: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(program, args)).stdout;
  } catch (error) {
    const { stderr, code, message } = error as { stderr?: string; code?: unknown; message: string };
    if (code === 'ENOENT') throw new KernelError(`${program} is not installed`);
    throw new KernelError(`${program} ${args.join(' ')}: ${(stderr || message).trim()}`);
  }
}

async function end(name: string): Promise<VethEnd> {
  const [link] = JSON.parse(await command('ip', ['-json', 'link', 'show', 'dev', name])) as [
    { ifindex: number; address: string },
  ];
  return { name, ifindex: link.ifindex, mac: Buffer.from(link.address.replaceAll(':', ''), 'hex') };
}

/** Makes the pair anew (one left by a killed process goes first). No address, so nothing routes to it: only this
 * engine sends there. Throws KernelError. */
export async function makeVeth(port: number, use: VethUse): Promise<VethPair> {
  const [send, receive] = endNames(port, use);
  await removeVeth(port, use);
  const queues = ['numtxqueues', `${queuesOf(use)}`, 'numrxqueues', `${queuesOf(use)}`];
  await command('ip', ['link', 'add', send, ...queues, 'type', 'veth', 'peer', 'name', receive, ...queues]);
  for (const name of [send, receive])
    await command('ip', ['link', 'set', name, 'addrgenmode', 'none', 'mtu', `${MTU[use]}`, 'up']);
  // GRO at the receiving end and no TSO at the sending one give it NAPI: one queue of its own, in order, that says when it is
  // full. Otherwise frames go to the backlog of whichever CPU sends: shared with everybody, and silent.
  await command('ethtool', ['-K', receive, 'gro', 'on']);
  await command('ethtool', ['-K', send, 'tso', 'off']);
  if (use === 'local') await acceptOwnAddresses(receive);
  // Not XDP's: with a queueing discipline, one CPU may send what another has enqueued, and then receive it as well.
  if (use === 'queue') await pace(send);
  // XDP knows nothing of checksums that a device is to complete: have the kernel do it before.
  if (use === 'xdp') await command('ethtool', ['-K', send, 'tx', 'off']);
  return { send: await end(send), receive: await end(receive) };
}

/**
 * Templates that found little room would go round as fast as the processor can: they are slowed down, the others are not.
 * `fq`, where the kernel has it, holds them until the departure time that the program gave them. HTB does it with a class
 * of its own (template.h puts them there), which is given so many packets a second, however long: the overhead that each
 * is said to have is far more than its length. What is in no class passes at once.
 */
const SLOW_PACKETS_PER_SECOND = 20_000;
const SLOW_OVERHEAD = 60_000;
const SLOW_RATE = `${SLOW_PACKETS_PER_SECOND * SLOW_OVERHEAD}bps`; // bytes per second, to tc(8)
const FQ = ['root', 'fq', 'limit', '1000', 'flow_limit', '1000'];
const HTB = ['root', 'handle', '1:', 'htb'];
const SLOW_CLASS = [
  'parent',
  '1:',
  'classid',
  '1:1',
  'htb',
  'rate',
  SLOW_RATE,
  'overhead',
  `${SLOW_OVERHEAD}`,
];
const SLOW_BURST = ['burst', `${4 * SLOW_OVERHEAD}`, 'cburst', `${4 * SLOW_OVERHEAD}`];

export type QueuePacing =
  'departure times' | 'a slow class' | 'not paced: this kernel has neither fq nor htb';

async function pace(device: string): Promise<void> {
  const replace = (...discipline: string[]) =>
    command('tc', ['qdisc', 'replace', 'dev', device, ...discipline]);
  await replace(...FQ)
    .catch(async () => {
      await replace(...HTB);
      await command('tc', ['class', 'replace', 'dev', device, ...SLOW_CLASS, ...SLOW_BURST]);
    })
    .catch(() => command('tc', ['qdisc', 'del', 'dev', device, 'root']).catch(() => undefined));
}

/** What slows templates down in that end's queue. */
export async function pacingOf({ name }: VethEnd): Promise<QueuePacing> {
  const shown = await command('tc', ['qdisc', 'show', 'dev', name, 'root']);
  if (shown.includes('qdisc fq ')) return 'departure times';
  return shown.includes('qdisc htb ') ? 'a slow class' : 'not paced: this kernel has neither fq nor htb';
}

/** The pair that a killed process left, with what waits in it; made anew when it is not there. Throws KernelError. */
export async function takeOverVeth(port: number, use: VethUse): Promise<VethPair> {
  const [send, receive] = endNames(port, use);
  try {
    return { send: await end(send), receive: await end(receive) };
  } catch {
    return makeVeth(port, use);
  }
}

/** Copies for this host's own addresses, 127.0.0.1 included, come in over a device that is not the loopback: the IP stack
 * takes them only where it is told to. Concerns our device alone. */
async function acceptOwnAddresses(name: string): Promise<void> {
  for (const [setting, value] of [
    ['accept_local', '1'],
    ['route_localnet', '1'],
    ['rp_filter', '0'],
  ])
    await writeFile(`/proc/sys/net/ipv4/conf/${name}/${setting}`, value!);
}

/** Removes the pair; none there is fine. Throws KernelError. */
export async function removeVeth(port: number, use: VethUse): Promise<void> {
  await command('ip', ['link', 'del', endNames(port, use)[0]]).catch((error: KernelError) => {
    if (!error.message.includes('Cannot find device')) throw error;
  });
}

/** The same where the rest is closed or undone whatever happens: what stays is removed by the next start on that port. */
export async function discardVeth(port: number, use: VethUse): Promise<void> {
  await removeVeth(port, use).catch(() => undefined);
}
