// SPDX-License-Identifier: Apache-2.0
// A raw rtnetlink socket through koffi (docs/adr/0006 and 0036 say what for, beside the package), and how its messages are made up.
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
const ATTRIBUTE_HEADER = 4;
/** Of an attribute's type: it holds attributes, or is in network order. */
const ATTRIBUTE_FLAGS = 0xc000;
const BUFFER_BYTES = 65536;

const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, void *address, uint32_t length)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
const send = libc.func('long send(int fd, void *buffer, size_t length, int flags)');
const recv = libc.func('long recv(int fd, void *buffer, size_t length, int flags)');
const close = libc.func('int close(int fd)');

export interface Message {
  /** RTM_ or NLMSG_. */
  readonly type: number;
  readonly sequence: number;
  /** Valid until the next datagram is received. */
  readonly body: Buffer;
}

export class RtnetlinkSocket {
  /** -1 once it is closed: the system may give the number to somebody else. */
  #fd: number;
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);

  /** Hears these groups (RTMGRP_ bits). Throws KernelError. */
  constructor(groups = 0) {
    this.#fd = openSocket(groups);
  }

  get fd(): number {
    return this.#fd;
  }

  /** One message. The kernel has carried it out, and answered, when this returns. Throws KernelError. */
  send(type: number, flags: number, sequence: number, body: Buffer): void {
    const message = Buffer.concat([Buffer.alloc(NLMSG_HEADER), body]);
    message.writeUInt32LE(message.length, 0);
    message.writeUInt16LE(type, 4);
    message.writeUInt16LE(flags, 6);
    message.writeUInt32LE(sequence, 8);
    if (Number(send(this.#fd, message, message.length, 0)) < 0)
      throw KernelError.fromErrno('rtnetlink question', koffi.errno());
  }

  /** The messages of the next datagram; undefined: none is there. */
  receive(): Iterable<Message> | undefined {
    const length = Number(recv(this.#fd, this.#buffer, this.#buffer.length, 0));
    return length < 0 ? undefined : messagesIn(this.#buffer.subarray(0, length));
  }

  close(): void {
    close(this.#fd);
    this.#fd = -1;
  }
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
    throw KernelError.fromErrno('rtnetlink socket', errno);
  }
  return fd;
}

/** The messages of a datagram: struct nlmsghdr is length, type, flags, sequence, port; each begins at a multiple of 4. */
function* messagesIn(datagram: Buffer): Generator<Message> {
  for (let at = 0; at + NLMSG_HEADER <= datagram.length;) {
    const length = datagram.readUInt32LE(at);
    if (length < NLMSG_HEADER || at + length > datagram.length) return;
    yield {
      type: datagram.readUInt16LE(at + 4),
      sequence: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + NLMSG_HEADER, at + length),
    };
    at += aligned(length);
  }
}

/** Attributes by their type, from `at` on: struct rtattr is length and type, then the value. */
export function attributesOf(body: Buffer, at: number): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  while (at + ATTRIBUTE_HEADER <= body.length) {
    const length = body.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER || at + length > body.length) break;
    const type = body.readUInt16LE(at + 2) & ~ATTRIBUTE_FLAGS;
    found.set(type, body.subarray(at + ATTRIBUTE_HEADER, at + length));
    at += aligned(length);
  }
  return found;
}

export function attribute(type: number, value: Uint8Array): Buffer {
  const length = ATTRIBUTE_HEADER + value.length;
  const bytes = Buffer.alloc(aligned(length));
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, ATTRIBUTE_HEADER);
  return bytes;
}

const aligned = (length: number) => (length + 3) & ~3;
