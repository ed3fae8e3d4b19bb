// SPDX-License-Identifier: Apache-2.0
// A TCP connection to a source, within TLS where it is to be. Nothing is sent before we know who is at the other end.

import { connect as connectTcp, type Socket, type TcpNetConnectOpts } from 'node:net';

import type { SourceTrust } from '../path/ports.js';
import { certificateFault, connectTls } from './source-tls.js';

/** `opened` is called once it may be used; else 'error' follows. TLS upon `to.socket` where that is given. @throws Error when a file of `tls` cannot be read */
export function openSocket(
  to: TcpNetConnectOpts & { readonly socket?: Socket },
  tls: SourceTrust | undefined,
  opened: () => void,
): Socket {
  if (!tls) return connectTcp(to).once('connect', opened);
  const socket = connectTls(to, tls);
  return socket.once('secureConnect', () => {
    const fault = certificateFault(socket, tls);
    if (fault) socket.destroy(fault);
    else {
      socket.uncork();
      opened();
    }
  });
}
