// SPDX-License-Identifier: Apache-2.0
// Bytes straight into a TCP socket that has nothing else to send (send(2)). Node's own write costs half as much again as the
// system call, which counts where each picture goes to hundreds of viewers.
import koffi from 'koffi';

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

const send = koffi.load(null).func('long send(int fd, void *bytes, size_t length, int flags)');

/**
 * How many bytes the system has taken; 0 where there is no room, or the socket is at fault, which its next write will tell.
 * Nothing may wait in the stream (it would be overtaken), and the stream must be writable: then the descriptor is still its own.
 */
export function sendNow(fd: number, bytes: Buffer): number {
  const taken = send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL) as number;
  return Math.max(0, taken);
}
