// SPDX-License-Identifier: Apache-2.0
// What a device's queueing discipline is for, and that it has changed: frames of XDP go past it.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { hear, type Hearing } from './rtnetlink-events.js';

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

const RTMGRP_TC = 0x8;
const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
/** struct tcmsg: family and padding, then the device's index. */
const TCM_IFINDEX = 4;

/** Whether it limits, delays or parts traffic. Rejects when it cannot be told. */
export async function shapes(device: string): Promise<boolean> {
  const { stdout } = await promisify(execFile)('tc', ['-json', 'qdisc', 'show', 'dev', device]);
  return (JSON.parse(stdout) as { kind: string }[]).some(({ kind }) => !PLAIN.has(kind));
}

/** `changed` is called with the index of each device of this network namespace that gets or loses one. Throws KernelError. */
export function hearQueueDisciplines(changed: (ifindex: number) => void): Hearing {
  return hear(RTMGRP_TC, (type, body) => {
    if ((type === RTM_NEWQDISC || type === RTM_DELQDISC) && body.length >= TCM_IFINDEX + 4)
      changed(body.readInt32LE(TCM_IFINDEX));
  });
}
