// SPDX-License-Identifier: Apache-2.0
// gst-rtsp-server as a test's source: started, and asked how many sessions have reached it.
import { canRun } from '../../tools/netns/probe.js';
import type { Child } from '../../tools/netns/child.js';
import type { Namespace } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { startIn } from './product.js';

const PYTHON = '/usr/bin/python3';
const IMPORTS =
  "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer";

/** Undefined when it can be run here, else why not. */
export const canServe = (): string | undefined => canRun(PYTHON, ['-c', IMPORTS]);

export interface ServerEvent {
  readonly event: string;
  /** Sessions at that time. */
  readonly sessions: number;
}

export class GstServer {
  static async start(options: {
    file: string;
    address: string;
    namespace?: Namespace;
    sessionTimeout?: number;
    port?: number;
    /** `239.9.0.1-239.9.0.8`: it offers nothing but multicast to these. */
    multicast?: string;
    /** Each session begins at the beginning, and may seek. */
    recording?: boolean;
    /** Nothing but TCP. */
    tcp?: boolean;
    /** `NAME:PASSWORD` that it asks for by Digest. */
    digest?: string;
    /** The same by Basic. */
    basic?: string;
    /** Nothing but TLS: file (PEM) of certificate and key. */
    tls?: string;
  }): Promise<GstServer> {
    const {
      file,
      address,
      namespace,
      sessionTimeout = 60,
      port = 0,
      multicast,
      tcp = false,
      recording = false,
      digest,
      basic,
      tls,
    } = options;
    const child = await startIn(namespace, PYTHON, [
      ...['test/fixtures/gst-server.py', file, '--address', address],
      ...['--session-timeout', String(sessionTimeout), '--port', String(port)],
      ...(multicast === undefined ? [] : ['--multicast', multicast]),
      ...(tcp ? ['--tcp'] : []),
      ...(recording ? ['--recording'] : []),
      ...(digest === undefined ? [] : ['--digest', digest]),
      ...(basic === undefined ? [] : ['--basic', basic]),
      ...(tls === undefined ? [] : ['--tls', tls]),
    ]);
    const [, bound] = await child.output(/"listening".*"port": (\d+)/);
    const host = address.includes(':') ? `[${address}]` : address;
    return new GstServer(child, `${tls === undefined ? 'rtsp' : 'rtsps'}://${host}:${bound}`);
  }

  private constructor(
    readonly child: Child,
    readonly url: string,
  ) {}

  events(name?: string): ServerEvent[] {
    const all = this.child.stdout.split('\n').slice(0, -1);
    return all.map((line) => JSON.parse(line) as ServerEvent).filter(({ event }) => !name || event === name);
  }

  async sessionsEnded(timeoutMs = 10_000): Promise<void> {
    await until(
      'the last session at the server to end',
      () => this.events('new-session').length > 0 && this.events().at(-1)!.sessions === 0,
      timeoutMs,
      () => this.child.stdout,
    );
  }
}
