// SPDX-License-Identifier: Apache-2.0
// What this process may do (capabilities(7)), asked before the kernel engine tries it: the answer can then be a
// sentence instead of EPERM.

import { readFileSync } from 'node:fs';

/** Bit numbers of linux/capability.h. */
const NEEDED = { CAP_NET_ADMIN: 12, CAP_BPF: 39 } as const;

/** Names of those that the kernel engine needs and this process lacks. `status` is the text of proc(5)'s file. */
export function missingCapabilities(status = readFileSync('/proc/self/status', 'utf8')): string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return Object.entries(NEEDED)
    .filter(([, bit]) => ((effective >> BigInt(bit)) & 1n) === 0n)
    .map(([name]) => name);
}
