// SPDX-License-Identifier: Apache-2.0
// Hears that a link, a neighbour, a route, a rule or an address of this host has changed: a raw rtnetlink socket through koffi
// (docs/adr/0006 says why not the package). What exactly has changed is not read, but for the address of a neighbour; it is
// asked for again. Losing events is harmless: an overflow is itself taken for a change.
import koffi from 'koffi';
import { addressText } from '../state/address.js';
import { KernelError } from './kernel-error.js';

const AF_NETLINK = 16;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
/** Overflows do not make the socket report errors, after which it could not be polled any more. */
const NETLINK_NO_ENOBUFS = 5;
/** RTMGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR, _IPV6_ROUTE, RTNLGRP_IPV6_RULE. */
const GROUPS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000;
const SOCKADDR_NL = 12;

const RTM_NEWNEIGH = 28;
const RTM_GETNEIGH = 30;
const NLMSG_HEADER = 16;
const ND_MESSAGE = 12;
const NDA_DST = 1;

const BUFFER_BYTES = 65536;
/** Datagrams read at a time, so that a storm of events does not keep the event loop. */
const AT_ONCE = 64;

const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, void *address, uint32_t length)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
const recv = libc.func('long recv(int fd, void *buffer, size_t length, int flags)');
const close = libc.func('int close(int fd)');

export interface RouteEvents {
  close(): void;
}

/** `changed` is called with a neighbour's address, or with undefined: anything may have changed. Throws KernelError. */
export function hearRouteEvents(changed: (neighbour: string | undefined) => void): RouteEvents {
  const fd = openSocket();
  const buffer = Buffer.alloc(BUFFER_BYTES);
  const read = () => {
    for (let i = 0; i < AT_ONCE; i++) {
      const length = Number(recv(fd, buffer, buffer.length, 0));
      if (length < 0) return;
      for (const neighbour of changesIn(buffer.subarray(0, length))) changed(neighbour);
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

function openSocket(): number {
  const fd = socket(AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, NETLINK_ROUTE) as number;
  if (fd < 0) throw KernelError.fromErrno('rtnetlink socket', koffi.errno());
  const address = Buffer.alloc(SOCKADDR_NL);
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(GROUPS, 8);
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
function* changesIn(datagram: Buffer): Generator<string | undefined> {
  for (let at = 0; at + NLMSG_HEADER <= datagram.length;) {
    const length = datagram.readUInt32LE(at);
    if (length < NLMSG_HEADER || at + length > datagram.length) return;
    const type = datagram.readUInt16LE(at + 4);
    const isNeighbour = type >= RTM_NEWNEIGH && type <= RTM_GETNEIGH;
    yield isNeighbour ? neighbourOf(datagram.subarray(at + NLMSG_HEADER, at + length)) : undefined;
    at += (length + 3) & ~3;
  }
}

/** NDA_DST of a neighbour; undefined when there is none. */
function neighbourOf(body: Buffer): string | undefined {
  for (let at = ND_MESSAGE; at + 4 <= body.length;) {
    const length = body.readUInt16LE(at);
    if (length < 4 || at + length > body.length) return undefined;
    if (body.readUInt16LE(at + 2) === NDA_DST && (length === 8 || length === 20))
      return addressText(body.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return undefined;
}
