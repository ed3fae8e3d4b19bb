// SPDX-License-Identifier: Apache-2.0
// The part of sdp-transform's result that sdp.ts reads; the package brings no types. Numbers-or-text is its doing: it
// turns whatever looks like an integer into one, and leaves out what its grammar does not know.

declare module 'sdp-transform' {
  interface Connection {
    ip?: string | number;
  }
  interface Section {
    connection?: Connection;
    control?: string | number;
  }
  interface Media extends Section {
    rtp: { payload?: string | number; codec?: string | number; rate?: string | number }[];
  }
  interface Session extends Section {
    media: Media[];
  }
  export function parse(sdp: string): Session;
}
