// SPDX-License-Identifier: Apache-2.0
// Metrics over HTTP, for who cannot reach the API's unix socket: GET /metrics, and nothing else.

import { fastify, type FastifyInstance } from 'fastify';
import { expose, EXPOSITION_TYPE } from './exposition.js';
import { metrics } from './metrics.js';
import type { ProxyView } from './types.js';

/** Who asks for metrics are few; others are not to take our descriptors. */
const CONNECTIONS = 32;

export interface MetricsAt {
  /** Undefined: only this host itself. */
  readonly host: string | undefined;
  readonly port: number;
}

export interface MetricsServer {
  close(): Promise<void>;
}

/** Rejects with a message fit to be shown. */
export async function serveMetrics(
  { host = '127.0.0.1', port }: MetricsAt,
  proxy: ProxyView,
  version: string,
): Promise<MetricsServer> {
  const app = fastify({ logger: false, bodyLimit: 1024, forceCloseConnections: true, requestTimeout: 5000 });
  app.server.maxConnections = CONNECTIONS;
  addMetrics(app, proxy, version);
  app.setNotFoundHandler((_request, reply) => reply.code(404).send('GET /metrics is all there is\n'));
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    throw new Error(`metrics: ${(error as Error).message}`, { cause: error });
  }
  return { close: () => app.close() };
}

export function addMetrics(app: FastifyInstance, proxy: ProxyView, version: string): void {
  app.get('/metrics', (_request, reply) => reply.type(EXPOSITION_TYPE).send(expose(metrics(proxy, version))));
}
