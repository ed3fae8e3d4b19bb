// SPDX-License-Identifier: Apache-2.0
// Asks somebody else's HTTP server whether a request is allowed. Bounded in time and number; whatever goes wrong is no yes.

import type { AskHook, HookVerdict } from '../path/hook-port.js';
import type { Log } from '../path/ports.js';

const HOOK_MS = 5000;
const AT_ONCE = 64;
/** Questions that wait for another's answer; more are given up at once. */
const WAITING = 256;

export interface HookOptions {
  readonly log?: Log | undefined;
  readonly timeoutMs?: number;
  readonly atOnce?: number;
  readonly waiting?: number;
}

export function httpHook({
  log,
  timeoutMs = HOOK_MS,
  atOnce = AT_ONCE,
  waiting = WAITING,
}: HookOptions): AskHook {
  const queue: (() => void)[] = [];
  let asking = 0;
  return async (url, question) => {
    if (asking >= atOnce) {
      if (queue.length >= waiting) return 'unavailable';
      await new Promise<void>((resolve) => queue.push(resolve)); // its place is handed on
    } else asking++;
    try {
      return await ask(url, question, timeoutMs);
    } catch (error) {
      const { message, cause } = error as Error;
      log?.warn(
        { url, why: cause instanceof Error ? cause.message : message },
        'the authentication hook failed',
      );
      return 'unavailable';
    } finally {
      const next = queue.shift();
      if (next) next();
      else asking--;
    }
  };
}

/** The body of the answer means nothing. A redirect is none of ours to follow: passwords would go with it. */
async function ask(url: string, question: object, timeoutMs: number): Promise<HookVerdict> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(question),
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  });
  await response.body?.cancel();
  if (response.ok) return 'allowed';
  if (response.status === 401) return 'unknown';
  if (response.status >= 500) throw new Error(`it answered ${response.status}`);
  return 'refused';
}
