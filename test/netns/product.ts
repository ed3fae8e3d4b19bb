// SPDX-License-Identifier: Apache-2.0
// The whole product as a test sees it: bin/rtsp-fanout running somewhere, asked through bin/proxyctl.
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ClientRow, PathRow, StatusRow, StreamRow } from '../../src/control/api/types.js';
import { Child, run, tcpListening, type StartOptions } from '../../tools/netns/child.js';
import { temporaryFolder } from '../../tools/netns/temporary-folder.js';
import type { Namespace } from '../../tools/netns/topology.js';
import { unprivileged } from '../../tools/netns/unprivileged.js';
import { until } from '../../tools/netns/wait.js';

export { temporaryFolder, unprivileged };

export type Engine = 'tc' | 'xdp' | 'userspace';

/** Path of a compiled program of this project, wherever the compiler's output went. */
export const compiled = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** A TCP port of this host that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a program in a namespace or, without one, beside us. */
export function startIn(
  where: Namespace | undefined,
  command: string,
  args: readonly string[],
  options: StartOptions = {},
): Promise<Child> {
  return where ? where.spawn(command, args, options) : Child.start(command, args, options);
}

export interface ProductOptions {
  readonly engine: Engine;
  /** rtsp://... of the source, or, with `--config` among `more`, none. */
  readonly source?: string;
  readonly namespace?: Namespace;
  /** Address to listen on (default all). */
  readonly host?: string;
  readonly port?: number;
  /** Further words of the command line. */
  readonly more?: readonly string[];
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Run without root. */
  readonly unprivileged?: boolean;
}

export class Product {
  static async start(options: ProductOptions): Promise<Product> {
    const { engine, source, namespace, host = '0.0.0.0', port = 8554 } = options;
    const socket = join(temporaryFolder(), 'api.sock');
    const command = [
      ...(options.unprivileged ? unprivileged() : []),
      ...['bin/rtsp-fanout', '--listen', `${host}:${port}`, '--datapath', engine],
      ...[
        '--api-socket',
        socket,
        '--log-level',
        'debug',
        ...(options.more ?? []),
        ...(source === undefined ? [] : [source]),
      ],
    ];
    const { env = {} } = options;
    const child = await startIn(namespace, command[0]!, command.slice(1), { env });
    const product = new Product(child, port, socket);
    await until(
      `the proxy's socket ${socket}`,
      () => {
        if (!child.running) throw new Error(`the proxy ended: ${child.describe()}`);
        return existsSync(socket);
      },
      30_000, // the verifier of a busy machine
      () => child.describe(),
    );
    await tcpListening(child.pid, port);
    return product;
  }

  private constructor(
    readonly child: Child,
    readonly port: number,
    /** Of the API. */
    readonly socket: string,
  ) {}

  url(host: string, path: string): string {
    return `rtsp://${host}:${this.port}${path}`;
  }

  status = () => this.#ask<StatusRow>('status');
  clients = () => this.#ask<ClientRow[]>('clients');
  paths = () => this.#ask<PathRow[]>('paths');
  streams = () => this.#ask<StreamRow[]>('streams');

  async #ask<Answer>(command: string): Promise<Answer> {
    return JSON.parse(await run('bin/proxyctl', ['--api-socket', this.socket, command, '--json'])) as Answer;
  }

  /** Resolves when nobody plays and nothing is held upstream. */
  async idle(timeoutMs = 10_000): Promise<StatusRow> {
    let last: StatusRow | undefined;
    return until(
      'the proxy to have neither viewers nor streams',
      async () => {
        last = await this.status();
        return last.viewers === 0 && last.streams === 0 && last;
      },
      timeoutMs,
      () => `${JSON.stringify(last)}\n${this.child.describe()}`,
    );
  }

  /** SIGTERM, and the exit code must be 0. */
  async stop(): Promise<void> {
    const exit = await this.child.stop('SIGTERM');
    if (exit.code !== 0) throw new Error(`the proxy did not end well: ${this.child.describe()}`);
  }
}
