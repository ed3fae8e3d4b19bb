// SPDX-License-Identifier: Apache-2.0
// The comparison in words: tables, and each target beside its figure.
import { figure, plusMinus, table, verdict } from '../../markdown.js';
import { image, type Figure } from '../../plot.js';
import { type Estimate, estimate, isAtMost, minus, ratio, times } from '../../statistics.js';
import type { Rates } from '../process.js';
import { live555 } from '../relays/live555.js';
import { mediamtx } from '../relays/mediamtx.js';
import { TC, USERSPACE, XDP } from '../relays/all.js';
import type { Round } from '../rounds.js';
import type { Stream } from '../stage.js';
import type { Origin } from './origin.js';
import { TARGET_VIEWERS } from './plan.js';
import type { Run } from './run.js';
import type { PeersResult } from './section.js';

/** Of the best user-space peer's machine cost per copy, over UDP, at these numbers of viewers. */
const TARGETS = [
  { relay: XDP.name, share: 1 / 8 },
  { relay: TC.name, share: 1 / 5 },
];
/** What stands in the way of a target that is missed. */
const LIMITS =
  'What limits: a user-space relay pays the system call, route and copy of each datagram. With XDP the kernel’s broadcast still gives each copy a page, copies the whole frame ' +
  'into it and checks the device, which alone, with nothing of ours, costs what ‘XDP’s broadcast alone’ shows further below; with TC each copy is a clone with a head of its own and passes the device’s queue. Our programs are the smaller part of both ' +
  '(what the kernel saves, step by step, is below).';
const EVEN_LIMITS =
  'What limits: packets that come one by one wait for their picture’s last one, so that one write takes them all, but for no more than a tenth of the processor is worth; a write costs ' +
  'this process, one thread that calls the system from JavaScript, more than it costs a compiled peer.';
/** Without these on PATH nothing is shown. */
const NEEDED = [mediamtx.name, live555.name];
const OURS = [XDP.name, TC.name, USERSPACE.name];

const mean = (values: readonly number[]) => estimate(values).mean;
const perSecond = (rounds: readonly Round[]) => mean(rounds.map(({ copiesPerSecond }) => copiesPerSecond));

/** us of a core for each copy, the origin taken off. */
export function perCopy(run: Run, kind: 'delivered' | 'made', origin: Origin): Estimate {
  const cores = estimate(run[kind].map((round) => round.cores));
  return times(minus(cores, estimate(origin.cores)), 1e6 / perSecond(run[kind]));
}

/** us of the process per packet within the connections: readers are not in it. */
function processPerPacket({ delivered }: Run): Estimate {
  return times(estimate(delivered.map(({ rates }) => rates.cores)), 1e6 / perSecond(delivered));
}

/** Copies of what the origin sent that arrived. */
const share = ({ copiesPerSecond = NaN, viewers, stream }: Run) =>
  copiesPerSecond / (viewers * stream.packetsPerSecond);

const whole = (run: Run) => run.failure === undefined && (run.got?.nothing ?? 1) === 0;
const wrong = ({ got }: Run) =>
  got ? `${figure(got.lost)} / ${figure(got.duplicated)} / ${figure(got.reordered)}` : '-';

export function renderPeers(r: PeersResult, figures: readonly Figure[]): string[] {
  const udp = r.runs.filter((run) => run.transport === 'udp' && run.stream.burst === 1);
  const bursty = r.runs.filter((run) => run.transport === 'udp' && run.stream.burst > 1);
  const tcp = r.runs.filter((run) => run.transport === 'tcp');
  const stream = udp[0]?.stream;
  return [
    `One after the other in the proxy's place, each with a stream of ${stream?.packetsPerSecond} packets/s of ${stream?.bytes} B. Cost: what one ` +
      `SCHED_IDLE spinner per core loses while the origin plays for ${figure(r.seconds, 1)} s, against its readings just before and after, when it does not; mean and ` +
      `standard error of such rounds. The origin is taken off, which costs ${plusMinus(estimate(r.origin.cores), 1, 100)} % of a core. A target counts as met or missed ` +
      'when one in twenty such means at most would say so by chance. Who does not keep up would work on while the origin is off: for such a relay it plays on, and ' +
      'what the machine did before the relay was started is taken off. Delivered: up to where a BPF program counts and drops copies with the viewers. ' +
      'Made: copies are thrown away as soon as whoever made them has got rid of them (TC egress; frames of XDP in the driver at ' +
      'the other end), which takes link and receivers off. Switches: context switches per second of the process, and of the whole machine.',
    ...(r.missing.length > 0 ? [`Not run, for the reasons above: ${r.missing.join(', ')}.`] : []),
    '### Over UDP',
    udpTable(udp, r.origin),
    ...figures.map(image),
    ...withLimits(
      TARGET_VIEWERS.flatMap((viewers) => judgeCost(r, udp, viewers)),
      LIMITS,
    ),
    ...failures(udp),
    ...(bursty.length > 0 ? lossOf([...udp, ...bursty]) : []),
    '### Interleaved',
    'By process: processor time of all threads of the relay, for each RTP packet that viewers read, as ticks tell it, with what softirqs do ' +
      'in its time. By machine: everything, viewers included, who look at their connections every 20 ms whoever writes. The source sends a picture’s packets evenly, or, as cameras do, back to back.',
    tcpTable(tcp, r.origin),
    ...withLimits(judgeInterleaved(r, tcp), EVEN_LIMITS),
    ...failures(tcp),
  ];
}

const withLimits = (told: readonly string[], limits: string) =>
  told.some((line) => line.includes('**missed**')) ? [...told, limits] : told;

