// SPDX-License-Identifier: Apache-2.0
// The comparison in words: tables, and each target beside its figure.
import { figure, range, table, verdict } from '../../markdown.js';
import { image, type Figure } from '../../plot.js';
import { spread } from '../../statistics.js';
import { live555 } from '../relays/live555.js';
import { mediamtx } from '../relays/mediamtx.js';
import { TC, USERSPACE, XDP } from '../relays/all.js';
import type { Origin } from './origin.js';
import type { Run } from './run.js';
import type { PeersResult } from './section.js';

/** Of the best user-space peer's machine cost per copy, over UDP, at these numbers of viewers. */
const TARGETS = [
  { relay: XDP.name, share: 1 / 8 },
  { relay: TC.name, share: 1 / 5 },
];
const TARGET_VIEWERS = [500, 2000];
/** Without these on PATH nothing is shown. */
const NEEDED = [mediamtx.name, live555.name];
const OURS = [XDP.name, TC.name, USERSPACE.name];
/** Of what the origin sent: below this a relay has not carried the load. */
const CARRIED = 0.99;

/** us of a core for each copy, the origin taken off, one figure a window. */
export function perCopy(run: Run, kind: 'delivered' | 'made', origin: Origin): number[] {
  const taken = spread(origin.cores).median;
  return run[kind].map(({ cores, copiesPerSecond }) => ((cores - taken) / copiesPerSecond) * 1e6);
}

/** us of the process per packet within the connections: readers are not in it. */
function processPerPacket({ rates, delivered }: Run): number {
  return (
    ((rates?.cores ?? NaN) / spread(delivered.map(({ copiesPerSecond }) => copiesPerSecond)).median) * 1e6
  );
}

/** Copies of what the origin sent that arrived. */
function share({ delivered, viewers, stream }: Run): number {
  const rate = spread(delivered.map(({ copiesPerSecond }) => copiesPerSecond)).median;
  return rate / (viewers * stream.packetsPerSecond);
}

const whole = (run: Run) => run.failure === undefined && (run.got?.nothing ?? 1) === 0;
const wrong = ({ got }: Run) =>
  got ? `${figure(got.lost)} / ${figure(got.duplicated)} / ${figure(got.reordered)}` : '-';

export function renderPeers(r: PeersResult, figures: readonly Figure[]): string[] {
  const udp = r.runs.filter((run) => run.transport === 'udp' && run.stream.burst === 1);
  const bursty = r.runs.filter((run) => run.stream.burst > 1);
  const tcp = r.runs.filter((run) => run.transport === 'tcp');
  const stream = udp[0]?.stream;
  return [
    `One after the other in the proxy's place, each with a stream of ${stream?.packetsPerSecond} packets/s of ${stream?.bytes} B. Cost: what one ` +
      `SCHED_IDLE spinner per core loses, in windows of ${r.seconds} s; the origin is taken off, which costs ` +
      `${range(spread(r.origin.cores), 1, 100)} % of a core. Delivered: up to where a BPF program counts and drops copies with the viewers. ` +
      'Made: copies are thrown away as soon as whoever made them has got rid of them (TC egress; frames of XDP in the driver at ' +
      'the other end), which takes link and receivers off. Switches: context switches per second of the process, and of the whole machine.',
    ...(r.missing.length > 0 ? [`Not run, for the reasons above: ${r.missing.join(', ')}.`] : []),
    '### Over UDP',
    udpTable(udp, r.origin),
    ...figures.map(image),
    ...TARGET_VIEWERS.flatMap((viewers) => judgeCost(r, udp, viewers)),
    ...failures(udp),
    ...(bursty.length > 0 ? lossOf([...udp, ...bursty]) : []),
    '### Interleaved',
    'By process: processor time of all threads of the relay, for each RTP packet that viewers read.',
    tcpTable(tcp),
    ...judgeInterleaved(r, tcp),
    ...failures(tcp),
  ];
}

function udpTable(runs: readonly Run[], origin: Origin): string {
  const cost = (run: Run, kind: 'made' | 'delivered') =>
    run[kind].length > 0 ? range(spread(perCopy(run, kind, origin)), 2) : '-';
  return table(
    [
      ...['viewers', 'relay', 'made: us per copy', 'delivered: us per copy', '% of a core', 'arrived %'],
      ...['lost / duplicated / reordered', 'switches', 'of the machine', 'RSS, MiB'],
    ],
    runs.map((run) => [
      ...[`${run.viewers}`, run.relay, cost(run, 'made'), cost(run, 'delivered')],
      run.delivered.length > 0 ? range(spread(run.delivered.map(({ cores }) => cores)), 0, 100) : '-',
      run.delivered.length > 0 ? figure(100 * share(run), 1) : '-',
      wrong(run),
      ...[figure(run.rates?.switches ?? NaN), figure(run.rates?.machineSwitches ?? NaN)],
      figure(run.rssMiB ?? NaN),
    ]),
  );
}

