// SPDX-License-Identifier: Apache-2.0
// What the documents tell people to type exists: make targets, our programs with their commands and options; and
// links between documents lead somewhere.

import t from 'tap';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { projectFiles, typeScriptFiles } from './files.js';

const README = readFileSync('README.md', 'utf8');
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

t.test('the README has every option of the proxy, with its default', async (t) => {
  const rows = README.split('\n').filter((line) => line.startsWith('| `--'));
  const options = help('bin/rtsp-fanout')
    .split(/\n {2}(?=-)/)
    .slice(1);
  t.ok(options.length > 20, 'the help was read');
  for (const option of options.map((text) => text.replaceAll(/\s+/g, ' '))) {
    const name = /--[a-z-]+/.exec(option)![0];
    const row = rows.find((line) => new RegExp(`\`${name}[ \`]`).test(line));
    if (name === '--help') continue;
    t.ok(row, name);
    const [, found = 'false'] = /default: "?(.*?)"?\)/.exec(option) ?? [];
    const isOwn = row?.split('`--').length === 2;
    if (isOwn && found !== 'false' && name !== '--api-socket')
      t.match(row.replaceAll('`', ''), `| ${found} |`, name);
  }
});

t.test('the README has every exit code of the help', async (t) => {
  const [helped] = /^Exit code: [^]*/m.exec(help('bin/rtsp-fanout'))!;
  const [told] = /^Exit code [^]*?\n\n/m.exec(README)!;
  for (const what of [/\b\d (?=\w)/g, /SIG(?:INT|TERM|HUP)/g]) t.same(told.match(what), helped.match(what));
});

t.test('the README has what the kernel engine needs where it runs', async (t) => {
  const sources = typeScriptFiles().filter((file) => file.startsWith('src/control/kernel/'));
  const text = sources.map((file) => readFileSync(file, 'utf8')).join('\n');
  const [, needs = ''] = /^- Linux only\.([\s\S]*?)\n\n/m.exec(README)!;
  const [, library] = /LIBRARY = '(\S+)'/.exec(text)!;
  const programs = new Set([...text.matchAll(/\bcommand\('(\w+)'/g)].map(([, program]) => program!));
  programs.delete('unshare'); // which every Linux has
  t.ok(programs.size > 2, 'the calls were found');
  for (const name of [library!, ...programs]) t.ok(needs.includes(`\`${name}\``), name);
  t.match(readFileSync('docs/adr/0032-loops-on-older-kernels.md', 'utf8'), /The floor is 6\.1\./);
  t.match(needs, 'Linux 6.1');
});

t.test('docs/metrics.md has every metric', async (t) => {
  const program = readFileSync('src/control/api/metrics.ts', 'utf8');
  const families = [...program.matchAll(/\b(gauge|counter|each)[(,]\s*'(\w+)'/g)];
  t.ok(families.length > 24, 'the program was read');
  const told = readFileSync('docs/metrics.md', 'utf8');
  for (const [, type, name] of families)
    t.ok(told.includes(`\`${name}${type === 'counter' ? '_total' : ''}\``), `${type} ${name}`);
});

t.test('the README and make help say how long make interop took', async (t) => {
  const [, seconds] = / in (\d+) s\.$/m.exec(readFileSync('docs/interop.md', 'utf8'))!;
  const [, told] = /^make interop .*about (\S+) minutes/m.exec(README)!;
  const [, helped] = /^interop:.*, (\d+) minutes/m.exec(readFileSync('Makefile', 'utf8'))!;
  t.equal(told, helped);
  t.ok(Math.abs(Number(told) - Number(seconds) / 60) < 1, `${told} minutes are about ${seconds} s`);
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

const helps = new Map<string, string>();

function help(program: string, ...command: string[]): string {
  const words = [...command, '--help'];
  const key = [program, ...words].join(' ');
  if (!helps.has(key)) helps.set(key, execFileSync(program, words, { encoding: 'utf8' }));
  return helps.get(key)!;
}

/** Help of the program, and of the command among `words` where it has commands. Throws when it fails. */
function helpFor(program: string, words: readonly string[]): string {
  const general = help(program);
  const commands = [...general.matchAll(/^ {2}([a-z]+) .*/gm)].map((found) => found[1]);
  if (!/\[command\]/.test(general)) return general;
  const command = words.find(
    (word, index) => !word.startsWith('-') && !words[index - 1]?.startsWith('--api'),
  );
  if (command === undefined) return general;
  if (!commands.includes(command)) throw new Error(`${program} has no command ${command}`);
  return general + help(program, command);
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
