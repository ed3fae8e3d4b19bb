// SPDX-License-Identifier: Apache-2.0
// Hears what the kernel says over rtnetlink when something changes (docs/adr/0006 says why not with the package). Losing events
// must be harmless to whoever listens.
import koffi from 'koffi';
import { RtnetlinkSocket } from './rtnetlink-socket.js';

/** Datagrams read at a time, so that a storm of events does not keep the event loop. */
const AT_ONCE = 64;

export interface Hearing {
  close(): void;
}

/** `each` is called with the type (RTM_) and the body of each message to these groups (RTMGRP_ bits). Throws KernelError. */
export function hear(groups: number, each: (type: number, body: Buffer) => void): Hearing {
  const socket = new RtnetlinkSocket(groups);
  const read = () => {
    for (let i = 0; i < AT_ONCE; i++) {
      const messages = socket.receive();
      if (!messages) return;
      for (const { type, body } of messages) each(type, body);
    }
  };
  const polling = koffi.node.poll(socket.fd, { readable: true }, read);
  polling.unref();
  const end = () => {
    process.off('exit', end);
    polling.close();
    socket.close();
  };
  process.on('exit', end); // koffi aborts when a handle is still polled while the process is taken apart
  return { close: end };
}
