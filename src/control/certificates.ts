// SPDX-License-Identifier: Apache-2.0
// The certificate for viewers: read again when its files change and on SIGHUP, so that who renews it need not know of us.

import { unwatchFile, watchFile } from 'node:fs';

import type { Log, TlsFiles } from './path/ports.js';

const LOOK_MS = 1000;

/**
 * `reload` reads both files and throws an Error, one sentence, when they do not fit together, as while one has been renewed and the
 * other has not. Returns what ends it.
 */
export function followCertificates({ certificate, key }: TlsFiles, reload: () => void, log: Log): () => void {
  const again = (): void => {
    try {
      reload();
      log.info({ certificate }, 'the certificate was read again');
    } catch (error) {
      log.error({ why: (error as Error).message }, 'the certificate stays as it was');
    }
  };
  const files = [...new Set([certificate, key])];
  for (const file of files)
    watchFile(file, { interval: LOOK_MS }, (now, before) => {
      // While a new one is put in its place there may be none.
      if (now.mtimeMs !== 0 && (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino)) again();
    });
  process.on('SIGHUP', again);
  return () => {
    process.off('SIGHUP', again);
    for (const file of files) unwatchFile(file);
  };
}
