// SPDX-License-Identifier: Apache-2.0
// Pairs of UDP sockets, RTP even and RTCP odd (RFC 3550 11), on ports that the allocator lends.
import { closeSync } from 'node:fs';
import type { Endpoint, UdpPair } from '../path/ports.js';
import type { PortPairs } from '../state/port-pairs.js';
import type { HeldSockets } from './held-sockets.js';
import { UdpPort, type DatagramHandler, type Sent, type UdpPortOptions } from './udp-port.js';

/** Pairs that strangers may hold before we give up. */
const MAX_TRIES = 100;

export interface UdpPairOptions {
  /** Local IP address; all of them by default. */
  readonly address?: string;
  /** A datagram was not sent (EMSGSIZE, ENETUNREACH, ENOBUFS). By default nobody is told: it is UDP. */
  readonly onSendError?: (error: NodeJS.ErrnoException, to: Endpoint) => void;
  /** A handler threw, or a socket failed to receive. By default a process warning. */
  readonly onError?: (error: unknown) => void;
  readonly rtp?: UdpPortOptions;
  readonly rtcp?: UdpPortOptions;
  /** The pair outlives this process. */
  readonly held?: HeldSockets | undefined;
}

/**
 * Binds the next pair of which both ports are free. Rejects with PortsExhausted, with EADDRINUSE when
 * others hold each pair that was tried, or with what else the system says (EADDRNOTAVAIL).
 */
export async function bindUdpPair(pairs: PortPairs, options: UdpPairOptions = {}): Promise<UdpPair> {
  for (let tries = Math.min(MAX_TRIES, pairs.free); ; tries--) {
    const rtpPort = pairs.take();
    try {
      return await bindPorts({ rtp: rtpPort, rtcp: rtpPort + 1 }, options, () => pairs.release(rtpPort));
    } catch (error) {
      pairs.release(rtpPort); // the walk goes on above it
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries <= 1) throw error;
    }
  }
}

/** The pair that a former process of ours had on these ports; what comes to it waits for deliver(). Undefined: nobody has
 * held both. */
export async function takeUdpPair(
  pairs: PortPairs,
  rtpPort: number,
  options: UdpPairOptions & { readonly held: HeldSockets },
): Promise<{ readonly pair: UdpPair; deliver(): void } | undefined> {
  const fds = [options.held.take(heldName(rtpPort)), options.held.take(heldName(rtpPort + 1))];
  if (fds.some((fd) => fd === undefined) || !pairs.claim(rtpPort)) {
    for (const fd of fds) if (fd !== undefined) closeSync(fd);
    return undefined;
  }
  const onError = options.onError ?? warn;
  const [rtp, rtcp] = await Promise.all(fds.map((fd) => new UdpPort(onError).adopt(fd!)));
  rtp!.hold(options.held, heldName(rtpPort), true);
  rtcp!.hold(options.held, heldName(rtpPort + 1), true);
  const ports = { rtp: rtpPort, rtcp: rtpPort + 1 };
  return {
    pair: new BoundPair(ports, { rtp: rtp!, rtcp: rtcp! }, options.onSendError, () => pairs.release(rtpPort)),
    deliver: () => {
      rtp!.deliver();
      rtcp!.deliver();
    },
  };
}

const heldName = (port: number) => `udp-${port}`;
const warn = (error: unknown) => process.emitWarning(error as Error);

/** Binds just these ports; rejects with what the system says. `closed` is called when both are free again. */
export async function bindPorts(
  ports: { readonly rtp: number; readonly rtcp: number },
  options: UdpPairOptions,
  closed: () => void = () => {},
): Promise<UdpPair> {
  const onError = options.onError ?? warn;
  const rtp = await new UdpPort(onError, options.rtp).bind(ports.rtp, options.address);
  try {
    const rtcp = await new UdpPort(onError, options.rtcp).bind(ports.rtcp, options.address);
    if (options.held) {
      rtp.hold(options.held, heldName(ports.rtp));
      rtcp.hold(options.held, heldName(ports.rtcp));
    }
    return new BoundPair(ports, { rtp, rtcp }, options.onSendError, closed);
  } catch (error) {
    await rtp.close();
    throw error;
  }
}

class BoundPair implements UdpPair {
  readonly rtpPort: number;
  readonly rtcpPort: number;
  readonly #rtp: UdpPort;
  readonly #rtcp: UdpPort;
  readonly #onSendError: UdpPairOptions['onSendError'];
  #closed: (() => void) | undefined;

  constructor(
    ports: { readonly rtp: number; readonly rtcp: number },
    { rtp, rtcp }: { readonly rtp: UdpPort; readonly rtcp: UdpPort },
    onSendError: UdpPairOptions['onSendError'],
    closed: () => void,
  ) {
    this.rtpPort = ports.rtp;
    this.rtcpPort = ports.rtcp;
    this.#rtp = rtp;
    this.#rtcp = rtcp;
    this.#onSendError = onSendError;
    this.#closed = closed;
  }

  onRtp(handler: DatagramHandler): void {
    this.#rtp.onDatagram(handler);
  }

  onRtcp(handler: DatagramHandler): void {
    this.#rtcp.onDatagram(handler);
  }

  sendRtp(packet: Buffer, to: Endpoint, sent?: Sent): void {
    this.#rtp.send(packet, to, (error) => this.#sent(error, to, sent));
  }

  sendRtcp(packet: Buffer, to: Endpoint, sent?: Sent): void {
    this.#rtcp.send(packet, to, (error) => this.#sent(error, to, sent));
  }

  /** The pair goes back to the allocator once both sockets are closed. */
  close(): void {
    const closed = this.#closed;
    this.#closed = undefined;
    if (closed) void Promise.all([this.#rtp.close(), this.#rtcp.close()]).then(closed);
  }

  /** What was still queued when we closed it is nobody's error. */
  #sent(error: NodeJS.ErrnoException | null, to: Endpoint, sent: Sent | undefined): void {
    sent?.(error);
    if (error && this.#closed) this.#onSendError?.(error, to);
  }
}
