// SPDX-License-Identifier: Apache-2.0
// The command line of bin/rtsp-fanout.

import { readFileSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import { newProgram } from '../command-line.js';
import type { MetricsAt } from './api/metrics-server.js';
import { defaultSocketPath } from './api/socket-path.js';
import { ENGINES_WANTED, type EngineWanted } from './kernel/choose.js';
import { DEFAULT_PICTURES, type PictureOptions } from './kernel/picture-options.js';
import { stateFormat } from './hold/state-format.js';
import { addListenOptions, listenAddress, readListen, type ListenGiven } from './listen-options.js';
import { LOG_LEVELS, type LogLevel } from './log.js';
import { addMulticastOptions, readMulticast, type MulticastGiven } from './multicast-options.js';
import type { ListenAt } from './path/ports.js';
import type { MulticastOptions } from './path/proxy.js';
import type { PathSettings } from './config/path-config.js';
import type { RtspUrl } from './rtsp/url.js';
import {
  addSourceOptions,
  CREDENTIALS_HELP,
  readSource,
  refuseSourceOptions,
  refuseTrustOptions,
  sourceUrl,
  type SourceGiven,
} from './source-options.js';

export interface Options {
  readonly listen: ListenAt;
  readonly datapath: EngineWanted;
  readonly pictures: PictureOptions;
  /** Undefined: viewers get no multicast. */
  readonly multicast: MulticastOptions | undefined;
  /** Connections of viewers and to sources are multipath TCP where they can be. */
  readonly mptcp: boolean;
  readonly apiSocket: string;
  /** Undefined: metrics are to be had on `apiSocket` only. */
  readonly metricsListen: MetricsAt | undefined;
  /** Only look whether it could start. */
  readonly check: boolean;
  /** Under a keeper that holds the connections and starts the proxy again when it dies. */
  readonly keep: boolean;
  /** How long the kernel goes on sending without this process. */
  readonly orphanLimitMs: number;
  readonly logLevel: LogLevel;
  /** Of one server; undefined: `config` says what there is. */
  readonly source: RtspUrl | undefined;
  readonly sourceSettings: Partial<PathSettings>;
  /** A file of paths. */
  readonly config: string | undefined;
}

const EXAMPLES = `
A viewer's rtsp://PROXY:PORT/x/y?q is served from rtsp://SERVER:PORT/x/y?q; several resources of that server at once.
${CREDENTIALS_HELP}
Examples:
  rtsp-fanout rtsp://192.0.2.7/camera            viewers open rtsp://THIS-HOST:8554/camera
  rtsp-fanout --listen 127.0.0.1:9000 rtsp://192.0.2.7:8000
  rtsp-fanout --datapath userspace --log-level debug rtsp://192.0.2.7/camera
  rtsp-fanout --config paths.yaml                several sources, under names of their own
  rtsp-fanout --check --config paths.yaml        what is wrong with that file
  proxyctl clients                               who is watching

Signals: SIGINT, SIGTERM end it. SIGHUP reads the files of --config and --tls-certificate again, or else ends it.
SIGUSR2 makes way for the version that is installed now (needs --keep or systemd).
Exit code: 0 ended by SIGINT, SIGTERM or SIGHUP, 1 it cannot run, 2 the command line or the
file of --config is wrong, or --check has found a fault, 3 it has made way.`;

const LONGEST_WAIT_SECONDS = 3600;
const DEFAULT_ORPHAN_LIMIT_SECONDS = 60;
const { holdMs, cachePackets, cacheTotalPackets } = DEFAULT_PICTURES;

/** As commander hands them over. */
interface Given
  extends
    Omit<Options, 'listen' | 'source' | 'sourceSettings' | 'pictures' | 'multicast' | 'orphanLimitMs'>,
    ListenGiven,
    MulticastGiven,
    SourceGiven {
  readonly orphanLimit: number;
  readonly keyFrameWait: number;
  readonly pictureCache: number;
}

/** Ends the process after --help and --version (0) and when the command line is wrong (2, one line on stderr). */
export function parseCommandLine(argv: readonly string[]): Options {
  const program = newProgram('rtsp-fanout')
    .description(
      'RTSP proxy: one camera in, any number of viewers out, RTP copied in the kernel where it can be.',
    )
    .argument('[url]', 'the source: rtsp[s]://[NAME:PASSWORD@]SERVER[:PORT][/PATH]', sourceUrl)
    .option('--config <file>', 'instead of a source: a file of paths, each with its source (docs/config.md)');
  addListenOptions(program)
    .addOption(
      new Option('--datapath <engine>', 'who copies the packets').choices(ENGINES_WANTED).default('auto'),
    )
    .option(
      '--key-frame-wait <seconds>',
      'how long a viewer is held back until a picture begins; 0: it starts at once',
      keyFrameWait,
      holdMs / 1000,
    )
    .option(
      '--picture-cache <packets>',
      `kept of each video stream from its last key frame on, for viewers that join, at most ${cacheTotalPackets} in all; 0: none`,
      pictureCache,
      cachePackets,
    );
  addSourceOptions(program);
  addMulticastOptions(program)
    .option(
      '--mptcp',
      'connections of viewers and to sources are multipath TCP, with those who speak it',
      false,
    )
    .option('--api-socket <path>', 'unix socket for proxyctl', defaultSocketPath())
    .option(
      '--metrics-listen <[host:]port>',
      'metrics for Prometheus over HTTP, at /metrics; without a host for this one only (docs/metrics.md)',
      listenAddress,
    )
    .option(
      '--keep',
      "hold the viewers' connections when the proxy dies, and start it again (docs/crash.md)",
      false,
    )
    .option(
      '--orphan-limit <seconds>',
      'how long the kernel goes on sending after the proxy has died',
      orphanLimit,
      DEFAULT_ORPHAN_LIMIT_SECONDS,
    )
    .option(
      '--check',
      'look at the command line and the files that it names, say what is wrong, and exit',
      false,
    )
    .option('--takes-over', 'print what state of a running proxy this version can go on with, and exit')
    .addOption(new Option('--log-level <level>', 'on stderr').choices(LOG_LEVELS).default('info'))
    .version(version())
    .addHelpText('after', EXAMPLES);
  program.on('option:takes-over', () => {
    process.stdout.write(`${stateFormat()}\n`);
    process.exit(0);
  });
  program.parse(argv);
  const options = program.opts<Given>();
  const { keyFrameWait: seconds, pictureCache: packets, orphanLimit: limit } = options;
  const { datapath, apiSocket, metricsListen, check, keep, logLevel, mptcp } = options;
  const pictures = {
    holdMs: Math.round(seconds * 1000),
    cachePackets: packets,
    cacheTotalPackets: packets === 0 ? 0 : cacheTotalPackets,
  };
  const multicast = readMulticast(program, options);
  const source = program.processedArgs[0] as RtspUrl | undefined;
  const { config } = options;
  if (source === undefined && config === undefined)
    program.error("missing required argument 'url', or --config");
  if (source !== undefined && config !== undefined)
    program.error('a URL and --config exclude each other: the file says where the sources are');
  if (config !== undefined) refuseSourceOptions(program);
  else if (source!.scheme !== 'rtsps') refuseTrustOptions(program, options);
  return {
    listen: readListen(program, options),
    datapath,
    pictures,
    multicast,
    mptcp,
    apiSocket,
    metricsListen,
    check,
    keep,
    orphanLimitMs: limit * 1000,
    logLevel,
    source,
    sourceSettings: readSource(options),
    config,
  };
}

function keyFrameWait(text: string): number {
  const seconds = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : NaN;
  if (seconds <= LONGEST_WAIT_SECONDS) return seconds;
  throw new InvalidArgumentError(`It is a number of seconds from 0 to ${LONGEST_WAIT_SECONDS}.`);
}

function orphanLimit(text: string): number {
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : NaN;
  if (seconds >= 1 && seconds <= LONGEST_WAIT_SECONDS) return seconds;
  throw new InvalidArgumentError(`It is a number of whole seconds from 1 to ${LONGEST_WAIT_SECONDS}.`);
}

function pictureCache(text: string): number {
  const packets = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (packets <= cacheTotalPackets) return packets;
  throw new InvalidArgumentError(`It is a number of packets from 0 to ${cacheTotalPackets}.`);
}

/** package.json's; this file runs from dist/src/control. */
export function version(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
