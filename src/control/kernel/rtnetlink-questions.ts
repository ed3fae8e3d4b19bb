// SPDX-License-Identifier: Apache-2.0
// Questions to rtnetlink that are put for each viewer, and may be thousands: the kernel answers within the system call that
// asks, in some microseconds (docs/adr/0036).
import { addressBytes, addressText, familyOf } from '../state/address.js';
import { KernelError } from './kernel-error.js';
import { attribute, attributesOf, RtnetlinkSocket, type Message } from './rtnetlink-socket.js';

const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_CREATE = 0x400;
const NLMSG_ERROR = 2;
const RTM_NEWNEIGH = 28;
const RTM_GETNEIGH = 30;
const RTM_GETROUTE = 26;

/** struct rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags. */
const ROUTE_MESSAGE = 12;
const ROUTE_TYPE = 7;
const RTN_LOCAL = 2;
const [RTA_DST, RTA_SRC, RTA_OIF, RTA_GATEWAY, RTA_METRICS, RTA_VIA, RTA_IP_PROTO] = [1, 2, 4, 5, 8, 18, 27];
const RTAX_MTU = 2;
const UDP = Uint8Array.of(17);

/** struct ndmsg: family, three bytes of padding, index of the device, state, flags, type. */
const NEIGHBOUR_MESSAGE = 12;
const [NDA_DST, NDA_LLADDR] = [1, 2];
const NTF_USE = 0x1;
const [NUD_INCOMPLETE, NUD_FAILED] = [0x1, 0x20];

/** AF_INET, AF_INET6. */
const FAMILIES = { 4: 2, 6: 10 } as const;

export interface RouteQuestion {
  readonly to: string;
  /** Ours; rules may look at it. */
  readonly from?: string | undefined;
  /** The device that a link-local address belongs to. */
  readonly device?: number | undefined;
}

export interface Route {
  readonly ifindex: number;
  /** The gateway; undefined: none is on the way. */
  readonly gateway: string | undefined;
  /** The address is this host's. */
  readonly local: boolean;
  /** Largest IP packet, bytes, where that is less than the device's: the route's own, or the path's as routers on it have told. */
  readonly mtu: number | undefined;
}

export interface Neighbour {
  readonly ifindex: number;
  /** Without a zone. */
  readonly address: string;
  /** Undefined: it does not answer, or has not yet. */
  readonly mac: Buffer | undefined;
}

export class RtnetlinkQuestions {
  readonly #socket = new RtnetlinkSocket();
  #sequence = 0;

  /** How many have been put. */
  get count(): number {
    return this.#sequence;
  }

  /** Where a UDP datagram leaves. Throws KernelError: there is no route. */
  route({ to, from, device }: RouteQuestion): Route {
    const bits = 8 * addressBytes(to).length;
    const message = Buffer.alloc(ROUTE_MESSAGE);
    message.set([FAMILIES[familyOf(to)], bits, from === undefined ? 0 : bits]);
    const { body } = this.#ask(
      'route',
      RTM_GETROUTE,
      0,
      message,
      attribute(RTA_DST, addressBytes(to)),
      attribute(RTA_IP_PROTO, UDP),
      ...(from === undefined ? [] : [attribute(RTA_SRC, addressBytes(from))]),
      ...(device === undefined ? [] : [attribute(RTA_OIF, u32(device))]),
    );
    const attributes = attributesOf(body, ROUTE_MESSAGE);
    const via = attributes.get(RTA_VIA)?.subarray(2); // behind its family: an IPv6 gateway of an IPv4 route (RFC 5549)
    const gateway = attributes.get(RTA_GATEWAY) ?? via;
    const ifindex = attributes.get(RTA_OIF)?.readUInt32LE();
    if (ifindex === undefined) throw new KernelError('route: the kernel names no device');
    const metrics = attributes.get(RTA_METRICS);
    return {
      ifindex,
      gateway: gateway && addressText(gateway),
      local: body[ROUTE_TYPE] === RTN_LOCAL,
      mtu: metrics && attributesOf(metrics, 0).get(RTAX_MTU)?.readUInt32LE(),
    };
  }

  /** Its MAC, as far as the kernel knows it. */
  neighbour(ifindex: number, address: string): Buffer | undefined {
    try {
      const { body } = this.#ask('neighbour', RTM_GETNEIGH, 0, ...neighbourMessage(ifindex, address));
      const mac = neighbourIn(body)?.mac;
      return mac && Buffer.from(mac);
    } catch {
      return undefined; // ENOENT: never heard of
    }
  }

  /** NTF_USE: as if a packet had been sent to it. */
  useNeighbour(ifindex: number, address: string): void {
    try {
      const message = neighbourMessage(ifindex, address, NTF_USE);
      this.#ask('neighbour', RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK, ...message);
    } catch {
      // the device is gone: told by an event
    }
  }

  close(): void {
    this.#socket.close();
  }

  #ask(what: string, type: number, flags: number, ...parts: Buffer[]): Message {
    const sequence = (this.#sequence = (this.#sequence + 1) >>> 0);
    this.#socket.send(type, flags | NLM_F_REQUEST, sequence, Buffer.concat(parts));
    for (let messages = this.#socket.receive(); messages; messages = this.#socket.receive())
      for (const message of messages) {
        if (message.sequence !== sequence) continue;
        const errno = message.type === NLMSG_ERROR ? -message.body.readInt32LE() : 0;
        if (errno !== 0) throw KernelError.fromErrno(what, errno);
        return message;
      }
    throw new KernelError(`${what}: no answer`);
  }
}

/** What a message about a neighbour says; undefined where that is none of IP (a bridge's are of another family). */
export function neighbourIn(body: Buffer): Neighbour | undefined {
  if (body.length < NEIGHBOUR_MESSAGE) return undefined;
  const attributes = attributesOf(body, NEIGHBOUR_MESSAGE);
  const address = attributes.get(NDA_DST);
  if (!address || body[0] !== FAMILIES[address.length === 4 ? 4 : 6]) return undefined;
  const isKnown = (body.readUInt16LE(8) & (NUD_INCOMPLETE | NUD_FAILED)) === 0;
  return {
    ifindex: body.readInt32LE(4),
    address: addressText(address),
    mac: isKnown ? attributes.get(NDA_LLADDR) : undefined,
  };
}

function neighbourMessage(ifindex: number, address: string, flags = 0): Buffer[] {
  const message = Buffer.alloc(NEIGHBOUR_MESSAGE);
  message[0] = FAMILIES[familyOf(address)];
  message.writeInt32LE(ifindex, 4);
  message[10] = flags;
  return [message, attribute(NDA_DST, addressBytes(address))];
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
