// SPDX-License-Identifier: Apache-2.0
// Figures as SVG, drawn by Vega-Lite from results alone; no canvas is needed. What several figures have in common is here.
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

export interface Figure {
  /** Of its file, without ending. */
  readonly name: string;
  readonly alt: string;
  readonly spec: TopLevelSpec;
}

export const SIZE = {
  ...{ width: 560, height: 300, background: 'white', padding: 8 },
  config: { legend: { labelLimit: 0 } },
} as const;

/** Its warnings about scales are no business of who reads a benchmark's progress. */
const QUIET = { logger: vega.logger(vega.Error) };

export async function drawSvg(spec: TopLevelSpec): Promise<string> {
  const view = new vega.View(vega.parse(compile(spec, QUIET).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return `${svg}\n`;
}

/** As docs/benchmarks.md shows it. */
export const image = ({ name, alt }: Figure): string => `![${alt}](benchmarks/${name}.svg)`;

export interface Axis {
  /** Of each value. */
  readonly field: string;
  /** With its unit. */
  readonly title: string;
  /** Logarithmic; zero cannot be shown then. */
  readonly log?: boolean;
}

/** A line for each `series` of the values, told apart by colour and by dashes. */
export function lines(values: readonly object[], x: Axis, y: Axis, series: string): TopLevelSpec {
  const axis = ({ field, title, log }: Axis) =>
    ({ field, title, type: 'quantitative', scale: { type: log ? 'log' : 'linear' } }) as const;
  return {
    ...SIZE,
    data: { values: values.map((value) => ({ ...value })) },
    mark: { type: 'line', point: true },
    encoding: {
      x: axis(x),
      y: axis(y),
      color: { field: series, type: 'nominal', title: null, sort: null },
      strokeDash: { field: series, type: 'nominal', title: null, sort: null },
    },
  };
}
