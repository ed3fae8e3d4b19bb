// SPDX-License-Identifier: Apache-2.0
// Which CPUs a private veth's receiving end is served by. A veth is received from on the CPU that sent to it, so templates,
// once on a CPU, would stay there for ever, and so would the copies that they make. With receive packet steering
// (Documentation/networking/scaling.rst) the hash that lane.h gives them decides.
import { readFile } from 'node:fs/promises';
import { KernelError } from './kernel-error.js';
import { writeSetting, type NetDevice } from './sysfs.js';

const ONLINE = '/sys/devices/system/cpu/online';

/** A list as the kernel writes it, `0-3,6`, to numbers. @throws on anything else */
export function parseCpuList(list: string): number[] {
  return list
    .trim()
    .split(',')
    .flatMap((range) => {
      const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range) ?? [];
      if (first === undefined || Number(last) < Number(first))
        throw new KernelError(`no list of CPUs: ${list}`);
      return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i);
    });
}

/** As the kernel reads it: hexadecimal, 32 CPUs between commas, the highest first. */
export function cpuMask(cpus: readonly number[]): string {
  const bits = cpus.reduce((mask, cpu) => mask | (1n << BigInt(cpu)), 0n).toString(16);
  const whole = bits.padStart(Math.ceil(bits.length / 8) * 8, '0');
  return whole.match(/.{8}/g)!.join(',');
}

export interface Steering {
  /** Templates can be sent to CPU 0 .. cpus - 1; 0: they stay where they are. */
  readonly cpus: number;
  /** For people: it is slower without, not wrong. */
  readonly told: string;
}

/** Every CPU takes part. The kernel spreads hashes over the CPUs of the mask in their order, so the program can name one
 * only where they are numbered without a gap. */
export async function steerReceived(device: NetDevice): Promise<Steering> {
  try {
    const online = (await readFile(ONLINE, 'utf8')).trim();
    const cpus = parseCpuList(online);
    if (cpus.length < 2) return { cpus: 0, told: 'one CPU: there is no other' };
    if (cpus.at(-1) !== cpus.length - 1)
      return { cpus: 0, told: `one CPU: of those online, ${online}, some are missing` };
    await writeSetting(device, 'queues/rx-0/rps_cpus', cpuMask(cpus));
    return { cpus: cpus.length, told: `CPUs ${online}` };
  } catch (error) {
    return { cpus: 0, told: `one CPU: ${(error as Error).message}` };
  }
}
