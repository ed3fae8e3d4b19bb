// SPDX-License-Identifier: Apache-2.0
// A child's process group: who is still in it, and how it is ended.

import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessGroup {
  /** Command lines of what still runs half a second after the leader has ended. */
  leftovers(): Promise<string[]>;
  /** SIGTERM to all of it and SIGKILL `graceMs` later; 0: SIGKILL at once. */
  end(graceMs: number): Promise<void>;
}

/** `leader` undefined: the child could not be started, there is no group. */
export function processGroup(leader: number | undefined): ProcessGroup {
  if (leader === undefined) return { leftovers: async () => [], end: async () => {} };
  return {
    async leftovers() {
      for (let tries = 0; tries < 10 && (await members(leader)).length > 0; tries++) await sleep(50);
      return members(leader);
    },
    async end(graceMs) {
      if (graceMs > 0 && kill(leader, 'SIGTERM'))
        for (let waited = 0; waited < graceMs && (await members(leader)).length > 0; waited += 50)
          await sleep(50);
      kill(leader, 'SIGKILL');
    },
  };
}

function kill(leader: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-leader, signal);
  } catch {
    return false; // ESRCH: nobody is left
  }
}

/** Zombies do not count: they wait for whoever is process 1 here. */
async function members(leader: number): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    // proc(5): pid (comm) state ppid pgrp …; comm may hold spaces and brackets.
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(group) !== leader || state === 'Z' || state === 'X') continue;
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    found.push(`${pid} ${line.replaceAll('\0', ' ').trim()}`);
  }
  return found;
}
