// SPDX-License-Identifier: Apache-2.0
// RTSPS: TLS (1.2 or newer) upon connections that have been let in.

import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type Server, type TLSSocket } from 'node:tls';

import type { ListenerOptions, TlsFiles } from '../path/ports.js';

/** A handshake takes two round trips at most. */
const HANDSHAKE_MS = 10_000;

export class TlsDoor {
  readonly #server: Server; // never listens: it is handed connections
  readonly #files: TlsFiles;

  /** @throws Error, one sentence, when the files cannot be used. `secured` is called for each handshake that succeeds. */
  constructor(files: TlsFiles, { refused, log }: ListenerOptions, secured: (stream: TLSSocket) => void) {
    this.#files = files;
    this.#server = createServer({ ...readTlsFiles(files), handshakeTimeout: HANDSHAKE_MS });
    this.#server.on('secureConnection', secured);
    this.#server.on('tlsClientError', (error, socket) => {
      refused.add('tls-handshake');
      log.debug({ why: error.message }, 'no TLS with a viewer');
      socket.destroy();
    });
  }

  handshake(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  /** For connections from now on. @throws as the constructor; what was valid before stays */
  reload(): void {
    this.#server.setSecureContext(readTlsFiles(this.#files));
  }
}

/** @throws Error, one sentence for the command line */
export function readTlsFiles({ certificate, key }: TlsFiles): { cert: Buffer; key: Buffer } {
  const read = { cert: readText(certificate), key: readText(key) };
  try {
    createSecureContext(read);
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`TLS cannot be done with ${certificate} and ${key}: ${message}`, { cause: error });
  }
  return read;
}

function readText(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
  }
}
