// SPDX-License-Identifier: Apache-2.0
// The thesis's figures: what is made of readings, and what is told of them.
import t from 'tap';
import { drawSvg } from '../../../tools/bench/plot.js';
import { atLimit, fit } from '../../../tools/bench/suite/reference/curve.js';
import { referenceFigures } from '../../../tools/bench/suite/reference/figures.js';
import { dstatSwitches, toCsv } from '../../../tools/bench/suite/reference/ninety.js';
import { lossOf, type Reading } from '../../../tools/bench/suite/reference/reading.js';
import { renderReference } from '../../../tools/bench/suite/reference/report.js';
import type { ReferenceResult } from '../../../tools/bench/suite/reference/section.js';

const DSTAT = `--total-cpu-usage-- ---system-- --net/up0---net/down0-
usr sys idl wai stl| int   csw | recv  send: recv  send
 36  11  53   0   0|2367  3000 |   0     0 :   0     0 
 76  11  13   0   0|3811  2000 |   0   12k:   0     0 
`;

const reading = (viewers: number, more: Partial<Reading> = {}): Reading => ({
  ...{ engine: 'tc', viewers, joined: viewers, cores: 0.1 + viewers / 1000, processCores: 0.01 },
  ...{ mbit: viewers, loss: 0, lossReported: 0, deviation: 0 },
  ...more,
});

t.test('loss of viewers, with and without such as get nothing', async (t) => {
  t.strictSame(lossOf({ packets: 180, lost: 20, nothing: 0, losses: [10, 10] }, 2), {
    loss: 0.1,
    deviation: 0,
  });
  const uneven = lossOf({ packets: 100, lost: 0, nothing: 1, losses: [0] }, 2);
  t.strictSame(uneven, { loss: 0.5, deviation: 0.5 });
  t.equal(lossOf({ packets: 0, lost: 0, nothing: 3, losses: [] }, 3).loss, 1);
});

t.test('a line through what the thesis could see, and the limit', async (t) => {
  const { base, perViewer } = fit([reading(10), reading(100), reading(1000, { cores: 99 })]);
  t.ok(Math.abs(base - 0.1) < 1e-9 && Math.abs(perViewer - 0.001) < 1e-9, 'up to 100 viewers only');
  t.notOk(atLimit(reading(10)));
  t.ok(atLimit(reading(10, { loss: 0.02 })));
  t.ok(atLimit(reading(10, { joined: 9 })));
});

t.test('dstat', async (t) => {
  const csv = toCsv(DSTAT);
  t.equal(csv.split('\n')[0], 'usr,sys,idl,wai,stl,int,csw,recv,send,recv,send');
  t.equal(dstatSwitches(csv), 2500);
  t.equal(dstatSwitches(toCsv('')), undefined);
});

t.test('what is told', async (t) => {
  const switches = (engine: 'origin' | 'tc', machine: number, machineError = 1) => ({
    ...{ engine, process: 20, viewers: 10, processCores: 0.01, machineError },
    machine: { median: machine, least: machine, most: machine },
  });
  const variant = (name: 'no deferral' | 'no deferral, no rotation', deviation: number) => ({
    ...{ variant: name, viewers: 120, burst: 1, mbit: 100, loss: 0.2, deviation, least: 0.1, most: 0.3 },
  });
  const result: ReferenceResult = {
    curve: [reading(10), reading(100), reading(4000, { loss: 0.1 })],
    narrow: [reading(120, { loss: 0.2, lossReported: 0.19 })],
    variants: [variant('no deferral', 0.01), variant('no deferral, no rotation', 0.1)],
    ninety: {
      seconds: 10,
      readings: [switches('origin', 500), switches('tc', 560)],
      dstat: { notRun: 'dstat: not found' },
    },
    cores: 2,
  };
  const text = renderReference(result).join('\n');
  t.match(text, /tc: 60 context switches a second, standard error 1: met/);
  t.match(text, /dstat was not run: dstat: not found/);
  t.match(text, /10\.00 % without: met \(target: less than half of it\)/);
  t.match(text, /\| tc \| [\d.]+ \| 1 900 \| 4 800 \| 100 \| 100 \| 4 000 \|/, 'extrapolated, and reached');
  const { ninety } = result;
  const noisy = { ...ninety, readings: [switches('origin', 500, 90), switches('tc', 560)] };
  t.match(renderReference({ ...result, ninety: noisy }).join('\n'), /tc: 60 .*cannot be told/);
  for (const { spec } of referenceFigures(result)) t.match(await drawSvg(spec), /<svg/);
});
