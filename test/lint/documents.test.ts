// SPDX-License-Identifier: Apache-2.0
// What the documents tell people to type exists: make targets, our programs with their commands and options; and
// links between documents lead somewhere.

import t from 'tap';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { projectFiles } from './files.js';

const documents = projectFiles().filter((file) => file.endsWith('.md'));
const lines = documents.flatMap((file) =>
  commandLines(readFileSync(file, 'utf8')).map((line) => ({ file, line })),
);

t.test('make targets that documents name exist', async (t) => {
  const targets = new Set(
    [...readFileSync('Makefile', 'utf8').matchAll(/^([a-z-]+):.*##/gm)].map((m) => m[1]),
  );
  t.ok(targets.has('test') && targets.has('run'), 'the Makefile was read');
  for (const { file, line } of lines.filter(({ line }) => line.startsWith('make')))
    for (const word of line
      .split(/\s+/)
      .slice(1)
      .filter((word) => !/[=-]/.test(word[0] ?? '') && !word.includes('=')))
      t.ok(targets.has(word), `${file}: ${line}`);
});

t.test('programs, commands and options that documents name exist', async (t) => {
  const checked = lines.filter(({ line }) => line.startsWith('bin/'));
  t.ok(checked.length > 0, 'the documents show our programs');
  for (const { file, line } of checked) {
    const [program = '', ...words] = line.split(/\s+/);
    const text = helpFor(program, words);
    for (const option of words.filter((word) => /^--[a-z]/.test(word)))
      t.ok(text.includes(option.split('=')[0]!), `${file}: ${line}: ${option}`);
  }
});

t.test('links between documents lead somewhere', async (t) => {
  for (const file of documents)
    for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(/\]\(([^)\s#]+)[^)]*\)/g))
      if (!/^[a-z]+:/.test(target)) t.ok(existsSync(join(dirname(file), target)), `${file}: ${target}`);
});

t.test('every decision is in the index', async (t) => {
  const index = readFileSync('docs/adr/README.md', 'utf8');
  const records = documents.filter((file) => /^docs\/adr\/\d{4}-/.test(file));
  t.ok(records.length > 0, 'there are records');
  for (const record of records) t.ok(index.includes(`](${record.slice('docs/adr/'.length)})`), record);
});

/** Help of the program, and of the command among `words` where it has commands. Throws when it fails. */
function helpFor(program: string, words: readonly string[]): string {
  const help = (...more: string[]) => execFileSync(program, [...more, '--help'], { encoding: 'utf8' });
  const general = help();
  const commands = [...general.matchAll(/^ {2}([a-z]+) .*/gm)].map((found) => found[1]);
  if (!/\[command\]/.test(general)) return general;
  const command = words.find(
    (word, index) => !word.startsWith('-') && !words[index - 1]?.startsWith('--api'),
  );
  if (command === undefined) return general;
  if (!commands.includes(command)) throw new Error(`${program} has no command ${command}`);
  return general + help(command);
}

/** Of fenced `sh` blocks: each line that is a command of ours, without prompt, comment and what it is piped into. */
function commandLines(text: string): string[] {
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)]
    .flatMap(([, block = '']) => block.split('\n'))
    .map((line) =>
      line
        .replace(/^\$ /, '')
        .replace(/\s+[#|>].*/, '')
        .trim(),
    )
    .filter((line) => /^(make\b|bin\/)/.test(line));
}
