// SPDX-License-Identifier: Apache-2.0
// The file of --config as editors treat it: written in place, replaced, removed for a while, at fault.

import t from 'tap';
import { X509Certificate } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PathTable } from '../../../src/control/config/path-table.js';
import { readConfigFile, watchConfigFile } from '../../../src/control/config-file.js';
import { until } from '../../../tools/netns/wait.js';
import { Authority } from '../../fixtures/tls.js';

const paths = (...names: string[]) =>
  ['paths:', ...names.map((name) => `  ${name}: { source: "rtsp://192.0.2.7/x" }`)].join('\n');

t.test('a change is noticed however it is made, and one at fault changes nothing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'rfo-config-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'paths.yaml');
  writeFileSync(file, paths('a'));
  const applied: string[] = [];
  const errors: string[] = [];
  const apply = (table: PathTable) => void applied.push(table.paths.map(({ name }) => name).join());
  const error = (fields: object) => void errors.push(JSON.stringify(fields));
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error };
  const watch = watchConfigFile(file, readConfigFile(file), { apply, log });
  t.teardown(() => watch.close());

  watch.reload();
  t.same(applied, ['a'], 'when it is asked to');
  writeFileSync(file, paths('a', 'b'));
  await until('the change in place', () => applied.at(-1) === 'a,b');
  writeFileSync(`${file}.new`, paths('c'));
  renameSync(`${file}.new`, file);
  await until('the new file in its place', () => applied.at(-1) === 'c');
  rmSync(file);
  watch.reload();
  t.match(errors.at(-1), /ENOENT/, 'gone: told when it is asked for');
  writeFileSync(file, `${paths('d')}\nsauce: 1\n`);
  await until('the fault', () => /paths\.yaml:3: sauce is not known/.test(errors.at(-1) ?? ''));
  t.equal(applied.at(-1), 'c', 'and nothing has changed');
  writeFileSync(file, paths('d'));
  await until('the file that is whole again', () => applied.at(-1) === 'd');
  truncateSync(file, 1024 * 1024 + 1);
  watch.reload();
  t.match(errors.at(-1), /1048577 bytes are too many/);
});

t.test(
  'files that it names are looked for beside it and read at once, each fault with its line',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'rfo-config-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'paths.yaml');
    mkdirSync(join(folder, 'tls'));
    const { certificate } = new Authority(join(folder, 'tls'));
    const read = (...authorities: string[]) => {
      const path = (name: string, i: number) =>
        `  p${i}: { source: "rtsps://192.0.2.7/x", sourceCa: ${name} }`;
      writeFileSync(
        file,
        ['defaults: { sourceCa: tls/ca.pem }', 'paths:', ...authorities.map(path)].join('\n'),
      );
      return readConfigFile(file).paths.map(({ sourceCa }) => sourceCa);
    };
    t.same(read('tls/ca.pem', certificate), [certificate, certificate]);
    const none = join(folder, 'none.pem');
    t.throws(() => read('tls/ca.pem', 'none.pem', 'paths.yaml'), {
      message: [
        `${file}:4: sourceCa: ${none} cannot be read: ENOENT`,
        `${file}:5: sourceCa: ${file} has no certificate (PEM) in it`,
      ].join('\n'),
    });
    const der = join(folder, 'der.pem');
    writeFileSync(der, new X509Certificate(readFileSync(certificate)).raw);
    t.throws(() => read(der), /:3: sourceCa: .*der\.pem has no certificate \(PEM\)/);
    rmSync(certificate);
    t.throws(() => read(), { message: `${file}:1: sourceCa: ${certificate} cannot be read: ENOENT` });
  },
);
