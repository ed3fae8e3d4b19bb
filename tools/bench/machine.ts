// SPDX-License-Identifier: Apache-2.0
// What a figure was measured on: without it, it means nothing.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly virtual: string;
  readonly kernel: string;
  readonly node: string;
  readonly libbpf: string;
  readonly compiler: string;
  /** Of this project. */
  readonly commit: string;
  /** Settings of the kernel that bear on the figures. */
  readonly settings: Readonly<Record<string, string>>;
}

const SETTINGS = [
  'net/core/dev_weight',
  'net/core/netdev_budget',
  'net/core/netdev_budget_usecs',
  'net/core/netdev_max_backlog',
  'net/core/bpf_jit_enable',
];

/** The first line of what a command prints; `unknown` where it cannot be had. */
function firstLine(command: string, ...args: string[]): string {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return (status === 0 && stdout.trim().split('\n')[0]) || 'unknown';
}

/** Of this project, and whether what is measured is that. */
function commit(): string {
  const changes = spawnSync('git', ['status', '--porcelain', '--', 'bpf', 'src', 'tools'], {
    encoding: 'utf8',
  });
  const dirty = changes.stdout?.trim() ? ', with changes' : '';
  return firstLine('git', 'rev-parse', '--short', 'HEAD') + dirty;
}

/** Some settings are the first network namespace's only. */
function setting(name: string): string {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch {
    return 'unknown';
  }
}

export function describeMachine(): Machine {
  const hypervisor = /^flags\s*:.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    virtual: hypervisor ? 'virtual machine' : 'bare metal',
    kernel: release(),
    node: process.version,
    libbpf: firstLine('dpkg-query', '-W', '-f', '${Version}', 'libbpf1'),
    compiler: firstLine('clang', '--version'),
    commit: commit(),
    settings: Object.fromEntries(SETTINGS.map((name) => [name.replaceAll('/', '.'), setting(name)])),
  };
}
