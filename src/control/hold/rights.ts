// SPDX-License-Identifier: Apache-2.0
// Descriptors in datagrams of a unix socket (unix(7), SCM_RIGHTS) through koffi: Node has no way to send or receive them.
import koffi from 'koffi';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;
const SO_SNDBUF = 7;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const MFD_CLOEXEC = 1;
/** struct cmsghdr on 64-bit machines: length, level, type; then one descriptor, padded. */
const CMSG_HEADER = 16;
const CONTROL_BYTES = CMSG_HEADER + 8;
const TEXT_BYTES = 4096;
/** struct msghdr on 64-bit machines. */
const MSGHDR = { iov: 16, iovCount: 24, control: 32, controlBytes: 40, SIZE: 56 } as const;
const IOVEC_BYTES = 16;

const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const socketpair = libc.func('int socketpair(int domain, int type, int protocol, void *pair)');
const connect = libc.func('int connect(int fd, void *address, uint32_t length)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
const sendmsg = libc.func('long sendmsg(int fd, void *message, int flags)');
const recvmsg = libc.func('long recvmsg(int fd, void *message, int flags)');
const fcntl = libc.func('int fcntl(int fd, int command, int argument)');
const memfd = libc.func('int memfd_create(const char *name, unsigned int flags)');
const dup = libc.func('int fcntl(int fd, int command, int argument)');
const F_DUPFD_CLOEXEC = 1030;

function block(bytes: number): { pointer: object; bytes: Buffer } {
  const pointer = koffi.alloc('uint8_t', bytes) as object;
  return { pointer, bytes: Buffer.from(koffi.view(pointer, bytes)) };
}

/** One message that stays in place: text, one descriptor, and the header that points to them. */
const text = block(TEXT_BYTES);
const control = block(CONTROL_BYTES);
const iovec = block(IOVEC_BYTES);
const header = block(MSGHDR.SIZE);
iovec.bytes.writeBigUInt64LE(BigInt(koffi.address(text.pointer)), 0);
header.bytes.writeBigUInt64LE(BigInt(koffi.address(iovec.pointer)), MSGHDR.iov);
header.bytes.writeBigUInt64LE(1n, MSGHDR.iovCount);
header.bytes.writeBigUInt64LE(BigInt(koffi.address(control.pointer)), MSGHDR.control);

function check(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${koffi.errno()}`);
  return result;
}

/** Sends one datagram, with a descriptor where one is given. Throws when it was not taken within the socket's time. */
export function sendWithRights(fd: number, message: string, descriptor?: number): void {
  const length = text.bytes.write(message, 0, 'latin1');
  iovec.bytes.writeBigUInt64LE(BigInt(length), 8);
  header.bytes.writeBigUInt64LE(descriptor === undefined ? 0n : BigInt(CONTROL_BYTES), MSGHDR.controlBytes);
  control.bytes.fill(0);
  control.bytes.writeBigUInt64LE(BigInt(CMSG_HEADER + 4), 0);
  control.bytes.writeInt32LE(SOL_SOCKET, 8);
  control.bytes.writeInt32LE(SCM_RIGHTS, 12);
  control.bytes.writeInt32LE(descriptor ?? -1, CMSG_HEADER);
  check(Number(sendmsg(fd, header.pointer, MSG_NOSIGNAL)), 'sendmsg');
}

export interface Received {
  readonly message: string;
  /** The receiver's to close. */
  readonly descriptor: number | undefined;
}

/** The next datagram that has come; undefined: none. */
export function receiveWithRights(fd: number): Received | undefined {
  iovec.bytes.writeBigUInt64LE(BigInt(TEXT_BYTES), 8);
  header.bytes.writeBigUInt64LE(BigInt(CONTROL_BYTES), MSGHDR.controlBytes);
  control.bytes.fill(0);
  const length = Number(recvmsg(fd, header.pointer, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  if (length < 0) return undefined;
  const carries =
    header.bytes.readBigUInt64LE(MSGHDR.controlBytes) >= BigInt(CMSG_HEADER + 4) &&
    control.bytes.readInt32LE(12) === SCM_RIGHTS;
  return {
    message: text.bytes.toString('latin1', 0, length),
    descriptor: carries ? control.bytes.readInt32LE(CMSG_HEADER) : undefined,
  };
}

/** Two connected datagram sockets. A datagram that the other end does not take within `timeoutMs` is an error. */
export function datagramPair(timeoutMs: number): [number, number] {
  const pair = Buffer.alloc(8);
  check(socketpair(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0, pair), 'socketpair');
  const ends: [number, number] = [pair.readInt32LE(0), pair.readInt32LE(4)];
  for (const end of ends) limit(end, timeoutMs);
  return ends;
}

/** A datagram socket connected to a unix socket's name; one that begins with `@` is abstract (sd_notify(3)). */
export function connectDatagram(name: string, timeoutMs: number): number {
  const fd = check(socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0), 'socket');
  limit(fd, timeoutMs);
  const path = Buffer.from(name.startsWith('@') ? `\0${name.slice(1)}` : `${name}\0`);
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), path]);
  check(connect(fd, address, address.length), `connect to ${name}`);
  return fd;
}

function limit(fd: number, timeoutMs: number): void {
  const time = Buffer.alloc(16);
  time.writeBigInt64LE(BigInt(Math.floor(timeoutMs / 1000)), 0);
  time.writeBigInt64LE(BigInt((timeoutMs % 1000) * 1000), 8);
  check(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, time, time.length), 'SO_SNDTIMEO');
  const room = Buffer.alloc(4);
  room.writeInt32LE(1 << 20);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, room, room.length); // more room where it can be had
}

/** Children that are started from now on do not get it. */
export function closeOnExec(fd: number): void {
  check(fcntl(fd, F_SETFD, FD_CLOEXEC), 'FD_CLOEXEC');
}

/** Another descriptor of the same open file. */
export function duplicate(fd: number): number {
  return check(dup(fd, F_DUPFD_CLOEXEC, 3), 'F_DUPFD_CLOEXEC');
}

/** A file in memory that is there as long as somebody has its descriptor. */
export function memoryFile(name: string): number {
  return check(memfd(name, MFD_CLOEXEC), 'memfd_create');
}
