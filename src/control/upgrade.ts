// SPDX-License-Identifier: Apache-2.0
// SIGUSR2: this process makes way for the version that is installed now, which goes on with its connections and what is in
// the kernel. Refused, with everything as it was, when nobody holds the connections, and when that version cannot go on with
// them or would not start: since the paths were read last somebody may have broken their file.

import { execFile, type ExecFileException } from 'node:child_process';
import { promisify } from 'node:util';
import { stateFormat } from './hold/state-format.js';
import { UPGRADE_EXIT } from './hold/exit-code.js';

/** Requests under way get so long; then they are lost. */
const QUIET_MS = 3000;
const ASK_MS = 10_000;
/** The program as it was started: through a link, it may lead to another version by now. */
export const PROGRAM_VARIABLE = 'RTSP_FANOUT_PROGRAM';

export interface Way {
  /** Somebody holds the connections. */
  readonly held: boolean;
  /** As --check does it, by this version. @throws Error when it could not start */
  check(): void;
  /** Resolves when no request is under way. */
  quiesce(): Promise<void>;
}

/** Ends the process with UPGRADE_EXIT, or rejects with why not. */
export async function makeWay({ held, check, quiesce }: Way): Promise<never> {
  if (!held) throw new Error('nobody holds the connections: neither --keep, nor systemd with FDSTORE');
  const theirs = await askInstalled('cannot be asked', '--takes-over');
  const ours = stateFormat();
  if (theirs !== ours)
    throw new Error(
      `the installed version goes on with "${theirs}", this one has "${ours}": viewers would be lost`,
    );
  if ((await checkInstalled()) === 'unknown') check();
  await Promise.race([quiesce(), new Promise((resolve) => setTimeout(resolve, QUIET_MS))]);
  process.exit(UPGRADE_EXIT);
}

/** Whether it would start as this one was started; rejects with what is wrong. `unknown`: it is from before --check. */
async function checkInstalled(): Promise<'fine' | 'unknown'> {
  try {
    await askInstalled('would not start', '--check', ...process.argv.slice(2));
    return 'fine';
  } catch (error) {
    if (/unknown option '--check'/.test((error as Error).message)) return 'unknown';
    throw error;
  }
}

/** Resolves with what it prints. `failing`: what it means when it exits otherwise than with 0. */
async function askInstalled(failing: string, ...question: string[]): Promise<string> {
  const [program, ...args] = programCommand();
  try {
    const { stdout } = await promisify(execFile)(program, [...args, ...question], { timeout: ASK_MS });
    return stdout.trim();
  } catch (error) {
    // Not its message, which has the command line in it, perhaps with a password.
    const { stderr, code, signal } = error as ExecFileException;
    const why = stderr?.replaceAll(/^rtsp-fanout: /gm, '').trim() || (code ?? signal);
    throw new Error(`the installed version ${failing}: ${why}`);
  }
}

/** How to start the installed version. */
export function programCommand(): [string, ...string[]] {
  const program = process.env[PROGRAM_VARIABLE];
  return program === undefined ? [process.execPath, ...process.execArgv, process.argv[1]!] : [program];
}
