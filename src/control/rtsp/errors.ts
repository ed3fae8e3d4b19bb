// SPDX-License-Identifier: Apache-2.0
// What the codec throws, and nothing else: RtspError for anything that a peer is answered with a status, SdpError for
// a description that cannot be used.

export interface RtspErrorDetail {
  /** True when the end of the message is known, so that the connection may go on; false: close it. Default true. */
  readonly framingIntact?: boolean;
  /** CSeq of the message at fault, where it could be read. */
  readonly cseq?: string | undefined;
  /** The message at fault was a response, so nobody waits for an answer to it. Default false. */
  readonly isResponse?: boolean;
}

/** A message, or one of its fields, that cannot be accepted. `message` is one sentence for the peer and the log. */
export class RtspError extends Error {
  override readonly name = 'RtspError';
  /** Status code to answer with (RFC 2326 7.1.1). */
  readonly status: number;
  readonly framingIntact: boolean;
  readonly cseq: string | undefined;
  readonly isResponse: boolean;

  constructor(status: number, message: string, detail: RtspErrorDetail = {}) {
    super(message);
    this.status = status;
    this.framingIntact = detail.framingIntact ?? true;
    this.cseq = detail.cseq;
    this.isResponse = detail.isResponse ?? false;
  }
}

/** A session description (RFC 4566) that cannot be used. */
export class SdpError extends Error {
  override readonly name = 'SdpError';
}
