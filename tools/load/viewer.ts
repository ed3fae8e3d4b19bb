// SPDX-License-Identifier: Apache-2.0
// One RTSP viewer: DESCRIBE, SETUP of every m= section, PLAY, keep-alive, TEARDOWN (RFC 2326 chapter 10). By UDP it opens no socket:
// whoever wants the media binds the ports. Within the connection (10.12) it hands each packet on.
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { openSocket } from '../../src/control/net/source-socket.js';
import type { SourceTrust } from '../../src/control/path/ports.js';
import { SourceLogin } from '../../src/control/path/source-login.js';
import { Framer } from '../../src/control/rtsp/framer.js';
import { frameOf } from '../../src/control/rtsp/interleaved.js';
import { type RtspResponse, request } from '../../src/control/rtsp/message.js';
import { describeSdp } from '../../src/control/rtsp/sdp.js';
import { serialize } from '../../src/control/rtsp/serialize.js';
import { DEFAULT_SESSION_TIMEOUT, parseSession } from '../../src/control/rtsp/session.js';
import { parseTransport, type NumberRange } from '../../src/control/rtsp/transport.js';
import {
  credentialsOf,
  formatRtspUrl,
  parseRtspUrl,
  resolveControl,
  withoutCredentials,
  type RtspUrl,
} from '../../src/control/rtsp/url.js';

export interface ViewerOptions {
  /** Source address of the connection; undefined: the kernel's choice. */
  readonly localAddress?: string | undefined;
  /**
   * Called with the number of m= sections when they are known, to set aside or bind a pair of UDP ports for each. Resolves with the
   * first, even: RTP; RTCP is one above, and the next section's pair two. Undefined: within the connection.
   */
  readonly openPorts?: ((sections: number) => Promise<number>) | undefined;
  /** For rtsps://. Undefined: the authorities that Node knows. */
  readonly trust?: SourceTrust | undefined;
  /** For each request, milliseconds. */
  readonly timeoutMs: number;
}

const KNOWN_AUTHORITIES: SourceTrust = { authority: undefined, fingerprint: undefined };

/** Where the server sends one section's media from. */
export interface Track {
  /** Ours; 0 within the connection. */
  readonly rtpPort: number;
  /** Within the connection, RTP and RTCP. */
  readonly channels?: NumberRange | undefined;
  readonly clockRate: number;
  readonly serverAddress: string;
  readonly serverRtcpPort: number | undefined;
}

type Waiter = { resolve: (response: RtspResponse) => void; reject: (error: Error) => void };

export class Viewer {
  readonly tracks: Track[] = [];
  /** Called once when the connection ends without our having asked for it. */
  onLost: (reason: string) => void = () => {};
  /** Each packet within the connection. */
  onFrame: (channel: number, packet: Buffer) => void = () => {};
  readonly #server: RtspUrl;
  /** Without name and password, which go into Authorization only. */
  readonly #uri: string;
  readonly #login: SourceLogin;
  #socket!: Socket;
  #cseq = 0;
  #session: string | undefined;
  #keepAlive: NodeJS.Timeout | undefined;
  #ended = false;
  readonly #waiting = new Map<string, Waiter>();
  readonly #framer = new Framer();

  /** `url`: rtsp:// or rtsps://, with name and password where the server asks for them. @throws RtspError 400, 414. */
  constructor(
    url: string,
    readonly options: ViewerOptions,
  ) {
    this.#server = parseRtspUrl(url);
    this.#uri = formatRtspUrl(withoutCredentials(this.#server));
    this.#login = new SourceLogin(credentialsOf(this.#server), randomBytes);
  }

