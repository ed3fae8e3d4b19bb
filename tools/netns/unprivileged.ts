// SPDX-License-Identifier: Apache-2.0
// Programs that are to run without root.

/** Prefix of a command line that gives root away; empty for who has none to give. */
export function unprivileged(): string[] {
  if (process.getuid?.() !== 0) return [];
  return ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', '--bounding-set=-all'];
}
