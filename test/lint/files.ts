// SPDX-License-Identifier: Apache-2.0
// Which files the house rules are about: what git would carry, found without git.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = ['src', 'tools', 'test', 'bpf', 'docs', 'bin', 'packaging', '.ci'];
const TOP_LEVEL = ['Makefile', 'README.md', 'package.json', 'package-lock.json', 'tsconfig.json'];

/** Paths from the project's root on, sorted. */
export function projectFiles(): string[] {
  const found = FOLDERS.filter((folder) => existsSync(folder)).flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  return [...found, ...TOP_LEVEL].sort();
}

export function typeScriptFiles(): string[] {
  return projectFiles().filter((file) => file.endsWith('.ts'));
}