  /** From nothing to a playing session. @throws Error naming the step that failed; the connection is closed then. */
  async play(): Promise<void> {
    try {
      await this.#connect();
      const { headers, body } = await this.#ask('DESCRIBE', this.#uri, [['Accept', 'application/sdp']]);
      const base = headers.get('Content-Base') ?? headers.get('Content-Location') ?? this.#uri;
      const description = describeSdp(body.toString('utf8'));
      const firstPort = await this.options.openPorts?.(description.media.length);
      for (const [i, { control, clockRate }] of description.media.entries()) {
        const rtpPort = firstPort === undefined ? undefined : firstPort + 2 * i;
        await this.#setUp(resolveControl(base, control), clockRate, rtpPort);
      }
      await this.#ask('PLAY', resolveControl(base, description.control), [['Range', 'npt=0.000-']]);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Of the connection, once there is one. */
  get localAddress(): string | undefined {
    return this.#socket?.localAddress;
  }

  sendFrame(channel: number, packet: Buffer): void {
    if (!this.#ended) this.#socket.write(frameOf(channel, packet));
  }

  async teardown(): Promise<void> {
    if (this.#ended) return;
    try {
      await this.#ask('TEARDOWN', this.#uri);
    } finally {
      this.close();
    }
  }

  /** Drops the connection without a TEARDOWN. */
  close(): void {
    this.#end('closed');
  }

  async #connect(): Promise<void> {
    const { host, port, scheme } = this.#server;
    const { localAddress, timeoutMs, trust = KNOWN_AUTHORITIES } = this.options;
    const to = localAddress === undefined ? { host, port } : { host, port, localAddress };
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error('connect: no answer')), timeoutMs);
        this.#socket = openSocket(to, scheme === 'rtsps' ? trust : undefined, resolve);
        this.#socket
          .setNoDelay(true)
          .on('data', (chunk: Buffer) => this.#received(chunk))
          .on('error', (error) => (reject(error), this.#end(error.message)))
          .on('close', () => this.#end('the server closed the connection'));
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** `rtpPort`: undefined within the connection, whose next two channels are asked for then. */
  async #setUp(uri: string, clockRate: number, rtpPort: number | undefined): Promise<void> {
    const low = rtpPort ?? 2 * this.tracks.length;
    const wanted =
      rtpPort === undefined
        ? `RTP/AVP/TCP;unicast;interleaved=${low}-${low + 1}`
        : `RTP/AVP;unicast;client_port=${low}-${low + 1}`;
    const answer = await this.#ask('SETUP', uri, [['Transport', wanted]]);
    const transport = parseTransport(answer.headers.get('Transport') ?? '')[0]!;
    if (rtpPort === undefined && !transport.interleaved)
      throw new Error('SETUP: the answer names no channels');
    if (rtpPort !== undefined && transport.clientPort?.low !== rtpPort)
      throw new Error('SETUP: the answer names other client ports');
    this.tracks.push({
      rtpPort: rtpPort ?? 0,
      channels: transport.interleaved,
      clockRate,
      serverAddress: transport.source ?? this.#socket.remoteAddress!,
      serverRtcpPort: transport.serverPort?.high,
    });
    const { id, timeout = DEFAULT_SESSION_TIMEOUT } = parseSession(answer.headers.get('Session') ?? '');
    this.#session = id;
    this.#keepAlive ??= setInterval(
      () => void this.#ask('GET_PARAMETER', this.#uri).catch((e: Error) => this.#end(e.message)),
      timeout * 500,
    );
  }

  /** Signed where the server asks for it. @throws when the answer is no 200 or does not come in time. */
  async #ask(method: string, uri: string, fields: [string, string][] = []): Promise<RtspResponse> {
    try {
      for (let tries = 0; ; tries++) {
        const { challenge, headers: signed } = this.#login.sign(method, uri);
        const answer = await this.#exchange(method, uri, [...fields, ...signed]);
        if (answer.status === 200) return answer;
        if (answer.status !== 401 || !this.#login.challenged(answer, challenge, tries))
          throw new Error(`${answer.status} ${answer.reason}`);
      }
    } catch (error) {
      throw new Error(`${method}: ${(error as Error).message}`, { cause: error });
    }
  }

  async #exchange(method: string, uri: string, fields: [string, string][]): Promise<RtspResponse> {
    const cseq = String(++this.#cseq);
    const headers: [string, string][] = [['CSeq', cseq], ['User-Agent', 'rtsp-load'], ...fields];
    if (this.#session !== undefined) headers.push(['Session', this.#session]);
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<RtspResponse>((resolve, reject) => {
        if (this.#ended) return reject(new Error('the connection has ended'));
        timer = setTimeout(() => reject(new Error('no answer')), this.options.timeoutMs);
        this.#waiting.set(cseq, { resolve, reject });
        this.#socket.write(serialize(request(method, uri, headers)));
      });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(cseq);
    }
  }

  #received(chunk: Buffer): void {
    try {
      this.#framer.push(chunk);
      for (let message; (message = this.#framer.next());)
        if (message.kind === 'frame') this.onFrame(message.channel, message.payload);
        else if (message.kind === 'response')
          this.#waiting.get(message.headers.get('CSeq') ?? '')?.resolve(message);
    } catch (error) {
      this.#end(`unreadable answer: ${(error as Error).message}`);
    }
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#keepAlive);
    for (const waiter of this.#waiting.values()) waiter.reject(new Error(reason));
    if (reason !== 'closed') this.onLost(reason);
    this.#socket?.destroy();
  }
}
