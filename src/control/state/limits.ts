// SPDX-License-Identifier: Apache-2.0
// Every bound and every span of time of the control plane, in one place. Tests shorten them; the codec's own limits
// (sizes of headers and bodies) are the framer's.

export interface Limits {
  /** RTSP connections of viewers, in all and from one address. */
  readonly connections: number;
  readonly connectionsPerAddress: number;
  /** Sessions of viewers, in all, of one address (a campus may be behind it), and opened by one connection. */
  readonly sessions: number;
  readonly sessionsPerAddress: number;
  readonly sessionsPerConnection: number;
  /** Connections that have announced something, whether they send it or not. */
  readonly publications: number;
  /** Resources with an upstream connection. Two streams each fill the kernel's table (FANOUT_MAX_STREAMS). */
  readonly resources: number;
  /** Of them without a viewer, that viewers of one address have asked for. */
  readonly unusedPerAddress: number;
  /** m= sections of one resource that may be set up. */
  readonly tracksPerResource: number;
  /** Requests on one upstream connection that await their answer. */
  readonly pendingRequests: number;
  /** Control URLs whose description is remembered, and for how long. */
  readonly descriptions: number;
  readonly descriptionMs: number;
  /** Bytes that a viewer may send ahead while its request is worked on, and leave unread of our answers. */
  readonly aheadBytes: number;
  readonly unreadBytes: number;
  /** With more than this waiting for room in a viewer's connection, pictures are left out. */
  readonly interleavedBytes: number;
  /** Connections to sources that are being opened at once, and how long one of them keeps others waiting. */
  readonly startsAtOnce: number;
  readonly startMs: number;
  /** A request to the source without an answer is given up. */
  readonly requestMs: number;
  /** How long an upstream connection waits for the answer to its TEARDOWN. */
  readonly teardownMs: number;
  /** An upstream connection without session, request or viewer is closed. */
  readonly lingerMs: number;
  /** Longest interval at which a lost source is asked again. */
  readonly retryMs: number;
  /** A source that has sent no packet by UDP so long after PLAY is asked for TCP. */
  readonly firstPacketMs: number;
  /** A source that sends neither RTSP nor media for so long is gone. */
  readonly sourceSilenceMs: number;
  /** Longest interval of keep-alive requests to the source; shorter where its session timeout asks for it. */
  readonly keepAliveMs: number;
  /** Mean interval of our receiver reports to the source (RFC 3550 6.2: 5 s). */
  readonly reportMs: number;
  /** A session without RTSP request or RTCP from its viewer ends; told to the viewer in `Session`. */
  readonly sessionMs: number;
  /** A viewer's connection without session and without request is closed. */
  readonly idleMs: number;
  /** An HTTP header of a tunnel must come within that time, and a GET for a POST that came first. So many may wait for one. */
  readonly tunnelMs: number;
  readonly tunnelsPending: number;
  /** A Digest nonce that has not been used for so long is too old. */
  readonly nonceMs: number;
  /** Wrong passwords for a user name from an address: so many at once, then one in attemptMs. So many of them are remembered. */
  readonly attempts: number;
  readonly attemptMs: number;
  readonly attemptKeys: number;
}

export const DEFAULT_LIMITS: Limits = {
  connections: 16_384,
  connectionsPerAddress: 4096,
  sessions: 16_384,
  sessionsPerAddress: 4096,
  sessionsPerConnection: 64,
  publications: 512,
  resources: 512,
  unusedPerAddress: 8,
  tracksPerResource: 16,
  pendingRequests: 256,
  descriptions: 1000,
  descriptionMs: 300_000,
  aheadBytes: 64 * 1024,
  unreadBytes: 256 * 1024,
  interleavedBytes: 512 * 1024,
  startsAtOnce: 16,
  startMs: 2000,
  requestMs: 10_000,
  teardownMs: 2000,
  lingerMs: 10_000,
  retryMs: 15_000,
  firstPacketMs: 4000,
  sourceSilenceMs: 60_000,
  keepAliveMs: 30_000,
  reportMs: 5000,
  sessionMs: 60_000,
  idleMs: 60_000,
  tunnelMs: 10_000,
  tunnelsPending: 256,
  nonceMs: 300_000,
  attempts: 10,
  attemptMs: 10_000,
  attemptKeys: 16_384,
};
