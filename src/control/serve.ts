// SPDX-License-Identifier: Apache-2.0
// Plugs the parts together: datapath, proxy, API. Each is noted in `parts` as soon as it is built.

import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serveMetrics } from './api/metrics-server.js';
import { serveApi } from './api/server.js';
import { bannerText } from './banner.js';
import { followCertificates } from './certificates.js';
import { checkStart } from './check.js';
import { chooseDatapath } from './kernel/choose.js';
import { watchConfigFile } from './config-file.js';
import { checkMulticast } from './multicast-options.js';
import { mptcpObstacle } from './net/mptcp.js';
import { systemPorts } from './net/system-ports.js';
import { openFormer } from './hold/former.js';
import { openManager } from './hold/manager.js';
import { version, type Options } from './options.js';
import type { Parts } from './parts.js';
import { pathsGiven, type PathsGiven } from './paths-given.js';
import type { ListenAt, Log } from './path/ports.js';
import { createProxy, type Proxy } from './path/proxy.js';
import { makeWay } from './upgrade.js';

/** Resolves to the banner when viewers are served. Rejects with a message for the command line. */
export async function serve(options: Options, paths: PathsGiven, parts: Parts, log: Log): Promise<string> {
  const { apiSocket, pictures, orphanLimitMs, multicast } = options;
  checkMulticast(multicast);
  const mptcp = usesMptcp(options.mptcp || paths.table.mptcp === true, log);
  const listen = withMptcp(options.listen, mptcp);
  const manager = await openManager(log);
  const former = await openFormer(manager, log);
  if (former) parts.built('notebook', () => former.close());
  const takeOver = (former?.records.size ?? 0) > 0;
  const datapath = await chooseDatapath({
    ...{
      wanted: options.datapath,
      port: listen.port,
      pictures,
      orphanLimitMs,
      takeOver,
      log,
    },
  });
  parts.built('datapath', () => datapath.close());

  const proxy = createProxy({
    ...systemPorts({ log, holder: former?.store, mptcp }),
    ...(former && { notebook: former.notebook, records: former.records }),
    ...{ paths: paths.table, source: paths.source, listen, datapath, log, multicast },
  });
  parts.built('proxy', () => proxy.close());
  const address = await proxy.listen();
  if (listen.tls) {
    const unfollow = followCertificates(listen.tls.files, () => proxy.reloadTls(), log);
    parts.built('certificates', unfollow);
  }
  if (options.config !== undefined) followConfig(options.config, paths, proxy, parts, log);
  onUpgrade(former !== undefined, options, proxy, log);

  await serveOperators(options, proxy, parts, takeOver ? log : undefined);

  former?.takenOver();
  manager?.tell('READY=1');
  parts.built('readiness', () => manager?.tell('STOPPING=1'));
  const proxyctl = relative(process.cwd(), fileURLToPath(new URL('../../../bin/proxyctl', import.meta.url)));
  const { tlsAddress: tls } = proxy;
  return bannerText({ version: version(), listen: address, tls, paths, datapath, apiSocket, proxyctl });
}

/** The API, and metrics where they are asked for. `log`: viewers of a former process are there already, who must not be lost because
 * an operator cannot ask; else rejects with a message for the command line. */
async function serveOperators(
  options: Options,
  proxy: Proxy,
  parts: Parts,
  log: Log | undefined,
): Promise<void> {
  const { apiSocket, metricsListen } = options;
  const servers = {
    api: () => serveApi(apiSocket, proxy, version()),
    ...(metricsListen && { metrics: () => serveMetrics(metricsListen, proxy, version()) }),
  };
  for (const [name, serveIt] of Object.entries(servers))
    try {
      const server = await serveIt();
      parts.built(name, () => server.close());
    } catch (error) {
      if (!log) throw error;
      log.error({ why: (error as Error).message }, 'cannot be asked; viewers go on');
    }
}

/** Where the kernel has none it is TCP. */
function usesMptcp(wanted: boolean, log: Log): boolean {
  const why = wanted ? mptcpObstacle() : undefined;
  if (why !== undefined) log.warn({ why }, 'no multipath TCP here: connections are plain TCP');
  return wanted && why === undefined;
}

function withMptcp(listen: ListenAt, mptcp: boolean): ListenAt {
  const { tls } = listen;
  return { ...listen, mptcp, ...(tls && { tls: { ...tls, at: { ...tls.at, mptcp } } }) };
}

/** After SIGHUP, too, of which main.ts knows that it does not end the process then. */
function followConfig(file: string, { table }: PathsGiven, proxy: Proxy, parts: Parts, log: Log): void {
  const watch = watchConfigFile(file, table, { apply: (paths) => proxy.reload(paths), log });
  process.on('SIGHUP', () => {
    log.info({ file }, 'asked to read the paths again');
    watch.reload();
  });
  watch.reload(); // it may have changed since it was read first
  parts.built('configuration', () => watch.close());
}

function onUpgrade(held: boolean, options: Options, proxy: Proxy, log: Log): void {
  process.on('SIGUSR2', () => {
    log.info({}, 'asked to make way for the installed version');
    const check = () => void checkStart(options, pathsGiven(options));
    makeWay({ held, check, quiesce: () => proxy.quiesce() }).catch((error: Error) =>
      log.error({ why: error.message }, 'refused: this version goes on'),
    );
  });
}
