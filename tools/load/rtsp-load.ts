// SPDX-License-Identifier: Apache-2.0
// The command line of the crowd: N RTSP viewers in one process. Prints a line of JSON when all have joined or failed,
// and another at the end: after --seconds, at the end of standard input, on SIGTERM or SIGINT.
import { isIP } from 'node:net';
import { InvalidArgumentError, Option } from 'commander';
import { newProgram } from '../../src/command-line.js';
import { CREDENTIALS_HELP, fingerprint, sourceUrl } from '../../src/control/source-options.js';
import { MeasuringError } from '../wire/counter.js';
import { portRange, type PortRange } from '../wire/port-range.js';
import { TooFewPorts } from './client-ports.js';
import { Crowd, type CrowdOptions } from './crowd.js';

const number = (low: number, high: number, whole: boolean) => (text: string) => {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!(value >= low && value <= high) || (whole && !Number.isInteger(value)))
    throw new InvalidArgumentError(`Give a ${whole ? 'whole ' : ''}number from ${low} to ${high}.`);
  return value;
};

/** Of pairs: RTP even, RTCP one above. */
function pairRange(text: string): PortRange {
  const range = portRange(text);
  if (range.low % 2 === 1 || range.low === range.high)
    throw new InvalidArgumentError('Give LOW-HIGH, LOW even, e.g. 20000-59999.');
  return range;
}

function addressList(text: string): string[] {
  const addresses = text.split(',');
  const wrong = addresses.find((address) => !isIP(address));
  if (wrong !== undefined) throw new InvalidArgumentError(`'${wrong}' is no IP address.`);
  return addresses;
}

function serverUrl(text: string): string {
  sourceUrl(text);
  return text;
}

/** Resolves when the crowd has stayed long enough. */
function end(seconds: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (seconds !== undefined) setTimeout(resolve, seconds * 1000);
    else process.stdin.once('end', resolve).once('error', resolve).resume();
    process.once('SIGTERM', () => resolve()).once('SIGINT', () => resolve());
  });
}

interface Flags extends Omit<
  CrowdOptions,
  'url' | 'addresses' | 'reportMs' | 'timeoutMs' | 'trust' | 'stayMs'
> {
  readonly from: string[];
  readonly ca?: string;
  readonly fingerprint?: string;
  readonly seconds?: number;
  readonly reports?: number;
  readonly timeout: number;
  readonly stay?: number;
  readonly warmUp: number;
}

/** Who binds ports always reports; else only who is asked to, and there must be something to report. */
function reportMs(receive: boolean, counts: boolean, seconds: number | undefined): number | undefined {
  if (seconds !== undefined) return receive || counts ? seconds * 1000 : undefined;
  return receive ? 5000 : undefined;
}

/** Each line of standard input is answered with what was counted since the one before. */
function tellOnDemand(crowd: Crowd): void {
  process.stdin.on('data', (text: Buffer) => {
    if (text.includes('\n')) crowd.got().then((got) => console.log(JSON.stringify(got)), cannotMeasure);
  });
}

/** Ends the process; what is neither of these is a fault of this program. */
function cannotMeasure(error: unknown): never {
  if (error instanceof TooFewPorts) program.error(`error: ${error.message}`);
  if (!(error instanceof MeasuringError)) throw error;
  process.stderr.write(`rtsp-load: ${error.message}\n`);
  process.exit(error.exitCode);
}

async function main(url: string, flags: Flags): Promise<void> {
  const { from, ca, fingerprint, seconds, reports, timeout, stay, warmUp, ...rest } = flags;
  if (rest.transport === 'tcp' && (rest.receive || rest.count !== undefined))
    program.error('error: --receive and --count are about UDP; with --transport tcp media is always counted');
  if ((ca ?? fingerprint) !== undefined && !/^rtsps:/i.test(url))
    program.error('error: --ca and --fingerprint are about the certificate of an rtsps:// server');
  const counts = rest.transport === 'tcp' || rest.count !== undefined;
  const options: CrowdOptions = {
    ...rest,
    url,
    addresses: from,
    reportMs: reportMs(rest.receive, counts, reports),
    timeoutMs: timeout * 1000,
    trust: { authority: ca, fingerprint },
    stayMs: stay === undefined ? undefined : stay * 1000,
  };
  if (warmUp > 0) {
    const first = new Crowd({ ...options, count: undefined, viewers: warmUp });
    await first.join();
    await first.leave();
    console.error('warm');
  }
  const crowd = new Crowd(options);
  const ended = end(seconds);
  await crowd.join();
  console.log(JSON.stringify(crowd.summary()));
  if (counts) tellOnDemand(crowd);
  await ended;
  const counted = counts ? { counted: await crowd.gotInAll() } : {};
  await crowd.leave();
  console.log(JSON.stringify({ ...crowd.summary(), ...counted }));
  process.exit(Object.keys(crowd.summary().failures).length > 0 ? 1 : 0);
}

