// SPDX-License-Identifier: Apache-2.0
// What the command line says of paths: a file of them, or the URL of one source.

import { quickTable } from './config/quick.js';
import type { PathTable } from './config/path-table.js';
import { readConfigFile } from './config-file.js';
import type { Options } from './options.js';
import { formatRtspUrl, placeOf, withoutCredentials } from './rtsp/url.js';

export interface PathsGiven {
  readonly table: PathTable;
  /** Where it comes from, for people: a URL without credentials, or a file. */
  readonly source: string;
  /** A place that can be opened; undefined: there are only patterns. */
  readonly example: string | undefined;
}

/** @throws ConfigError */
export function pathsGiven(options: Options): PathsGiven {
  const { source, sourceSettings, config } = options;
  if (source !== undefined) {
    const { path, query } = source;
    const example = placeOf({ path: path || '/', query }) || '/';
    return {
      table: quickTable(source, sourceSettings),
      source: formatRtspUrl(withoutCredentials(source)),
      example,
    };
  }
  const file = config!; // options.ts: one of both is given
  const table = readConfigFile(file);
  const first = table.paths.find(({ name }) => !name.includes('*'))?.name;
  const example = table.root ? '/' : first === undefined ? undefined : `/${first}`;
  return { table, source: file, example };
}
