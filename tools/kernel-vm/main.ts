// SPDX-License-Identifier: Apache-2.0
// Boots another kernel (kernel.sh has brought it) in QEMU, without KVM, and runs a command in it on this machine's own
// files, shared read-only. Its output is ours, and so is its exit status. Usage: main.js SECONDS COMMAND [ARGUMENT]...
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onProcessExit } from '../netns/on-exit.js';
import { cpio } from './cpio.js';
import { neededModules } from './modules.js';

const FOLDER = 'build/kernel-vm';
const PROCESSORS = 2;
const MEMORY_MB = 2048;
/** What timeout(1) exits with when the time was up. */
const TIMED_OUT = 124;
const STATUS = /^kernel-vm: status (\d+)$/;

const [seconds = '', ...command] = process.argv.slice(2);
if (!/^\d+$/.test(seconds) || command.length === 0) {
  console.error('usage: main.js SECONDS COMMAND [ARGUMENT]...');
  process.exit(2);
}
process.exitCode = await boot(Number(seconds));

/** What the guest finds before it has its root. */
function initramfs(): Buffer {
  const modules = neededModules(join(FOLDER, 'modules'));
  const folders = ['proc', 'sys', 'dev', 'lower', 'upper', 'system', 'modules'].map((path) => ({ path }));
  return cpio([
    ...folders,
    { path: 'init', content: readFileSync('tools/kernel-vm/init.sh'), executable: true },
    { path: 'busybox', content: readFileSync(join(FOLDER, 'busybox')), executable: true },
    { path: 'command', content: [process.cwd(), ...command].join('\n') },
    { path: 'modules/order', content: modules.map(({ name }) => `${name}\n`).join('') },
    ...modules.map(({ name, image }) => ({ path: `modules/${name}`, content: image })),
  ]);
}

function machine(folder: string): string[] {
  return [
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', String(PROCESSORS), '-m', String(MEMORY_MB)],
    ...['-display', 'none', '-monitor', 'none', '-nodefaults', '-no-user-config', '-no-reboot'],
    ...['-serial', `file:${join(folder, 'console')}`, '-serial', 'stdio'],
    ...['-kernel', join(FOLDER, 'vmlinuz'), '-initrd', join(folder, 'initramfs')],
    ...['-append', 'console=ttyS0 panic=-1 mitigations=off nokaslr'],
    ...['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap'],
  ];
}

/** The command's exit status; 1, with the reason and the end of the kernel's messages, when it had none. */
async function boot(seconds: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'kernel-vm-'));
  onProcessExit(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'initramfs'), initramfs());
  // timeout(1) ends the machine in time even if this process is killed.
  const limited = ['--kill-after=5', String(seconds), 'qemu-system-x86_64', ...machine(folder)];
  const qemu = spawn('timeout', limited, { stdio: ['ignore', 'pipe', 'inherit'] });
  onProcessExit(() => qemu.kill());
  const ended = once(qemu, 'exit') as Promise<[code: number | null]>;
  let status: number | undefined;
  for await (const line of createInterface(qemu.stdout)) {
    const found = STATUS.exec(line);
    if (found) status = Number(found[1]);
    else console.log(line);
  }
  const [code] = await ended;
  if (status !== undefined) return status;
  console.log(readFileSync(join(folder, 'console'), 'utf8').split('\n').slice(-20).join('\n'));
  console.error(`kernel-vm: ${code === TIMED_OUT ? `not over after ${seconds} s` : `QEMU exit ${code}`}`);
  return 1;
}