const cost = (run: Run, kind: 'made' | 'delivered', origin: Origin) =>
  run[kind].length > 0 ? plusMinus(perCopy(run, kind, origin), 2) : '-';
const arrived = (run: Run) => figure(100 * share(run), 1);
const rate = ({ delivered }: Run, name: keyof Rates) => mean(delivered.map(({ rates }) => rates[name]));

function udpTable(runs: readonly Run[], origin: Origin): string {
  return table(
    [
      ...['viewers', 'relay', 'made: us per copy', 'delivered: us per copy', '% of a core', 'arrived %'],
      ...['lost / duplicated / reordered', 'switches', 'of the machine', 'RSS, MiB'],
    ],
    runs.map((run) => [
      ...[figure(run.viewers), run.relay, cost(run, 'made', origin), cost(run, 'delivered', origin)],
      run.delivered.length > 0 ? plusMinus(estimate(run.delivered.map(({ cores }) => cores)), 0, 100) : '-',
      ...[arrived(run), wrong(run)],
      ...[figure(rate(run, 'switches')), figure(rate(run, 'machineSwitches')), figure(run.rssMiB ?? NaN)],
    ]),
  );
}

function tcpTable(runs: readonly Run[], origin: Origin): string {
  return table(
    [
      ...[
        'viewers',
        'source',
        'relay',
        'by process: us per packet',
        'its % of a core',
        'by machine: us per packet',
      ],
      ...['arrived %', 'lost', 'switches', 'RSS, MiB'],
    ],
    runs.map((run) => [
      ...[figure(run.viewers), sourceName(run.stream), run.relay],
      run.delivered.length > 0 ? plusMinus(processPerPacket(run), 2) : '-',
      ...[figure(100 * rate(run, 'cores')), cost(run, 'delivered', origin), arrived(run)],
      ...[figure(run.got?.lost ?? NaN), figure(rate(run, 'switches')), figure(run.rssMiB ?? NaN)],
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
  const of = (run: Run) => perCopy(run, 'made', r.origin);
  const peers = here.filter((run) => !OURS.includes(run.relay) && whole(run));
  const best = [...peers].sort((a, b) => of(a).mean - of(b).mean)[0];
  if (here.length === 0) return [];
  if (!best)
    return [`No peer served ${viewers} viewers: ${shown(r, undefined, 'a share of the best peer’s cost')}.`];
  const carried = best.overloaded ? `, which delivered ${figure(100 * share(best), 1)} %` : '';
  return TARGETS.flatMap(({ relay, share: target }) => {
    const ours = here.find((run) => run.relay === relay);
    if (!ours) return [];
    const part = ratio(of(ours), of(best));
    const met = whole(ours) ? isAtMost(part, target) : false;
    const wanted = `at most 1/${Math.round(1 / target)} = ${figure(target, 3)}`;
    return [
      `${figure(viewers)} viewers, ${relay} against the best peer (${best.relay}${carried}), made: ${plusMinus(part, 3)}: ${shown(r, met, wanted)}.`,
    ];
  });
}

const sourceName = ({ packetsPerSecond, bytes, burst }: Stream) =>
  `${figure((packetsPerSecond * bytes * 8) / 1e6)} Mbit/s, ${burst === 1 ? 'even' : `bursts of ${burst}`}`;

function lossOf(runs: readonly Run[]): string[] {
  const sources = [...new Set(runs.map(({ stream }) => sourceName(stream)))];
  const rows = [...new Map(runs.map((run) => [`${run.viewers} ${run.relay}`, run])).values()];
  return [
    '### Loss',
    'Lost, duplicated and reordered copies, by sequence numbers, from sources that send evenly and such that send packets back to back.',
    table(
      ['viewers', 'relay', ...sources],
      rows.map(({ viewers, relay }) => {
        const own = runs.filter((run) => run.viewers === viewers && run.relay === relay);
        const cells = sources.map((name) => own.find(({ stream }) => sourceName(stream) === name));
        return [figure(viewers), relay, ...cells.map((run) => (run ? wrong(run) : '-'))];
      }),
    ),
    ...TARGETS.filter(({ relay }) => runs.some((run) => run.relay === relay)).map(({ relay }) => {
      const ours = runs.filter((run) => run.relay === relay);
      const bad = ours.filter(
        (run) => !whole(run) || !run.got || run.got.lost + run.got.duplicated + run.got.reordered > 0,
      );
      return `${relay}: ${verdict(bad.length === 0, 'nothing lost, duplicated or reordered from any')}.`;
    }),
    ...failures(runs.filter(({ stream }) => stream.burst > 1)),
  ];
}

const crowd = ({ viewers, stream }: Run) => `${figure(viewers)} viewers of ${sourceName(stream)}`;

function judgeInterleaved(r: PeersResult, runs: readonly Run[]): string[] {
  return [...new Set(runs.map(crowd))].flatMap((which) => {
    const here = runs.filter((run) => crowd(run) === which && whole(run) && run.delivered.length > 0);
    const of = (run: Run) => perCopy(run, 'delivered', r.origin);
    const best = (ours: boolean) =>
      here.filter(({ relay }) => OURS.includes(relay) === ours).sort((a, b) => of(a).mean - of(b).mean)[0];
    const [ours, peer] = [best(true), best(false)];
    if (!ours || !peer) return [`${which}: nobody to compare with.`];
    const part = ratio(of(ours), of(peer));
    const alone = ratio(processPerPacket(ours), processPerPacket(peer));
    return [
      `${which}, ${ours.relay} against the best peer (${peer.relay}), machine cost per packet, viewers included: ${plusMinus(part, 2)}: ` +
        `${shown(r, isAtMost(part, 1), 'no more than the best peer')}; by the processes’ own time ${plusMinus(alone, 2)}.`,
    ];
  });
}
