// SPDX-License-Identifier: Apache-2.0
// One TCP flow: `node tcp-flow.js receive ADDRESS PORT` answers each line with what has come so far, as [bytes]; `send` sends
// as much as it can until its input ends.
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

const CHUNK = Buffer.alloc(65_536);
const [what, address = '', port] = process.argv.slice(2);
let bytes = 0;

if (what === 'receive') {
  createServer((socket) => {
    socket.on('data', (chunk) => (bytes += chunk.length)).on('error', () => {});
  }).listen(Number(port), address, () => console.log('ready'));
} else {
  const socket = connect(Number(port), address, () => console.log('ready'));
  const fill = () => {
    while (socket.write(CHUNK));
  };
  socket.on('connect', fill).on('drain', fill);
  socket.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
}
createInterface({ input: process.stdin })
  .on('line', () => console.log(JSON.stringify([bytes])))
  .on('close', () => process.exit(0));
