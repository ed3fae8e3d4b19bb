// SPDX-License-Identifier: Apache-2.0
// The API that proxyctl speaks: HTTP and JSON on a unix socket that only this user may open. Errors are {error}.

import { fastify, type FastifyError, type FastifyInstance } from 'fastify';
import { claimSocket } from './claim-socket.js';
import { addMetrics } from './metrics-server.js';
import { CLIENTS, ERROR, FLUSHED, KICKED, KICK_PARAMS, PATHS, STATUS, STREAMS } from './schema.js';
import type { ProxyView } from './types.js';

export interface ApiServer {
  close(): Promise<void>;
}

/**
 * Rejects when the socket cannot be had: another proxy answers on it, no permission, no such folder. The message is
 * fit to be shown.
 */
export async function serveApi(path: string, proxy: ProxyView, version: string): Promise<ApiServer> {
  const app = fastify({ logger: false, bodyLimit: 1024, forceCloseConnections: true, requestTimeout: 5000 });
  addRoutes(app, proxy);
  addMetrics(app, proxy, version);
  await claimSocket(path);
  const mask = process.umask(0o177); // the socket is born with mode 0600
  try {
    await app.listen({ path });
  } catch (error) {
    await app.close();
    throw new Error(`API socket ${path}: ${(error as Error).message}`, { cause: error });
  } finally {
    process.umask(mask);
  }
  return { close: () => app.close() };
}

function addRoutes(app: FastifyInstance, proxy: ProxyView): void {
  const answer = (schema: object) => ({ response: { 200: schema, '4xx': ERROR, '5xx': ERROR } });

  app.get('/clients', { schema: answer(CLIENTS) }, () => proxy.clients());
  app.get('/streams', { schema: answer(STREAMS) }, () => proxy.streams());
  app.get('/paths', { schema: answer(PATHS) }, () => proxy.paths());
  app.get('/status', { schema: answer(STATUS) }, () => proxy.status());

  app.post<{ Params: { id: number } }>(
    '/clients/:id/kick',
    { schema: { params: KICK_PARAMS, ...answer(KICKED) } },
    (request, reply) => {
      const { id } = request.params;
      return proxy.kick(id) ? { kicked: id } : reply.code(404).send({ error: `there is no viewer ${id}` });
    },
  );
  app.post('/flush', { schema: answer(FLUSHED) }, () => ({ flushed: proxy.flush() }));

  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ error: `there is no ${request.method} ${request.url}` }),
  );
  app.setErrorHandler((error: FastifyError, _request, reply) =>
    reply.code(error.statusCode ?? 500).send({ error: error.message }),
  );
}
