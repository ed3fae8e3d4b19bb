// SPDX-License-Identifier: Apache-2.0
// Which codecs the datapath can tell the beginning of a picture of (bpf/picture.h), by their names in SDP.
import { Codec } from './abi.gen.js';

const BY_NAME = new Map<string, number>([
  ['H264', Codec.H264],
  ['H264-SVC', Codec.H264],
  ['H265', Codec.H265],
  ['VP8', Codec.VP8],
  ['VP9', Codec.VP9],
  ['AV1', Codec.AV1],
]);

/** A number of `Codec`; OTHER where the encoding is unknown or no name is given. */
export function codecOf(encoding: { readonly name: string } | undefined): number {
  return (encoding && BY_NAME.get(encoding.name.toUpperCase())) ?? Codec.OTHER;
}
