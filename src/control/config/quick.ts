// SPDX-License-Identifier: Apache-2.0
// The configuration that a source's URL on the command line stands for: all that its server has, under the same path and
// query, and the root for what the URL itself names.

import type { RtspUrl } from '../rtsp/url.js';
import { DEFAULTS, type PathSettings } from './path-config.js';
import type { PathTable } from './path-table.js';

export function quickTable(source: RtspUrl, settings: Partial<PathSettings> = {}): PathTable {
  const at = (path: string) => ({ url: { ...source, path, query: undefined }, variable: true });
  return {
    paths: [
      { ...DEFAULTS, ...settings, name: '*', source: at('/$path$query') },
      { ...DEFAULTS, ...settings, name: '', source: at(source.path === '' ? '$query' : '/$query') },
    ],
    root: { path: source.path, query: source.query },
  };
}
