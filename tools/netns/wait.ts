// SPDX-License-Identifier: Apache-2.0
// Waiting for a condition with a deadline, for tests: never a bare sleep, and an error that says what did not come.
import { setTimeout as sleep } from 'node:timers/promises';

/** How long between two looks at the condition, milliseconds. */
const POLL_MS = 20;

/**
 * Resolves with the condition's first value that is neither undefined nor false.
 * @param what completes the sentence "waited 5000 ms for ..." when the deadline passes.
 * @param details added to that error, computed only then.
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 5000,
  details: () => string = () => '',
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() >= deadline) {
      const more = details();
      throw new Error(`waited ${timeoutMs} ms for ${what}${more && `\n${more}`}`);
    }
    await sleep(POLL_MS);
  }
}

/** The promise's value, or an error naming what was waited for. The promise itself goes on. */
export async function within<T>(what: string, promise: Promise<T>, timeoutMs: number): Promise<T> {
  const abort = new AbortController();
  const late = sleep(timeoutMs, undefined, { signal: abort.signal }).then(
    () => Promise.reject(new Error(`waited ${timeoutMs} ms for ${what}`)),
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    abort.abort();
  }
}
