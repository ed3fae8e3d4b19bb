// SPDX-License-Identifier: Apache-2.0
// Imports point one way. The table below is the law; docs/architecture.md draws it.

import t from 'tap';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { typeScriptFiles } from './files.js';

/**
 * What each area may import of the others and of packages. `types:FILE` allows `import type` of that file only,
 * `file:FILE` anything of that file only. Areas are folders, `main` is what stands in src/control itself.
 */
const ALLOWED: Readonly<Record<string, { areas: readonly string[]; packages: readonly string[] }>> = {
  main: {
    areas: [
      'path',
      'net',
      'kernel',
      'hold',
      'api',
      'config',
      'layers',
      'state',
      'rtsp',
      'rtcp',
      'rtp',
      'shared',
    ],
    packages: ['commander', 'pino', 'node:*'],
  },
  path: {
    areas: ['config', 'layers', 'state', 'rtsp', 'rtcp', 'types:src/control/api/types.ts'],
    packages: ['node:net'],
  },
  net: {
    areas: ['rtsp', 'state', 'types:src/control/path/ports.ts', 'types:src/control/path/hook-port.ts'],
    packages: ['koffi', 'node:*'],
  },
  kernel: {
    areas: [
      'rtp',
      'rtcp',
      'state',
      'types:src/control/path/ports.ts',
      'file:src/control/rtsp/interleaved.ts',
    ],
    packages: ['koffi', 'netlink', 'node:*'],
  },
  hold: {
    areas: ['types:src/control/path/ports.ts', 'file:src/control/kernel/abi.gen.ts'],
    packages: ['koffi', 'node:*'],
  },
  config: { areas: ['layers', 'rtsp', 'state'], packages: ['yaml', 'node:util'] },
  api: { areas: [], packages: ['fastify', 'node:*'] },
  state: {
    areas: [
      'types:src/control/rtsp/',
      'types:src/control/rtp/',
      'types:src/control/rtcp/',
      'types:src/control/path/ports.ts',
      'file:src/control/rtcp/ntp.ts', // arithmetic of times
    ],
    packages: [],
  },
  layers: { areas: [], packages: [] },
  rtsp: { areas: [], packages: ['sdp-transform', 'node:crypto', 'node:net', 'node:util'] },
  rtp: { areas: [], packages: [] },
  rtcp: { areas: [], packages: [] },
  proxyctl: {
    areas: [
      'shared',
      'types:src/control/api/types.ts',
      'file:src/control/api/socket-path.ts',
      'file:src/control/kernel/leftovers.ts',
    ],
    packages: ['commander', 'node:*'],
  },
  shared: { areas: [], packages: ['commander'] },
  tools: { areas: ['*'], packages: ['*'] },
  test: { areas: ['*'], packages: ['*'] },
};

export interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
}

t.test('every import is one that the table allows', async (t) => {
  const wrong = typeScriptFiles().flatMap((file) =>
    imports(readFileSync(file, 'utf8'))
      .filter((found) => !allowed(file, found))
      .map(({ target }) => `${file} imports ${target}`),
  );
  t.same(wrong, []);
});

t.test('the check itself tells good from bad', async (t) => {
  const found = imports(
    "import type { A } from './a.js';\nimport {\n  b,\n} from '../b.js';\nexport * from 'c';\nimport './d.js';\n" +
      "const e = await import('./e.js');\n",
  );
  t.same(
    found.map(({ target }) => target),
    ['./a.js', '../b.js', 'c', './d.js', './e.js'],
  );
  t.same(
    found.map(({ typeOnly }) => typeOnly),
    [true, false, false, false, false],
  );
  const asks = (file: string, target: string, typeOnly = false) => allowed(file, { target, typeOnly });
  t.ok(asks('src/control/main.ts', './kernel/choose.js'));
  t.ok(asks('src/control/kernel/userspace.ts', '../path/ports.js', true));
  t.notOk(asks('src/control/kernel/userspace.ts', '../path/ports.js'));
  t.notOk(asks('src/control/path/session.ts', '../kernel/userspace.js'));
  t.notOk(asks('src/control/rtsp/framer.ts', '../net/listener.js', true));
  t.notOk(asks('src/control/state/pending.ts', 'node:net'));
  t.notOk(asks('src/control/net/listener.ts', 'fastify'));
  t.notOk(asks('src/proxyctl/main.ts', '../control/log.js'));
  t.notOk(asks('src/control/main.ts', '../../tools/camera/main.js'));
});

function imports(source: string): Import[] {
  const pattern =
    /^(?:import|export)\s+(type\s)?(?:[^'"();]*?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;
  return [...source.matchAll(pattern)].map(([, type, target, dynamic]) => ({
    target: target ?? dynamic ?? '',
    typeOnly: type !== undefined,
  }));
}

function allowed(file: string, { target, typeOnly }: Import): boolean {
  const law = ALLOWED[areaOf(file)];
  if (law === undefined) return false;
  if (!target.startsWith('.'))
    return law.packages.some(
      (name) => name === '*' || name === target || (name === 'node:*' && target.startsWith('node:')),
    );
  const path = join(dirname(file), target).replace(/\.js$/, '.ts');
  if (areaOf(path) === areaOf(file)) return true;
  return law.areas.some((rule) => {
    if (rule === '*' || rule === areaOf(path)) return true;
    const [, kind, of = ''] = /^(types|file):(.+)$/.exec(rule) ?? [];
    if (kind === undefined || !(of.endsWith('/') ? path.startsWith(of) : path === of)) return false;
    return kind === 'file' || typeOnly;
  });
}

function areaOf(file: string): string {
  const [top = '', second, third, fourth] = file.split('/');
  if (top !== 'src') return top;
  if (second === 'proxyctl') return 'proxyctl';
  if (second !== 'control') return 'shared';
  return fourth === undefined ? 'main' : (third ?? '');
}
