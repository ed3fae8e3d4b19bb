// SPDX-License-Identifier: Apache-2.0
// What a device's queueing discipline is for: frames of XDP go past it.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Those that are there when nobody has asked for any, or that only order what waits: nothing is lost by going past. */
const PLAIN = new Set([
  'noqueue',
  'mq',
  'pfifo_fast',
  'pfifo',
  'bfifo',
  'fq_codel',
  'fq',
  'sfq',
  'clsact',
  'ingress',
]);

/** Whether it limits, delays or parts traffic. Asked when the device gets its first viewer. Rejects when it cannot be told. */
export async function shapes(device: string): Promise<boolean> {
  const { stdout } = await promisify(execFile)('tc', ['-json', 'qdisc', 'show', 'dev', device]);
  return (JSON.parse(stdout) as { kind: string }[]).some(({ kind }) => !PLAIN.has(kind));
}
