// SPDX-License-Identifier: Apache-2.0
// The worker as the benchmark sees it: started in the proxy's namespace, asked, ended.
import type { Child } from '../netns/child.js';
import type { Namespace } from '../netns/topology.js';
import { until } from '../netns/wait.js';
import type { AnyEngine } from './engines.js';
import { compiled } from './programs.js';
import type { Asked, Counters, Operation, Told } from './protocol.js';

const ANSWER_MS = 120_000;

export class Fanout {
  #seq = 0;

  static async start(namespace: Namespace, engine: AnyEngine, objects: string): Promise<Fanout> {
    const worker = await namespace.spawn(process.execPath, [
      compiled('tools/bench/fanout-worker.js'),
      engine,
      objects,
    ]);
    await worker.output(/^ready$/m);
    return new Fanout(worker);
  }

  private constructor(readonly worker: Child) {}

  /** @throws what the worker answered instead of a result. */
  async ask<K extends Operation>(op: K, request: Asked<K>): Promise<Told<K>> {
    const seq = ++this.#seq;
    this.worker.write(`${JSON.stringify({ seq, op, request })}\n`);
    const [line] = await this.worker.output(new RegExp(`^\\{"seq":${seq},.*\\}$`, 'm'), ANSWER_MS);
    const answer = JSON.parse(line) as { told?: Told<K>; error?: string };
    if (answer.told === undefined) throw new Error(`${op}: ${answer.error}\n${this.worker.stderr}`);
    return answer.told;
  }

  /** Once no packet is under way in the engine any more. */
  async settled(): Promise<Counters> {
    return until('what is under way in the engine to be sent', async () => {
      const counters = await this.ask('counters', {});
      const { 'tickets out': tickets, 'sends outstanding': sends } = counters.facts;
      return (tickets ?? sends) === 0 && counters;
    });
  }

  async close(): Promise<void> {
    await this.worker.finish();
  }
}