const EXAMPLES = `${CREDENTIALS_HELP}
Prints a line of JSON when all have joined or failed (joinMs: from connect to the answer to PLAY, ms), another at the end.

  500 viewers, 100 a second, for 30 s, their media counted in the kernel at eth0 (root):
    rtsp-load --viewers 500 --rate 100 --seconds 30 --count eth0 rtsp://192.0.2.7:8554/camera
  10 that receive by themselves and report loss and jitter:
    rtsp-load --viewers 10 --seconds 30 --receive rtsp://192.0.2.7:8554/camera
  100 that have it within their RTSP connections (interleaved), and report:
    rtsp-load --viewers 100 --seconds 30 --transport tcp --reports 5 rtsp://192.0.2.7:8554/camera

Exit code: 0 all have joined and stayed, 1 a viewer has failed or nothing can be counted,
2 the command line is wrong.`;

const program = newProgram('rtsp-load');
await program
  .description('Many RTSP viewers of one URL, over RTP/UDP or within their connections, in one process.')
  .argument('<url>', 'rtsp[s]://[NAME:PASSWORD@]HOST[:PORT][/PATH]', serverUrl)
  .option('--viewers <n>', 'how many', number(1, 60_000, true), 1)
  .addOption(
    new Option(
      '--transport <name>',
      'udp, or tcp: within the RTSP connection, where media is always counted, looked at every 20 ms; a line of standard input is answered with a reading',
    )
      .choices(['udp', 'tcp'])
      .default('udp'),
  )
  .option('--rate <n>', 'joins per second', number(0.1, 10_000, false), 50)
  .addOption(
    new Option('--from <addresses>', 'source addresses, separated by commas, used in turn')
      .argParser(addressList)
      .default([], 'the kernel’s choice'),
  )
  .addOption(
    new Option(
      '--ports <low-high>',
      'client ports, two for each m= section of each viewer, counted anew for each source address',
    )
      .argParser(pairRange)
      .default({ low: 20_000, high: 59_999 }, '20000-59999'),
  )
  .option(
    '--receive',
    'bind the ports, count the media, send receiver reports (else nothing is bound)',
    false,
  )
  .addOption(
    new Option(
      '--count <device>',
      'instead: a BPF program counts RTP at this device for all of --ports and drops it (root, or CAP_NET_ADMIN and CAP_BPF); a line of standard input is answered with a reading',
    ).conflicts('receive'),
  )
  .option(
    '--reports <seconds>',
    'between receiver reports of each (default: 5 with --receive, else none)',
    number(0.1, 60, false),
  )
  .option(
    '--ca <file>',
    'PEM, the authorities that may have signed the certificate of an rtsps:// server (default: those that Node knows)',
  )
  .option(
    '--fingerprint <sha256>',
    'of the certificate itself, in hexadecimal; it may then be signed by anybody, for any name',
    fingerprint,
  )
  .option('--timeout <seconds>', 'for the answer to a request', number(0.1, 600, false), 10)
  .option('--stay <seconds>', 'each leaves so long after its PLAY was answered', number(0, 600, false))
  .option('--warm-up <n>', 'so many join and leave before: they do not count', number(0, 60_000, true), 0)
  .option('--seconds <n>', 'how long to stay (else until standard input ends)', number(0.1, 86_400, false))
  .addHelpText('after', EXAMPLES)
  .action(main)
  .parseAsync()
  .catch(cannotMeasure);
