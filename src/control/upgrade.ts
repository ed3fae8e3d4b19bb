// SPDX-License-Identifier: Apache-2.0
// SIGUSR2: this process makes way for the version that is installed now, which goes on with its connections and what is in
// the kernel. Refused, with everything as it was, when nobody holds the connections or that version cannot.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { stateFormat } from './hold/state-format.js';
import { UPGRADE_EXIT } from './hold/exit-code.js';

/** Requests under way get so long; then they are lost. */
const QUIET_MS = 3000;
const ASK_MS = 10_000;
/** The program as it was started: through a link, it may lead to another version by now. */
export const PROGRAM_VARIABLE = 'RTSP_FANOUT_PROGRAM';

/** Ends the process with UPGRADE_EXIT, or rejects with why not. */
export async function makeWay(held: boolean, quiesce: () => Promise<void>): Promise<never> {
  if (!held) throw new Error('nobody holds the connections: it was not started with --keep, nor by systemd');
  const theirs = await formatOfInstalled();
  const ours = stateFormat();
  if (theirs !== ours)
    throw new Error(
      `the installed version goes on with "${theirs}", this one has "${ours}": viewers would be lost`,
    );
  await Promise.race([quiesce(), new Promise((resolve) => setTimeout(resolve, QUIET_MS))]);
  process.exit(UPGRADE_EXIT);
}

async function formatOfInstalled(): Promise<string> {
  const [program, ...args] = programCommand();
  try {
    const { stdout } = await promisify(execFile)(program, [...args, '--takes-over'], { timeout: ASK_MS });
    return stdout.trim();
  } catch (error) {
    throw new Error(`the installed version cannot be asked: ${(error as Error).message}`, { cause: error });
  }
}

/** How to start the installed version. */
export function programCommand(): [string, ...string[]] {
  const program = process.env[PROGRAM_VARIABLE];
  return program === undefined ? [process.execPath, ...process.execArgv, process.argv[1]!] : [program];
}
