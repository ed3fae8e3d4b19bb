// SPDX-License-Identifier: Apache-2.0
// docs/interop.md, from one run and nothing else.
import { table } from '../bench/markdown.js';
import { nameOf } from './cell.js';
import type { Ran } from './matrix.js';
import { HEADS, sections, summary } from './table.js';

export interface Run {
  /** ISO 8601, UTC, to the minute. */
  readonly at: string;
  readonly seconds: number;
  readonly kernel: string;
  /** Name -> version, null: not installed. */
  readonly peers: Readonly<Record<string, string | null>>;
  readonly ran: readonly Ran[];
}

const INTRODUCTION = `# Who it was tried with

Written by \`make interop\` in one run; not edited by hand. The cells are in [tools/interop/cells.yaml](../tools/interop/cells.yaml).
Each is the real proxy between a real source and a real viewer, in network namespaces of its own. It is \`ok\` when the viewer
was served by that transport and engine, 25 or more pictures that it decoded in a row are the source's, picture by picture, and the proxy
was idle afterwards. At the other end of a peer stands gst-rtsp-server or ffmpeg, by UDP and IPv4.

- \`mcast\` is multicast, \`http\` RTSP over HTTP, \`tls\` RTSPS, \`http-tls\` both. \`-\`: not among the cells.
- \`excluded\`: the peer cannot do it, whoever is at the other end; what it said without the proxy is below.
- \`ok again\`: it failed beside another cell, and went well when it was tried once more, alone.
- \`missing\`: the peer is not installed.`;

export function document(run: Run): string {
  const peers = Object.entries(run.peers).map(([name, version]) => [name, version ?? 'not installed']);
  const facts = table(['run', run.at], [['kernel', run.kernel], ...peers]);
  const parts = [INTRODUCTION, facts, `${summary(run.ran)}, in ${Math.round(run.seconds)} s.`];
  for (const { title, rows } of sections(run.ran)) parts.push(`## ${title}`, table(HEADS, rows));
  const excluded = exclusions(run.ran);
  if (excluded.length > 0) parts.push('## Excluded', table(['cell', 'in front of', 'said'], excluded));
  return `${parts.join('\n\n')}\n`;
}

function exclusions(ran: readonly Ran[]): string[][] {
  return ran.flatMap(({ cell, result }) =>
    result.is === 'excluded'
      ? [[nameOf(cell), cell.excluded!.against, `\`${result.error.replaceAll('|', '\\|')}\``]]
      : [],
  );
}
