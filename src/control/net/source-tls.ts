// SPDX-License-Identifier: Apache-2.0
// RTSPS towards a source: its certificate must be signed by a known authority and name the host, or be the one whose
// fingerprint we were told. There is no way to look at neither.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';

import type { SourceTrust } from '../path/ports.js';

/** @throws Error, one sentence, when the file of the authority cannot be read or is none. */
export function connectTls(
  to: TcpNetConnectOpts & { readonly socket?: Socket },
  { authority, fingerprint }: SourceTrust,
): TLSSocket {
  const socket = connect({
    ...to,
    ...(isIP(to.host ?? '') === 0 && to.host !== undefined && { servername: to.host }),
    ...(authority !== undefined && { ca: readAuthority(authority) }),
    rejectUnauthorized: fingerprint === undefined || authority !== undefined,
  });
  socket.cork(); // nothing of ours goes to somebody else: see certificateFault()
  return socket;
}

/** What is wrong with the certificate of an open connection, beyond what Node has looked at. */
export function certificateFault(socket: TLSSocket, { fingerprint }: SourceTrust): Error | undefined {
  if (fingerprint === undefined) return undefined;
  const found = socket.getPeerCertificate().fingerprint256;
  return found === fingerprint ? undefined : new Error(`its certificate has the fingerprint ${found}`);
}

/** @throws Error, one sentence, when the file cannot be read or begins with no certificate: Node would trust nobody, silently. */
export function readAuthority(file: string): Buffer {
  const pem = readBytes(file);
  if (!hasCertificate(pem)) throw new Error(`${file} has no certificate (PEM) in it`);
  return pem;
}

/** X509Certificate reads DER as well, which connect() does not. */
function hasCertificate(pem: Buffer): boolean {
  try {
    return pem.includes('-----BEGIN ') && new X509Certificate(pem) !== undefined;
  } catch {
    return false;
  }
}

function readBytes(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
  }
}
