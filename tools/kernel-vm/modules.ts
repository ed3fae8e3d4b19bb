// SPDX-License-Identifier: Apache-2.0
// Which of the kernel's modules the guest needs, and the order in which insmod takes them: what a module depends on
// stands in it as `depends=a,b` (modinfo).
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const NEEDED = [
  ...['virtio_pci', '9pnet_virtio', '9p', 'overlay'], // the host's file system, made writable
  ...['veth', 'sch_ingress', 'cls_bpf'], // what the kernel engine stands on
  ...['sch_fq', 'sch_netem', 'sch_tbf', 'sch_htb'], // what tests put behind it
] as const;

export interface Module {
  readonly name: string;
  readonly image: Buffer;
}

/** Of a folder of *.ko files, at any depth; each module after those it depends on. @throws when one is missing. */
export function neededModules(folder: string, needed: readonly string[] = NEEDED): Module[] {
  const paths = new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ko'))
      .map((path) => [nameOf(path), join(folder, path)]),
  );
  const ordered = new Map<string, Module>();
  const add = (name: string) => {
    if (ordered.has(name)) return;
    const path = paths.get(name);
    if (path === undefined) throw new Error(`${folder} has no module ${name}`);
    const image = readFileSync(path);
    dependencies(image).forEach(add);
    ordered.set(name, { name, image });
  };
  needed.map(nameOf).forEach(add);
  return [...ordered.values()];
}

/** File names have - or _ as they please; for the kernel both are the same. */
function nameOf(path: string): string {
  return basename(path, '.ko').replaceAll('-', '_');
}

function dependencies(image: Buffer): string[] {
  const [, list = ''] = /\0depends=([\w,-]*)\0/.exec(image.toString('latin1')) ?? [];
  return list.split(',').filter(Boolean).map(nameOf);
}
