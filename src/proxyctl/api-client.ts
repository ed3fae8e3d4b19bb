// SPDX-License-Identifier: Apache-2.0
// Asks the proxy over its unix socket. Every error says what to do about it.

import { request } from 'node:http';
import {
  checkSocketPath,
  defaultSocketPath,
  defaultSocketsInUse,
  ROOTS_SOCKET,
} from '../control/api/socket-path.js';

const TIMEOUT_MS = 5000;

/** What went wrong, in one line for people. */
export class ProxyctlError extends Error {}

/** The answer's JSON. Rejects with ProxyctlError. */
export function ask<Answer>(socketPath: string, method: 'GET' | 'POST', path: string): Promise<Answer> {
  const wrong = checkSocketPath(socketPath);
  if (wrong !== undefined) return Promise.reject(new ProxyctlError(wrong));
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => reject(new ProxyctlError(explain(error, socketPath)));
    const call = request({ socketPath, method, path, timeout: TIMEOUT_MS, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () => {
        const answer = parse(Buffer.concat(chunks).toString());
        if (answer === undefined)
          reject(new ProxyctlError(`what answers on ${socketPath} is no rtsp-fanout proxy`));
        else if (response.statusCode === 200) resolve(answer as Answer);
        else
          reject(
            new ProxyctlError(errorText(answer) ?? `the proxy answered with status ${response.statusCode}`),
          );
      });
    });
    call.on('timeout', () => call.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })));
    call.on('error', fail);
    call.end();
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function errorText(answer: unknown): string | undefined {
  return answer !== null && typeof answer === 'object' && 'error' in answer
    ? String(answer.error)
    : undefined;
}

function explain(error: NodeJS.ErrnoException, socketPath: string): string {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return nobodyAnswers(socketPath, socketPath === defaultSocketPath() ? defaultSocketsInUse() : []);
    case 'EACCES':
    case 'EPERM':
      return `not allowed to open ${socketPath}: run proxyctl as the user that the proxy runs as`;
    case 'ETIMEDOUT':
      return `the proxy on ${socketPath} has not answered for ${TIMEOUT_MS / 1000} s`;
    default:
      return `${socketPath}: ${error.message}`;
  }
}

/** Where nobody has named a socket the proxy may be another user's. `inUse`: default places where one may answer. */
export function nobodyAnswers(socketPath: string, inUse: readonly string[]): string {
  const [other] = inUse.filter((path) => path !== socketPath);
  const nobody = `no proxy answers on ${socketPath}`;
  if (other === undefined) return `${nobody}: is it running? (--api-socket names another socket)`;
  return other === ROOTS_SOCKET
    ? `${nobody}, but root's ${other} is there: use sudo`
    : `${nobody}, but another user's is there: use --api-socket ${other}`;
}
