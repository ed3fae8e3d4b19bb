// SPDX-License-Identifier: Apache-2.0
// Whether this process may do what a test needs, found out by trying; the answer is the reason to skip it.
import { spawnSync } from 'node:child_process';

/** Undefined when the command exits with 0, else what it said. */
function failure(command: string, args: readonly string[], input = ''): string | undefined {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000, input });
  if (error) return `${command}: ${error.message}`;
  if (status === 0) return undefined;
  return `${[command, ...args].join(' ')}: ${stderr.trim().split('\n')[0] || `exit ${status}`}`;
}

/** Undefined when network namespaces joined by veth can be made and entered here, else why not. */
export function canNetns(): string | undefined {
  const name = `rfo-${process.pid}-probe`;
  const made = failure('ip', ['netns', 'add', name]);
  if (made) return `needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN: ${made}`;
  try {
    return (
      failure('ip', ['-n', name, 'link', 'add', 'probe0', 'type', 'veth', 'peer', 'name', 'probe1']) ??
      failure('nsenter', [`--net=/run/netns/${name}`, 'true'])
    );
  } finally {
    failure('ip', ['netns', 'delete', name]);
  }
}

/** Undefined when the program answers to the given arguments, else that it is missing. */
export function canRun(command: string, args: readonly string[]): string | undefined {
  return failure(command, args);
}
