// SPDX-License-Identifier: Apache-2.0
// Multipath TCP (RFC 8684): sockets of that protocol, which Node cannot make, and whether a connection really is one. With
// who does not speak it the kernel goes on with plain TCP by itself.
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';

import { addressBytes, familyOf, withoutZone, zoneOf, type Family } from '../state/address.js';

const AF = { 4: 2, 6: 10 } as const; // AF_INET, AF_INET6
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_MPTCP = 262;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SOL_MPTCP = 284;
const MPTCP_INFO = 1;
/** In struct mptcp_info: those besides the first, and from kernel 6.5 on all that there are at the moment. */
const INFO = { bytes: 128, subflows: 0, subflowsTotal: 80 };

const libc = koffi.load(null);
const socket = libc.func('int socket(int family, int type, int protocol)');
const bind = libc.func('int bind(int fd, void *address, uint32_t length)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
const getsockopt = libc.func(
  'int getsockopt(int fd, int level, int name, void *value, _Inout_ uint32_t *length)',
);
const nameToIndex = libc.func('uint32_t if_nametoindex(const char *name)');

/** One clause: why there is none here; undefined: there is. */
export function mptcpObstacle(): string | undefined {
  try {
    closeSync(mptcpSocket(4));
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOPROTOOPT'
      ? 'net.mptcp.enabled is 0'
      : code === 'EPROTONOSUPPORT' || code === 'EINVAL'
        ? 'the kernel has no MPTCP'
        : `the kernel refuses it (${code})`;
  }
}

/** The descriptor of a new socket, the caller's to close. @throws the system's error */
export function mptcpSocket(family: Family): number {
  const fd = socket(AF[family], SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_MPTCP) as number;
  if (fd < 0) throw systemError('socket');
  return fd;
}

/** The same, bound, for a server to listen on. @throws the system's error */
export function boundMptcpSocket(address: string, port: number): number {
  const fd = mptcpSocket(familyOf(address));
  try {
    const on = Buffer.alloc(4);
    on.writeUInt32LE(1);
    const at = socketAddress(address, port);
    // As every server does: connections of a former process may linger.
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, on, on.length) < 0) throw systemError('setsockopt');
    if (bind(fd, at, at.length) < 0) throw systemError('bind');
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** How many paths the connection has at the moment; undefined: it is no MPTCP, or the peer does not speak it. */
export function subflowsOf(fd: number): number | undefined {
  if (fd < 0) return undefined;
  const info = Buffer.alloc(INFO.bytes);
  const length = [INFO.bytes];
  if ((getsockopt(fd, SOL_MPTCP, MPTCP_INFO, info, length) as number) < 0) return undefined;
  return length[0]! > INFO.subflowsTotal
    ? info.readUInt8(INFO.subflowsTotal)
    : 1 + info.readUInt8(INFO.subflows);
}

/** struct sockaddr_in, or sockaddr_in6; the family in this machine's order, which is little-endian wherever we run. */
function socketAddress(address: string, port: number): Buffer {
  const family = familyOf(address);
  const bytes = Buffer.alloc(family === 4 ? 16 : 28);
  bytes.writeUInt16LE(AF[family], 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(addressBytes(withoutZone(address)), family === 4 ? 4 : 8);
  const zone = zoneOf(address);
  if (zone !== undefined) bytes.writeUInt32LE(nameToIndex(zone) as number, 24);
  return bytes;
}

function systemError(call: string): NodeJS.ErrnoException {
  const errno = koffi.errno();
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${call} ${code}`), { errno: -errno, code, syscall: call });
}

/** Of the kernel: there is no IPv6 here. */
export const NO_IPV6 = getSystemErrorName(-constants.errno.EAFNOSUPPORT);
