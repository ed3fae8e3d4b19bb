// SPDX-License-Identifier: Apache-2.0
// Hears what the kernel says over rtnetlink when something changes: a raw socket through koffi (docs/adr/0006 says why not the
// package). Losing events must be harmless to whoever listens.
import koffi from 'koffi';
import { KernelError } from './kernel-error.js';

const AF_NETLINK = 16;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
/** Overflows do not make the socket report errors, after which it could not be polled any more. */
const NETLINK_NO_ENOBUFS = 5;
const SOCKADDR_NL = 12;
const NLMSG_HEADER = 16;

const BUFFER_BYTES = 65536;
/** Datagrams read at a time, so that a storm of events does not keep the event loop. */
const AT_ONCE = 64;

const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, void *address, uint32_t length)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
const recv = libc.func('long recv(int fd, void *buffer, size_t length, int flags)');
const close = libc.func('int close(int fd)');

export interface Hearing {
  close(): void;
}

/** `each` is called with the type (RTM_) and the body of each message to these groups (RTMGRP_ bits). Throws KernelError. */
export function hear(groups: number, each: (type: number, body: Buffer) => void): Hearing {
  const fd = openSocket(groups);
  const buffer = Buffer.alloc(BUFFER_BYTES);
  const read = () => {
    for (let i = 0; i < AT_ONCE; i++) {
      const length = Number(recv(fd, buffer, buffer.length, 0));
      if (length < 0) return;
      for (const { type, body } of messagesIn(buffer.subarray(0, length))) each(type, body);
    }
  };
  const polling = koffi.node.poll(fd, { readable: true }, read);
  polling.unref();
  const end = () => {
    process.off('exit', end);
    polling.close();
    close(fd);
  };
  process.on('exit', end); // koffi aborts when a handle is still polled while the process is taken apart
  return { close: end };
}

function openSocket(groups: number): number {
  const fd = socket(AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, NETLINK_ROUTE) as number;
  if (fd < 0) throw KernelError.fromErrno('rtnetlink socket', koffi.errno());
  const address = Buffer.alloc(SOCKADDR_NL);
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(groups, 8);
  const on = Buffer.from([1, 0, 0, 0]);
  if (
    setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, on, on.length) < 0 ||
    bind(fd, address, address.length) < 0
  ) {
    const errno = koffi.errno();
    close(fd);
    throw KernelError.fromErrno('rtnetlink events', errno);
  }
  return fd;
}

/** The messages of a datagram: struct nlmsghdr is length, type, flags, sequence, port; each begins at a multiple of 4. */
function* messagesIn(datagram: Buffer): Generator<{ type: number; body: Buffer }> {
  for (let at = 0; at + NLMSG_HEADER <= datagram.length;) {
    const length = datagram.readUInt32LE(at);
    if (length < NLMSG_HEADER || at + length > datagram.length) return;
    yield { type: datagram.readUInt16LE(at + 4), body: datagram.subarray(at + NLMSG_HEADER, at + length) };
    at += (length + 3) & ~3;
  }
}
