// SPDX-License-Identifier: Apache-2.0
// Sessions that are set up and never play: `node idle-worker.js N URL ADDRESS...`, 50 on each connection, connections from the addresses in
// turn. Prints "ready" when there are N, and then only waits: it asks nothing more, so the server may forget them.
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Framer } from '../../../../src/control/rtsp/framer.js';
import { request, type RtspResponse } from '../../../../src/control/rtsp/message.js';
import { describeSdp } from '../../../../src/control/rtsp/sdp.js';
import { serialize } from '../../../../src/control/rtsp/serialize.js';
import { resolveControl } from '../../../../src/control/rtsp/url.js';

const PER_CONNECTION = 50;
const FIRST_PORT = 20_000;

class Connection {
  readonly #socket: Socket;
  readonly #framer = new Framer();
  #answered: (answer: RtspResponse) => void = () => {};
  #cseq = 0;

  constructor(url: string, localAddress: string) {
    const { hostname, port } = new URL(url);
    this.#socket = connect({ host: hostname, port: Number(port), localAddress });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#framer.push(chunk);
      for (let item = this.#framer.next(); item; item = this.#framer.next())
        if (item.kind === 'response') this.#answered(item);
    });
    this.#socket.on('error', ({ message }) => fail(message));
  }

  /** @throws its status when it is not 200. */
  async ask(method: string, uri: string, more: [string, string][]): Promise<RtspResponse> {
    const answer = new Promise<RtspResponse>((resolve) => (this.#answered = resolve));
    this.#socket.write(serialize(request(method, uri, [['CSeq', `${++this.#cseq}`], ...more])));
    const response = await answer;
    if (response.status !== 200) throw new Error(`${method}: ${response.status}`);
    return response;
  }
}

function fail(reason: string): never {
  process.stderr.write(`${reason}\n`);
  process.exit(1);
}

async function open(url: string, address: string, firstPort: number, count: number): Promise<void> {
  const connection = new Connection(url, address);
  const { headers, body } = await connection.ask('DESCRIBE', url, [['Accept', 'application/sdp']]);
  const base = headers.get('Content-Base') ?? url;
  const control = resolveControl(base, describeSdp(body.toString()).media[0]!.control);
  for (let i = 0; i < count; i++) {
    const port = firstPort + 2 * i;
    await connection.ask('SETUP', control, [
      ['Transport', `RTP/AVP;unicast;client_port=${port}-${port + 1}`],
    ]);
  }
}

const [count = '', url = '', ...addresses] = process.argv.slice(2);
const connections = Math.ceil(Number(count) / PER_CONNECTION);
for (let i = 0; i < connections; i++) {
  const turn = Math.floor(i / addresses.length);
  const left = Number(count) - i * PER_CONNECTION;
  await open(
    url,
    addresses[i % addresses.length]!,
    FIRST_PORT + 2 * PER_CONNECTION * turn,
    Math.min(left, PER_CONNECTION),
  ).catch((error: Error) => fail(error.message));
}
console.log('ready');
createInterface({ input: process.stdin }).on('close', () => process.exit(0));
