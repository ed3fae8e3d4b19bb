// SPDX-License-Identifier: Apache-2.0
// The beginning of a picture in TypeScript: the table that the kernel program is tested with, and random bytes.
import { ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { beginsPicture, tellsPictures } from '../../../src/control/rtp/picture.js';
import { PAYLOAD_TYPE, payloadOf, PICTURE_CASES, rtpWith } from '../../fixtures/picture-cases.js';

const of = (name: string) => ({ name, payloadType: PAYLOAD_TYPE });

t.test('each payload of the table', (t) => {
  for (const row of PICTURE_CASES) {
    const name = `${row.encoding} ${row.name}`;
    const payload = payloadOf(row);
    const begins = (packet: Buffer) => beginsPicture(packet, of(row.encoding));
    t.equal(begins(rtpWith(payload)), row.begins, name);
    t.equal(
      begins(rtpWith(payload, { csrcs: 15, extensionWords: 2 })),
      row.begins,
      `${name}, behind CSRCs and extension`,
    );
    t.equal(begins(rtpWith(payload, { payloadType: 97 })), false, `${name}, another payload type`);
    const marked = rtpWith(payload);
    marked[1]! |= 0x80;
    t.equal(begins(marked), row.begins, `${name}, with the marker bit`);
    const packet = rtpWith(payload, { csrcs: 3, extensionWords: 2 });
    for (let length = 0; length <= packet.length - payload.length; length++)
      if (begins(packet.subarray(0, length))) t.fail(`${name}, ${length} bytes of header`);
  }
  t.end();
});

t.test('what is cut short begins nothing that it did not before', (t) => {
  // The shortest beginning of each row: from there on every length begins a picture.
  for (const row of PICTURE_CASES) {
    const packet = rtpWith(payloadOf(row));
    const begins = Array.from({ length: packet.length + 1 }, (_, length) =>
      beginsPicture(packet.subarray(0, length), of(row.encoding)),
    );
    const first = begins.indexOf(true);
    t.equal(first >= 0, row.begins, `${row.encoding} ${row.name}`);
    t.notOk(first >= 0 && begins.slice(first).includes(false), `${row.encoding} ${row.name}: monotonic`);
  }
  t.end();
});

t.test('random bytes: no exception, and true only of the payload type', (t) => {
  const names = fc.constantFrom('H264', 'h265', 'VP8', 'VP9', 'AV1', 'opus');
  const property = fc.property(
    names,
    fc.uint8Array({ maxLength: 64 }),
    fc.integer({ min: 0, max: 127 }),
    (name, bytes, payloadType) => {
      const packet = Buffer.from(bytes);
      const begins = beginsPicture(packet, { name, payloadType });
      ok(!begins || (packet.length > 12 && (packet[1]! & 0x7f) === payloadType && name !== 'opus'));
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 5000 }));
  t.end();
});

t.test('which encodings can be told, in any case', (t) => {
  for (const name of ['H264', 'h265', 'Vp8', 'VP9', 'AV1']) t.ok(tellsPictures(of(name)), name);
  for (const name of ['PCMU', 'H263', '', '__proto__']) t.notOk(tellsPictures(of(name)), name);
  t.notOk(tellsPictures(undefined));
  t.end();
});
