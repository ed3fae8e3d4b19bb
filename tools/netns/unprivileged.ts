// SPDX-License-Identifier: Apache-2.0
// Programs that are to run without root.
import { statSync } from 'node:fs';
import { delimiter, dirname } from 'node:path';

/** Prefix of a command line that gives root away; empty for who has none to give. */
export function unprivileged(): string[] {
  if (process.getuid?.() !== 0) return [];
  const nobody = ['--reuid=nobody', '--regid=nogroup', '--clear-groups', '--bounding-set=-all'];
  return ['setpriv', ...nobody, 'env', `PATH=${pathOfAll()}`];
}

/** Without directories that only root may search: a program that is nowhere would be "not permitted" (EACCES) there. */
function pathOfAll(): string {
  return (process.env['PATH'] ?? '').split(delimiter).filter(isForAll).join(delimiter);
}

function isForAll(directory: string): boolean {
  const mode = statSync(directory, { throwIfNoEntry: false })?.mode ?? 0;
  return (mode & 0o001) !== 0 && (dirname(directory) === directory || isForAll(dirname(directory)));
}
