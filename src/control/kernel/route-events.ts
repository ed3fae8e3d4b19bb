// SPDX-License-Identifier: Apache-2.0
// Hears that a link, a neighbour, a route, a rule or an address of this host has changed. What exactly has changed is not
// read, but for a neighbour; it is asked for again.
import { hear, type Hearing } from './rtnetlink-events.js';
import { neighbourIn, type Neighbour } from './rtnetlink-questions.js';

/** RTMGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR, _IPV6_ROUTE, RTNLGRP_IPV6_RULE. */
const GROUPS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000;

const [RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH] = [28, 29, 30];

export interface RouteListener {
  /** What a neighbour is now; the kernel tells that also each time it only begins or ends to doubt it. */
  neighbour(neighbour: Neighbour): void;
  /** Anything else may have changed. */
  others(): void;
}

/** Throws KernelError. */
export function hearRouteEvents(listener: RouteListener): Hearing {
  return hear(GROUPS, (type, body) => {
    if (type < RTM_NEWNEIGH || type > RTM_GETNEIGH) return listener.others();
    const neighbour = neighbourIn(body);
    if (!neighbour || type === RTM_GETNEIGH) return; // the latter: a question to a resolver outside the kernel
    listener.neighbour(type === RTM_DELNEIGH ? { ...neighbour, mac: undefined } : neighbour);
  });
}