function tcpTable(runs: readonly Run[]): string {
  return table(
    [
      'viewers',
      'relay',
      'by process: us per packet',
      '% of a core',
      'arrived %',
      'lost',
      'switches',
      'RSS, MiB',
    ],
    runs.map((run) => [
      ...[`${run.viewers}`, run.relay, figure(processPerPacket(run), 2)],
      figure(100 * (run.rates?.cores ?? NaN)),
      run.delivered.length > 0 ? figure(100 * share(run), 1) : '-',
      figure(run.got?.lost ?? NaN),
      figure(run.rates?.switches ?? NaN),
      figure(run.rssMiB ?? NaN),
    ]),
  );
}

const failures = (runs: readonly Run[]) =>
  runs
    .filter(({ failure }) => failure !== undefined)
    .map(({ relay, viewers, failure }) => `${relay} with ${viewers} viewers: ${failure}.`);

/** A comparison says nothing while the peers that matter are not in it. */
function shown(r: PeersResult, met: boolean | undefined, target: string): string {
  const lacking = NEEDED.filter(
    (name) => r.missing.includes(name) || !r.runs.some((run) => run.relay === name),
  );
  if (lacking.length > 0) return `**not shown**: without ${lacking.join(' and ')} (target: ${target})`;
  return verdict(met, target);
}

function judgeCost(r: PeersResult, runs: readonly Run[], viewers: number): string[] {
  const here = runs.filter((run) => run.viewers === viewers && run.made.length > 0);
  const median = (run: Run) => spread(perCopy(run, 'made', r.origin)).median;
  const peers = here.filter((run) => !OURS.includes(run.relay) && whole(run));
  const best = [...peers].sort((a, b) => median(a) - median(b))[0];
  if (here.length === 0) return [];
  if (!best)
    return [`No peer served ${viewers} viewers: ${shown(r, undefined, 'a share of the best peer’s cost')}.`];
  const carried = share(best) < CARRIED ? `, which delivered ${figure(100 * share(best), 1)} %` : '';
  return TARGETS.flatMap(({ relay, share: target }) => {
    const ours = here.find((run) => run.relay === relay);
    if (!ours) return [];
    const ratio = median(ours) / median(best);
    const judged = shown(r, whole(ours) && ratio <= target, `at most 1/${Math.round(1 / target)}`);
    return [
      `${viewers} viewers, ${relay} against the best peer (${best.relay}${carried}), made: ${figure(ratio, 3)}: ${judged}.`,
    ];
  });
}

function lossOf(runs: readonly Run[]): string[] {
  const sources = [...new Set(runs.map(({ stream }) => stream.burst))];
  return [
    '### Loss',
    'Lost, duplicated and reordered copies, by sequence numbers, from a source that sends evenly and from one that sends ' +
      `${Math.max(...sources)} packets back to back.`,
    table(
      ['viewers', 'relay', ...sources.map((burst) => (burst === 1 ? 'even' : `bursts of ${burst}`))],
      [...new Set(runs.map(({ viewers, relay }) => `${viewers}|${relay}`))].map((pair) => {
        const [viewers = '', relay = ''] = pair.split('|');
        const of = (burst: number) =>
          runs.find(
            (run) => `${run.viewers}` === viewers && run.relay === relay && run.stream.burst === burst,
          );
        return [viewers, relay, ...sources.map((burst) => (of(burst) ? wrong(of(burst)!) : '-'))];
      }),
    ),
    ...TARGETS.filter(({ relay }) => runs.some((run) => run.relay === relay)).map(({ relay }) => {
      const ours = runs.filter((run) => run.relay === relay);
      const bad = ours.filter(
        (run) => !whole(run) || !run.got || run.got.lost + run.got.duplicated + run.got.reordered > 0,
      );
      return `${relay}: ${verdict(bad.length === 0, 'nothing lost, duplicated or reordered from either')}.`;
    }),
    ...failures(runs.filter(({ stream }) => stream.burst > 1)),
  ];
}

function judgeInterleaved(r: PeersResult, runs: readonly Run[]): string[] {
  return [...new Set(runs.map(({ viewers }) => viewers))].flatMap((viewers) => {
    const here = runs.filter((run) => run.viewers === viewers && whole(run));
    const best = (ours: boolean) =>
      here
        .filter(({ relay }) => OURS.includes(relay) === ours)
        .sort((a, b) => processPerPacket(a) - processPerPacket(b))[0];
    const [ours, peer] = [best(true), best(false)];
    if (!ours || !peer) return [`${viewers} viewers: nobody to compare with.`];
    const ratio = processPerPacket(ours) / processPerPacket(peer);
    return [
      `${viewers} viewers, ${ours.relay} against the best peer (${peer.relay}), processor time per packet: ${figure(ratio, 2)}: ` +
        `${shown(r, ratio <= 1, 'no more than the best peer')}.`,
    ];
  });
}
