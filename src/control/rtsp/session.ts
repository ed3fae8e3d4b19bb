// SPDX-License-Identifier: Apache-2.0
// The Session header (RFC 2326 12.37): `Session: 12345678;timeout=60`.

import { RtspError } from './errors.js';
import { splitParameter } from './quoted.js';

export interface SessionHeader {
  readonly id: string;
  /** Seconds; undefined: not told, which means 60. */
  readonly timeout: number | undefined;
}

/** Seconds after which a session without a sign of life ends, where the server does not tell (RFC 2326 12.37). */
export const DEFAULT_SESSION_TIMEOUT = 60;

// RFC 2326 3.4 wants letters, digits and $-_.+ only, but servers in the field use more; what separates fields is out.
const ID = /^[!#-+\--:<-~]{1,256}$/;
const TIMEOUT = /^[1-9]\d{0,6}$/;

/** @throws RtspError 454: an id that is none names no session. */
export function parseSession(value: string): SessionHeader {
  const [id = '', ...parameters] = value.split(';');
  if (!ID.test(id.trim())) throw new RtspError(454, 'The Session header holds no session identifier.');
  const timeout = parameters.map(splitParameter).find(([name]) => name === 'timeout')?.[1];
  return { id: id.trim(), timeout: timeout && TIMEOUT.test(timeout) ? Number(timeout) : undefined };
}

export function formatSession({ id, timeout }: SessionHeader): string {
  return timeout === undefined ? id : `${id};timeout=${timeout}`;
}
