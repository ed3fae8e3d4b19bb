// SPDX-License-Identifier: Apache-2.0
// N TCP viewers in one process: interleaved RTSP ones, the same by multipath TCP, or such as only read.
// `node tcp-readers.js rtsp|mptcp|plain N URL`, with a URL rtsp://IPV4-ADDRESS:PORT/PATH for all. Prints "playing" when all are there; each line of input is answered with JSON.
import { connect, Socket } from 'node:net';
import { mptcpSocket } from '../../src/control/net/mptcp.js';
import { InterleavedClient } from '../load/interleaved-client.js';

/** What they have got since the line before. */
export interface Reading {
  readonly bytes: number;
  /** RTP packets; 0 of such as only read. */
  readonly packets: number;
  /** RTSP viewers that have got none. */
  readonly nothing: number;
  /** RTP packets that are missing; 0 of such as only read. */
  readonly lost: number;
  /** Connections that have ended. */
  readonly ended: number;
  /** Of the first viewer, in order: bytes of each picture as they are written, frame headers included. */
  readonly chunks: readonly number[];
}

const FRAME_HEADER = 4;
const [kind, count, url] = process.argv.slice(2);
let bytes = 0;
let packets = 0;
/** RTSP viewers, by number, that have got something. */
const served = new Set<number>();
let lost = 0;
let chunks: number[] = [];
let ended = () => 0;

async function rtsp(viewers: number): Promise<void> {
  const clients: InterleavedClient[] = [];
  ended = () => clients.filter(({ lost }) => lost !== undefined).length;
  for (let i = 0; i < viewers; i++) {
    let expected: number | undefined;
    let gathered = 0;
    const take = (packet: Buffer) => {
      const seq = packet.readUInt16BE(2);
      if (expected !== undefined) lost += (seq - expected) & 0xffff;
      expected = (seq + 1) & 0xffff;
      bytes += FRAME_HEADER + packet.length;
      packets++;
      served.add(i);
      if (i > 0) return;
      gathered += FRAME_HEADER + packet.length;
      if (!(packet[1]! & 0x80)) return;
      chunks.push(gathered);
      gathered = 0;
    };
    const socket = kind === 'mptcp' ? { fd: mptcpSocket(4), readable: true, writable: true } : {};
    clients.push(await InterleavedClient.play(url!, take, new Socket(socket)));
  }
}

async function plain(viewers: number): Promise<void> {
  const { hostname, port } = new URL(url!);
  let gone = 0;
  ended = () => gone;
  for (let i = 0; i < viewers; i++) {
    const socket = connect(Number(port), hostname);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.on('error', () => undefined).on('close', () => gone++);
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
  }
}

await (kind === 'plain' ? plain : rtsp)(Number(count));
console.log('playing');
process.stdin.on('data', () => {
  const nothing = kind === 'plain' ? 0 : Number(count) - served.size;
  const reading: Reading = { bytes, packets, nothing, lost, ended: ended(), chunks };
  bytes = packets = lost = 0;
  served.clear();
  chunks = [];
  console.log(JSON.stringify(reading));
});
process.stdin.on('end', () => process.exit(0));
