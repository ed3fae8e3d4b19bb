// SPDX-License-Identifier: Apache-2.0
// Which layer the kernel program takes a packet for: every form of every codec, cut at every length, as its twin does.
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { codecOf } from '../../src/control/kernel/codec.js';
import { readRtpHeader } from '../../src/control/rtp/header.js';
import { Layering } from '../../src/control/rtp/layering.js';
import { KernelBench } from '../fixtures/kernel-bench.js';
import { DESCRIPTOR_CASES, DESCRIPTOR_ID, extendedRtp, rawExtension } from '../fixtures/descriptors.js';
import { LAYER_CASES, payloadsOf } from '../fixtures/layer-cases.js';
import { layerSeen } from '../fixtures/layer-seen.js';
import { layeredRtp } from '../fixtures/layered.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { udpFrame } from '../fixtures/packets.js';
import { PAYLOAD_TYPE } from '../fixtures/picture-cases.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
t.setTimeout(120_000);

t.test('each payload of the table, and cut at every length', { skip }, async (t) => {
  const bench = await KernelBench.create();
  for (const row of LAYER_CASES) {
    bench.codec = {
      codec: codecOf({ name: row.encoding }),
      payloadType: PAYLOAD_TYPE,
      cache: { first: 0, size: 0 },
    };
    const before = payloadsOf(row);
    const last = before.pop()!;
    for (let length = last.length; length >= 0; length--) {
      const stream = bench.open();
      const twin = new Layering({ name: row.encoding, payloadType: PAYLOAD_TYPE });
      const come = (payload: Buffer, seq: number) => {
        const packet = layeredRtp(payload, { seq, timestamp: 1 });
        const wanted = twin.place(packet, readRtpHeader(packet)!).layer;
        const seen = layerSeen(bench.state, stream, packet.length, () => bench.ingress(udpFrame(packet)));
        if (seen !== wanted) t.fail(`${row.encoding} ${row.name}, ${length} bytes: ${seen}, not ${wanted}`);
        return seen;
      };
      before.forEach(come);
      const layer = come(last.subarray(0, length), before.length);
      if (length === last.length) t.equal(layer, row.layer, `${row.encoding} ${row.name}`);
      const { notion = 'none' } = bench.state.layers(stream);
      if (notion !== twin.notion) t.fail(`${row.encoding} ${row.name}, ${length} bytes: ${notion}`);
      bench.state.commands.close(stream);
    }
  }
  await bench.close();
});

t.test(
  'each dependency descriptor of the table, and the extension cut at every length',
  { skip },
  async (t) => {
    const bench = await KernelBench.create();
    const encoding = { name: 'AV1', payloadType: PAYLOAD_TYPE, descriptorId: DESCRIPTOR_ID };
    bench.codec = { codec: codecOf(encoding), ...encoding, cache: { first: 0, size: 0 } };
    for (const { name, packets, layer } of DESCRIPTOR_CASES) {
      const last = packets.at(-1)!.extension;
      for (let cut = 0; cut <= last.length - 4; cut++) {
        const stream = bench.open();
        const twin = new Layering(encoding);
        const come = (seq: number, timestamp: number, header?: Buffer): number | undefined => {
          const { extension, payload } = packets[seq % packets.length]!;
          const packet = extendedRtp(payload, header ?? extension, { seq, timestamp });
          const wanted = twin.place(packet, readRtpHeader(packet)!).layer;
          const seen = layerSeen(bench.state, stream, packet.length, () => bench.ingress(udpFrame(packet)));
          if (seen !== wanted) t.fail(`${name}, ${cut} bytes cut: ${seen}, not ${wanted}`);
          return seen;
        };
        const layers = packets.map((_, seq) =>
          come(
            seq,
            seq,
            seq === packets.length - 1 && cut > 0
              ? rawExtension(last.readUInt16BE(0), last.subarray(4, last.length - cut))
              : undefined,
          ),
        );
        if (cut === 0) t.equal(layers.at(-1), layer, name);
        packets.forEach((_, i) => come(packets.length + i, packets.length + i)); // what it has left behind
        const { notion = 'none' } = bench.state.layers(stream);
        if (notion !== twin.notion) t.fail(`${name}, ${cut} bytes cut: ${notion}, not ${twin.notion}`);
        bench.state.commands.close(stream);
      }
    }
    await bench.close();
  },
);
