// SPDX-License-Identifier: Apache-2.0
// A pair of UDP ports of which only the first is used, for RTP and RTCP alike (RFC 5761).

import { isRtcp } from '../rtcp/packet.js';
import type { UdpPair } from './ports.js';

/** Closing it closes `pair`. */
export function muxedPair(pair: UdpPair): UdpPair {
  const { rtpPort } = pair;
  return {
    rtpPort,
    rtcpPort: rtpPort,
    onRtp: (handler) => pair.onRtp((packet, from) => void (isRtcp(packet) || handler(packet, from))),
    onRtcp: (handler) => pair.onRtp((packet, from) => void (isRtcp(packet) && handler(packet, from))),
    sendRtp: (packet, to) => pair.sendRtp(packet, to),
    sendRtcp: (packet, to) => pair.sendRtp(packet, to),
    close: () => pair.close(),
  };
}
