// SPDX-License-Identifier: Apache-2.0
// The camera's session description (RFC 4566, RFC 2326 appendix C).

import { isIPv6 } from 'node:net';

import type { LiveSource } from './live-source.js';

/** `address`: ours, as the viewer knows it. */
export function describeSource(source: LiveSource, address: string): string {
  const network = `IN IP${isIPv6(address) ? 6 : 4} ${address}`;
  const sections = source.tracks.flatMap(({ track: { format } }, index) => [
    `m=${format.media} 0 RTP/AVP ${format.payloadType}`,
    `c=${network}`,
    ...format.attributes.map((attribute) => `a=${attribute}`),
    `a=control:trackID=${index}`,
  ]);
  const session = ['v=0', `o=- 1 1 ${network}`, 's=test camera', 't=0 0', 'a=control:*', 'a=range:npt=now-'];
  return [...session, ...sections, ''].join('\r\n');
}
