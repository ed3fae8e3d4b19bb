// SPDX-License-Identifier: Apache-2.0
// The RTP header: what is valid, and every way of being too short.
import t from 'tap';
import { readRtpHeader } from '../../../src/control/rtp/header.js';

const FIXED = '60 fffe 01020304 0a0b0c0d';
const header = { sequence: 0xfffe, timestamp: 0x01020304, ssrc: 0x0a0b0c0d };

const CASES: [name: string, hex: string, valid: boolean][] = [
  ['no payload', `80${FIXED}`, true],
  ['payload', `80${FIXED}0102`, true],
  ['15 contributing sources', `8f${FIXED}${'00'.repeat(60)}`, true],
  ['an extension of one word', `90${FIXED}bede0001 00000000`, true],
  ['padding only', `a0${FIXED}00000004`, true],
  ['nothing', '', false],
  ['version 1', `40${FIXED}`, false],
  ['a byte short', `80${FIXED}`.slice(0, -2), false],
  ['14 of 15 contributing sources', `8f${FIXED}${'00'.repeat(56)}`, false],
  ['no room for the extension', `90${FIXED}bede00`, false],
  ['extension past the end', `90${FIXED}bede0002 00000000`, false],
  ['padding of no bytes', `a0${FIXED}00000000`, false],
  ['padding that eats the header', `a0${FIXED}00000005`, false],
];

t.test('RTP header', (t) => {
  for (const [name, hex, valid] of CASES)
    t.same(readRtpHeader(Buffer.from(hex.replaceAll(' ', ''), 'hex')), valid ? header : undefined, name);
  t.end();
});
