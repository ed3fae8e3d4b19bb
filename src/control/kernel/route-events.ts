// SPDX-License-Identifier: Apache-2.0
// Hears that a link, a neighbour, a route, a rule or an address of this host has changed. What exactly has changed is not
// read, but for the address of a neighbour; it is asked for again.
import { addressText } from '../state/address.js';
import { hear, type Hearing } from './rtnetlink-events.js';

/** RTMGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR, _IPV6_ROUTE, RTNLGRP_IPV6_RULE. */
const GROUPS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000;

const RTM_NEWNEIGH = 28;
const RTM_GETNEIGH = 30;
const ND_MESSAGE = 12;
const NDA_DST = 1;

/** `changed` is called with a neighbour's address, or with undefined: anything may have changed. Throws KernelError. */
export function hearRouteEvents(changed: (neighbour: string | undefined) => void): Hearing {
  return hear(GROUPS, (type, body) => {
    const isNeighbour = type >= RTM_NEWNEIGH && type <= RTM_GETNEIGH;
    changed(isNeighbour ? neighbourOf(body) : undefined);
  });
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
