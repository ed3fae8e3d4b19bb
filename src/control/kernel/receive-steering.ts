// SPDX-License-Identifier: Apache-2.0
// Which CPUs a private veth's receiving end is served by. A veth is received from on the CPU that sent to it, so templates,
// once on a CPU, would stay there for ever, and so would the copies that they make. With receive packet steering
// (Documentation/networking/scaling.rst) the hash that lane.h gives them decides.
import { readFile } from 'node:fs/promises';
import { KernelError } from './kernel-error.js';
import { readSetting, writeSetting, type NetDevice } from './sysfs.js';

const ONLINE = '/sys/devices/system/cpu/online';
const MASK = 'queues/rx-0/rps_cpus';

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

/** The same, whatever zeros are before it. */
function readMask(text: string): bigint {
  const digits = text.trim().replaceAll(',', '');
  if (!/^[\da-f]+$/i.test(digits)) throw new KernelError(`no mask of CPUs: ${text}`);
  return BigInt(`0x${digits}`);
}

export interface Steering {
  /** Templates can be sent to CPU 0 .. cpus - 1; 0: they stay where they are. */
  readonly cpus: number;
  /** For people: it is slower without, not wrong. */
  readonly told: string;
}

/** What is asked of the system; replaced by tests. */
export interface SteeringSystem {
  /** CPUs that are online, as a list. */
  online(): Promise<string>;
  write(device: NetDevice, mask: string): Promise<void>;
  read(device: NetDevice): Promise<string>;
}

const SYSFS: SteeringSystem = {
  online: () => readFile(ONLINE, 'utf8'),
  write: (device, mask) => writeSetting(device, MASK, mask),
  read: (device) => readSetting(device, MASK),
};

export async function steerReceived(device: NetDevice, system = SYSFS): Promise<Steering> {
  try {
    return await steer(device, system);
  } catch (error) {
    // A mask other than the program reckons with would send templates where it does not expect them.
    await system.write(device, '0').catch(() => undefined);
    return { cpus: 0, told: `one CPU: ${(error as Error).message}` };
  }
}

/** Every CPU takes part. The kernel spreads hashes over the CPUs of the mask in their order, so the program can name one only
 * where they are numbered without a gap and the kernel has left none out: isolated ones it does (isolcpus=, nohz_full=), without
 * a word. Throws KernelError, or what the file system says. */
async function steer(device: NetDevice, system: SteeringSystem): Promise<Steering> {
  const online = (await system.online()).trim();
  const cpus = parseCpuList(online);
  if (cpus.length < 2) throw new KernelError('there is no other');
  if (cpus.at(-1) !== cpus.length - 1) throw new KernelError(`of those online, ${online}, some are missing`);
  const mask = cpuMask(cpus);
  await system.write(device, mask);
  const taken = (await system.read(device)).trim();
  if (readMask(taken) !== readMask(mask))
    throw new KernelError(`the kernel steers to no isolated one (of ${mask} it took ${taken})`);
  return { cpus: cpus.length, told: `CPUs ${online}` };
}
