// SPDX-License-Identifier: Apache-2.0
// Players that do everything wrong, over real sockets: each gets a clear answer, or is cut off, and somebody who watches beside
// them misses not one packet. The camera behind is the well-behaved one of bad-camera.ts.
import t, { type Test } from 'tap';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { BadCamera } from '../../fixtures/bad-camera.js';
import { startProxy, until, Viewer } from '../../fixtures/loopback.js';

t.setTimeout(120_000);

const PORTS = { first: 15_240, last: 15_299 };

/** It writes what it likes, and sees what comes back. */
class Player {
  text = '';
  closed = false;
  #cseq = 0;

  private constructor(
    readonly socket: Socket,
    readonly url: string,
  ) {
    socket.setEncoding('latin1').on('data', (text: string) => (this.text += text));
    socket.on('error', () => {});
    socket.on('close', () => (this.closed = true));
  }

  static async join(port: number): Promise<Player> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Player(socket, `rtsp://127.0.0.1:${port}/x`);
  }

  write(text: string): void {
    this.socket.write(Buffer.from(text, 'latin1'));
  }

  /** A request as text; `%U` is the URL, `%N` the next CSeq. */
  ask(text: string): void {
    this.write(text.replaceAll('%U', this.url).replaceAll('%N', () => `${++this.#cseq}`) + '\r\n\r\n');
  }

  /** Statuses of what was answered so far. */
  get statuses(): number[] {
    return [...this.text.matchAll(/RTSP\/1\.0 (\d{3}) /g)].map(([, status]) => Number(status));
  }

  get session(): string {
    return /Session: ([^;\r]+)/.exec(this.text)![1]!;
  }

  async answered(...statuses: number[]): Promise<number[]> {
    await until(() => this.statuses.length >= statuses.length || this.closed);
    return this.statuses;
  }
}

const SETUP = (transport: string) => `SETUP %U/v RTSP/1.0\r\nCSeq: %N\r\nTransport: ${transport}`;
const TCP = SETUP('RTP/AVP/TCP;unicast;interleaved=0-1');
const inSession = (method: string, session: string) =>
  `${method} %U RTSP/1.0\r\nCSeq: %N\r\nSession: ${session}`;
const frame = (channel: number, payload: string) =>
  `$${String.fromCharCode(channel)}${String.fromCharCode(payload.length >> 8, payload.length & 255)}${payload}`;

interface Case {
  readonly what: string;
  readonly act: (t: Test, player: Player, port: number) => Promise<void>;
}

