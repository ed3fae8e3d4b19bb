// SPDX-License-Identifier: Apache-2.0
// Which CPUs a private veth's receiving end is served by. A veth is received from on the CPU that sent to it, so templates,
// once on a CPU, would stay there for ever, and so would the copies that they make. With receive packet steering
// (Documentation/networking/scaling.rst) the hash that lane.h gives them decides.
import { readFile, writeFile } from 'node:fs/promises';
import { KernelError } from './kernel-error.js';
import { command } from './private-veth.js';

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
export async function steerReceived({ name, ifindex }: { name: string; ifindex: number }): Promise<Steering> {
  try {
    const online = (await readFile(ONLINE, 'utf8')).trim();
    const cpus = parseCpuList(online);
    if (cpus.length < 2) return { cpus: 0, told: 'one CPU: there is no other' };
    if (cpus.at(-1) !== cpus.length - 1)
      return { cpus: 0, told: `one CPU: of those online, ${online}, some are missing` };
    await write(name, ifindex, cpuMask(cpus));
    return { cpus: cpus.length, told: `CPUs ${online}` };
  } catch (error) {
    return { cpus: 0, told: `one CPU: ${(error as Error).message}` };
  }
}

async function write(name: string, ifindex: number, mask: string): Promise<void> {
  const device = `/sys/class/net/${name}`;
  const file = `${device}/queues/rx-0/rps_cpus`;
  const shown = await readFile(`${device}/ifindex`, 'utf8').catch(() => '');
  if (Number(shown) === ifindex && shown !== '') return writeFile(file, mask);
  // /sys is that of the network namespace it was mounted in, which need not be ours.
  const script = 'mount -t sysfs sysfs /sys && echo "$1" > "$2"';
  await command('unshare', ['--mount', 'sh', '-c', script, 'sh', mask, file]);
}
