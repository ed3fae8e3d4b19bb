// SPDX-License-Identifier: Apache-2.0
// A device's settings and facts that only sysfs has. It shows the network namespace that it was mounted in, which need not be ours:
// then it is mounted anew, in a mount namespace of a moment.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { command } from './private-veth.js';

export interface NetDevice {
  readonly name: string;
  readonly ifindex: number;
}

const folderOf = ({ name }: NetDevice) => `/sys/class/net/${name}`;

async function isShown(device: NetDevice): Promise<boolean> {
  const shown = await readFile(`${folderOf(device)}/ifindex`, 'utf8').catch(() => '');
  return shown !== '' && Number(shown) === device.ifindex;
}

/** What the shell script says, with the arguments as $1, $2 ... */
function withOwnSysfs(script: string, ...args: string[]): Promise<string> {
  return command('unshare', ['--mount', 'sh', '-c', `mount -t sysfs sysfs /sys && ${script}`, 'sh', ...args]);
}

/** Sets `file` of the device's folder. Throws KernelError, or what the file system says. */
export async function writeSetting(device: NetDevice, file: string, value: string): Promise<void> {
  const path = `${folderOf(device)}/${file}`;
  if (await isShown(device)) await writeFile(path, value);
  else await withOwnSysfs('echo "$1" > "$2"', value, path);
}

/** What `file` of the device's folder says. Throws KernelError, or what the file system says. */
export async function readSetting(device: NetDevice, file: string): Promise<string> {
  const path = `${folderOf(device)}/${file}`;
  return (await isShown(device)) ? readFile(path, 'utf8') : withOwnSysfs('cat "$1"', path);
}

/** How many queues the device sends from. Throws KernelError, or what the file system says. */
export async function transmitQueues(device: NetDevice): Promise<number> {
  const folder = `${folderOf(device)}/queues`;
  const names = (await isShown(device))
    ? await readdir(folder)
    : (await withOwnSysfs('ls "$1"', folder)).split('\n');
  return names.filter((name) => name.startsWith('tx-')).length;
}
