// SPDX-License-Identifier: Apache-2.0
// Who is measured beside whom: with how many viewers of which stream, and how often.
import { CAMERA, THESIS, type Stream } from '../stage.js';
import { PEERS, TC, USERSPACE, XDP } from '../relays/all.js';
import { canRun, type Relay, type Transport } from '../relays/relay.js';
import type { Context } from '../../section.js';
import type { RunOptions } from './run.js';

/** Of the targets. */
export const TARGET_VIEWERS = [500, 2000];
/** Packets back to back of a bursty source: three pictures' worth. */
const BURST = 30;

interface Part {
  readonly transport: Transport;
  readonly stream: Stream;
  readonly viewers: number;
  readonly ours: readonly Relay[];
  /** Beside them all others. */
  readonly peers: boolean;
  /** Rounds for each repeat; where the kernel copies more, for that is cheap and therefore harder to tell. */
  readonly delivered: number;
  readonly made: number;
  readonly madeElsewhere: number;
}

const udp = { transport: 'udp', stream: THESIS, peers: true } as const;
const tcp = { ...udp, transport: 'tcp', ours: [XDP, USERSPACE], made: 0, madeElsewhere: 0 } as const;
const arriving = { ours: [XDP, TC], delivered: 0, made: 0, madeElsewhere: 0 };
const bursty = { ...THESIS, burst: BURST };
/** As a camera sends: a picture back to back, 25 a second. */
const byPicture = { ...THESIS, burst: 11 };

const WHOLE: readonly Part[] = [
  { ...udp, viewers: 90, ours: [XDP, TC], delivered: 1, made: 1, madeElsewhere: 1 },
  {
    ...udp,
    viewers: TARGET_VIEWERS[0]!,
    ours: [XDP, TC, USERSPACE],
    delivered: 1,
    made: 8,
    madeElsewhere: 2,
  },
  { ...udp, viewers: TARGET_VIEWERS[1]!, ours: [XDP, TC], delivered: 1, made: 3, madeElsewhere: 1 },
  { ...tcp, viewers: 500, delivered: 2 },
  { ...tcp, stream: byPicture, viewers: 500, delivered: 2 },
  ...TARGET_VIEWERS.map((viewers) => ({ ...udp, stream: bursty, viewers, ...arriving, peers: false })),
  { ...udp, stream: { ...CAMERA, burst: BURST }, viewers: 500, ...arriving },
];
const QUICK: readonly Part[] = [
  { ...udp, viewers: 5, ours: [XDP], delivered: 1, made: 1, madeElsewhere: 1 },
  { ...tcp, viewers: 3, ours: [XDP], delivered: 1 },
  { ...udp, stream: bursty, viewers: 5, ...arriving, ours: [XDP], peers: false },
];

export interface Planned {
  readonly relay: Relay;
  readonly options: RunOptions;
}

/** Of each time with the origin on, and with it off. */
export const secondsOf = ({ quick }: Context): number => (quick ? 0.2 : 0.5);
/** Of looking at what arrives. */
const LOOK_SECONDS = 2;

/** In the order in which they are measured. */
export function runsOf(context: Context): Planned[] {
  const others = PEERS.filter(canRun);
  return (context.quick ? QUICK : WHOLE).flatMap(({ ours, peers, delivered, made, madeElsewhere, ...load }) =>
    [...ours, ...(peers ? others : [])]
      .filter(({ transports }) => transports.includes(load.transport))
      .map((relay) => {
        const rounds = {
          delivered: delivered * context.repeats,
          made: (relay === XDP || relay === TC ? made : madeElsewhere) * context.repeats,
        };
        const lookSeconds = context.quick ? secondsOf(context) : LOOK_SECONDS;
        return { relay, options: { ...load, rounds, lookSeconds, seconds: secondsOf(context) } };
      }),
  );
}

/** Beside the rounds: start, joining, leaving; of each round beside the time with the origin on and off. */
const AROUND_SECONDS = { whole: 4, quick: 2, round: 0.6 };

export function expectedSeconds(context: Context): number {
  const around = context.quick ? AROUND_SECONDS.quick : AROUND_SECONDS.whole;
  return runsOf(context)
    .map(({ options: { viewers, rounds, seconds, lookSeconds } }) => {
      const each = 2 * seconds + AROUND_SECONDS.round;
      return around + viewers / 250 + lookSeconds + (rounds.delivered + rounds.made) * each;
    })
    .reduce((sum, seconds) => sum + seconds, 10);
}