const CASES: readonly Case[] = [
  {
    what: 'half requests, byte by byte',
    act: async (t, player) => {
      for (const byte of `OPTIONS * RTSP/1.0\r\nCSeq: 5\r\n\r\n`) {
        player.write(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
      t.same(await player.answered(200), [200]);
      t.match(player.text, 'CSeq: 5');
      player.write('DESCRIBE rtsp://'); // and that is all it ever sends of it
    },
  },
  {
    what: 'all its requests at once',
    act: async (t, player) => {
      player.ask('OPTIONS %U RTSP/1.0\r\nCSeq: %N\r\n\r\nDESCRIBE %U RTSP/1.0\r\nCSeq: %N\r\n\r\n' + TCP);
      t.same(await player.answered(200, 200, 200), [200, 200, 200]);
      t.same(
        [...player.text.matchAll(/CSeq: (\d+)/g)].map(([, n]) => n),
        ['1', '2', '3'],
      );
    },
  },
  {
    what: 'CSeq that it has used already, none, and nonsense',
    act: async (t, player) => {
      for (const field of ['CSeq: 9', 'CSeq: 9', 'CSeq: -1', 'X: 1', 'CSeq: 99999999999'])
        player.ask(`OPTIONS * RTSP/1.0\r\n${field}`);
      t.same(await player.answered(200, 200, 400, 400, 400), [200, 200, 400, 400, 400]);
    },
  },
  {
    what: 'destination= of somebody else',
    act: async (t, player) => {
      const victim = createSocket('udp4').bind(0, '127.0.0.3');
      await once(victim, 'listening');
      let hits = 0;
      victim.on('message', () => hits++);
      const { port } = victim.address();
      player.ask(SETUP(`RTP/AVP;unicast;destination=127.0.0.3;client_port=${port}-${port + 1}`));
      t.same(await player.answered(200), [200]);
      t.notMatch(player.text, /destination/, 'nothing is promised');
      player.ask(inSession('PLAY', player.session));
      t.same(await player.answered(200, 200), [200, 200]);
      await new Promise((resolve) => setTimeout(resolve, 200));
      t.equal(hits, 0, 'media goes to the address that asked');
      victim.close();
    },
  },
  {
    what: 'a header without end',
    act: async (t, player) => {
      player.write('OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nX: ' + 'x'.repeat(200_000));
      await until(() => player.closed);
      t.match(player.text, /^RTSP\/1\.0 4\d\d /);
    },
  },
  {
    what: 'thousands of headers',
    act: async (t, player) => {
      player.write('OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n' + 'X: y\r\n'.repeat(20_000) + '\r\n');
      await until(() => player.closed || player.statuses.length > 0);
      t.match(player.text, /^RTSP\/1\.0 4\d\d /);
    },
  },
  {
    what: 'a body of two gigabytes',
    act: async (t, player) => {
      player.write('SET_PARAMETER * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 2147483648\r\n\r\n');
      await until(() => player.closed);
      t.match(player.text, /^RTSP\/1\.0 413 /);
    },
  },
  {
    what: 'odd transports',
    act: async (t, player) => {
      const odd = [
        ...['RAW/RAW/UDP;unicast;client_port=5000-5001', 'RTP/SAVP;unicast;client_port=5000-5001'],
        ...['RTP/AVP;unicast', 'RTP/AVP/TCP;interleaved=300-301', 'RTP/AVP;multicast;port=1-2'],
        ...['RTP/AVP;unicast;client_port=0-1', 'RTP/AVP;unicast;client_port=70000-70001', ';;;', '"'],
      ];
      for (const transport of odd) player.ask(SETUP(transport));
      const statuses = await player.answered(...odd.map(() => 461));
      t.equal(statuses.length, odd.length);
      t.ok(
        statuses.every((status) => status === 461 || status === 400),
        `${statuses.join()}`,
      );
      player.ask(SETUP(`RTP/SAVP;unicast;client_port=1-2,RTP/AVP/TCP;interleaved=6-7`));
      await until(() => player.statuses.length > odd.length);
      t.equal(player.statuses.at(-1), 200, 'the first that works');
    },
  },
  {
    what: 'SETUP of one track twice, also while it plays',
    act: async (t, player) => {
      player.ask(TCP);
      await player.answered(200);
      player.ask(`${TCP}\r\nSession: ${player.session}`);
      player.ask(inSession('PLAY', player.session));
      await player.answered(200, 200, 200);
      player.ask(`${TCP}\r\nSession: ${player.session}`);
      t.same(await player.answered(200, 200, 200, 455), [200, 200, 200, 455]);
    },
  },
  {
    what: 'PLAY and PAUSE without SETUP, TEARDOWN twice',
    act: async (t, player) => {
      player.ask('PLAY %U RTSP/1.0\r\nCSeq: %N');
      player.ask(inSession('PAUSE', 'deadbeef'));
      player.ask(TCP);
      await player.answered(454, 454, 200);
      player.ask(inSession('PAUSE', player.session));
      player.ask(inSession('TEARDOWN', player.session));
      player.ask(inSession('TEARDOWN', player.session));
      t.same(await player.answered(454, 454, 200, 455, 200, 454), [454, 454, 200, 455, 200, 454]);
    },
  },
  {
    what: 'the session of somebody else, from another address',
    act: async (t, player, port) => {
      player.ask(TCP);
      await player.answered(200);
      const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.4' });
      await once(socket, 'connect');
      socket.write(`TEARDOWN ${player.url} RTSP/1.0\r\nCSeq: 1\r\nSession: ${player.session}\r\n\r\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      t.match(`${answer}`, /^RTSP\/1\.0 454 /);
      socket.destroy();
      player.ask(inSession('GET_PARAMETER', player.session));
      t.same(await player.answered(200, 200), [200, 200], 'it is still there');
    },
  },
  {
    what: '$ frames of channels that nobody has, and RTCP that is none',
    act: async (t, player) => {
      player.ask(TCP);
      await player.answered(200);
      player.ask(inSession('PLAY', player.session));
      await until(() => player.text.includes('$\0'));
      for (const channel of [0, 1, 2, 77, 255])
        for (const payload of [
          '',
          '\x80',
          '\x81\xc9\x00\x07',
          '\xff'.repeat(300),
          '\x81\xc9\xff\xff' + 'x'.repeat(28),
        ])
          player.write(frame(channel, payload));
      player.ask(inSession('GET_PARAMETER', player.session));
      await until(() => player.statuses.length === 3);
      t.same(player.statuses, [200, 200, 200]);
    },
  },
  {
    what: 'Range, Scale and Require that mean nothing here',
    act: async (t, player) => {
      player.ask(TCP);
      await player.answered(200);
      const { session } = player;
      for (const field of ['Range: npt=ten-', 'Range: x', 'Scale: fast', 'Require: implicit-play'])
        player.ask(`${inSession('PLAY', session)}\r\n${field}`);
      t.same(await player.answered(200, 457, 457, 400, 551), [200, 457, 457, 400, 551]);
      t.match(player.text, 'Unsupported: implicit-play');
    },
  },
  {
    what: 'answers instead of requests, and something that is not RTSP',
    act: async (t, player) => {
      player.write('RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n');
      player.ask('OPTIONS * RTSP/1.0\r\nCSeq: %N');
      t.same(await player.answered(200), [200]);
      player.write('\x16\x03\x01\x02\x00\x01garbage\r\n\r\n');
      t.same(await player.answered(200, 400), [200, 400]);
      player.ask('OPTIONS * RTSP/1.0\r\nCSeq: %N');
      t.same(await player.answered(200, 400, 200), [200, 400, 200], 'its end could be told');
    },
  },
];

t.test('beside one who watches', async (t) => {
  const camera = await BadCamera.start({});
  const { port, stop, nothingLeft, proxy } = await startProxy(`rtsp://127.0.0.1:${camera.port}/x`, {
    ports: PORTS,
    settings: { sourceTransport: 'udp' },
  });
  const watching = await Viewer.join(port);
  t.equal((await watching.play()).play.status, 200);
  for (const { what, act } of CASES)
    await t.test(what, async (t) => {
      const player = await Player.join(port);
      await act(t, player, port);
      player.socket.destroy();
      await until(() => proxy.clients().length === 1);
    });
  await until(() => watching.numbers.length > 100);
  const [first = 0] = watching.numbers;
  t.same(
    watching.numbers,
    watching.numbers.map((_, i) => first + i),
    'not one packet is missing',
  );
  t.same(
    camera.methods.filter((method) => !['OPTIONS', 'GET_PARAMETER', 'DESCRIBE'].includes(method)),
    ['SETUP', 'SETUP', 'PLAY'],
  );
  const { refused } = proxy.status();
  for (const reason of [
    'interleaved-unknown-channel',
    'interleaved-rtp-from-viewer',
    'request-454',
    'request-551',
  ])
    t.ok((refused[reason] ?? 0) > 0, reason);
  t.notOk(refused['request-500'], 'nothing that we did not foresee');
  watching.leave();
  await until(nothingLeft);
  await stop();
  await camera.close();
});
