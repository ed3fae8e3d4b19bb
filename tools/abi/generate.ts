// SPDX-License-Identifier: Apache-2.0
// Writes src/control/kernel/abi.gen.ts from the type information (BTF) of the compiled command program, which includes
// bpf/fanout_abi.h. `node dist/tools/abi/generate.js OBJECT` prints the file; `make abi` puts it in place.
import { execFileSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';

interface BtfMember {
  readonly name: string;
  readonly type_id: number;
  readonly bits_offset: number;
}

interface BtfType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly members?: readonly BtfMember[];
  readonly values?: readonly { readonly name: string; readonly val: number }[];
}

/** `fanout_next_hop` -> `NextHop`. */
function typeName(name: string): string {
  return name
    .replace(/^fanout_/, '')
    .split('_')
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
    .join('');
}

/** `source_port` -> `sourcePort`. */
function fieldName(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** Enumerators lose the prefix that all of them share with the enum's name; those of fanout_limit only `FANOUT_`. */
function enumeratorName(enumName: string, name: string): string {
  const prefix = `${enumName.toUpperCase()}_`;
  return name.startsWith(prefix) ? name.slice(prefix.length) : name.replace(/^FANOUT_/, '');
}

/** Members with their byte offsets; those of an anonymous union count as the struct's own. */
function offsets(type: BtfType, byId: ReadonlyMap<number, BtfType>, base = 0): [string, number][] {
  return (type.members ?? []).flatMap((member): [string, number][] => {
    const at = base + member.bits_offset / 8;
    const inner = byId.get(member.type_id);
    return isAnonymous(member.name) && inner ? offsets(inner, byId, at) : [[fieldName(member.name), at]];
  });
}

function isAnonymous(name: string): boolean {
  return name === '' || name === '(anon)';
}

function writeEnum(type: BtfType): string {
  const rows = (type.values ?? []).map((v) => `  ${enumeratorName(type.name, v.name)}: ${v.val},\n`);
  return `/** enum ${type.name} */\nexport const ${typeName(type.name)} = {\n${rows.join('')}} as const;\n`;
}

function writeStruct(type: BtfType, byId: ReadonlyMap<number, BtfType>): string {
  const rows = offsets(type, byId).map(([name, at]) => `  ${name}: ${at},\n`);
  return (
    `/** struct ${type.name}: byte offsets, and its size. */\n` +
    `export const ${typeName(type.name)} = {\n  SIZE: ${type.size},\n${rows.join('')}} as const;\n`
  );
}

/** The text of abi.gen.ts for a compiled object. Throws what bpftool says when it cannot read the object. */
export function generate(object: string): string {
  const dump = execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', object, 'format', 'raw'], {
    encoding: 'utf8',
  });
  const { types } = JSON.parse(dump) as { types: BtfType[] };
  const byId = new Map(types.map((type) => [type.id, type]));
  const ours = types
    .filter((type) => /^(fanout|locked)_/.test(type.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    '// SPDX-License-Identifier: Apache-2.0\n' +
      '// Generated from the type information of bpf/command.bpf.c (bpf/fanout_abi.h) by `make abi`. Do not edit.\n',
    ...ours.filter((type) => type.kind === 'ENUM').map(writeEnum),
    ...ours.filter((type) => type.kind === 'STRUCT').map((type) => writeStruct(type, byId)),
  ].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const object = process.argv[2];
  if (!object) {
    process.stderr.write('usage: generate.js OBJECT, where OBJECT is the compiled command program\n');
    process.exit(2);
  }
  process.stdout.write(generate(object));
}
