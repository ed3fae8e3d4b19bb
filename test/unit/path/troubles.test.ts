// SPDX-License-Identifier: Apache-2.0
// Why the source of a path cannot be had: told once, shown until it can be.

import t from 'tap';
import { parseConfig } from '../../../src/control/config/parse.js';
import { response } from '../../../src/control/rtsp/message.js';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, PROXY } from '../../fixtures/fake-world.js';

const TOLD = 'the source cannot be had';

/** A path `x`, and a pattern for all else, of a source that answers DESCRIBE with what `status` says; 200: with a description. */
async function build(status: { now: number }) {
  const usual = fakeSource();
  const parsed = parseConfig(
    JSON.stringify({
      paths: {
        x: { source: 'rtsp://source.example/x' },
        '*': { source: 'rtsp://source.example/$path' },
      },
    }),
  );
  if (!('table' in parsed)) throw new Error(JSON.stringify(parsed.faults));
  const world = await FakeWorld.start({
    paths: parsed.table,
    script: (request) =>
      request.method === 'DESCRIBE' && status.now !== 200 ? response(status.now) : usual(request),
  });
  const viewer = world.viewer();
  return {
    world,
    ask: async (path: string) => (await viewer.ask('DESCRIBE', `${PROXY}/${path}`)).status,
    told: () => world.logged.filter((text) => text === TOLD).length,
    troubles: () => world.proxy.paths().map(({ trouble }) => trouble),
  };
}

t.test('each reason once, until it is over', async (t) => {
  const status = { now: 200 };
  const { world, ask, told, troubles } = await build(status);
  t.same(troubles(), [null, null]);
  t.equal(await ask('x'), 200);
  t.equal(told(), 0);
  status.now = 404;
  t.same([await ask('x'), await ask('x')], [404, 404]);
  t.equal(told(), 1);
  t.same(troubles(), ['the source answered DESCRIBE with 404 Not Found', null]);
  status.now = 401;
  t.same([await ask('x'), await ask('x')], [401, 401]);
  t.equal(told(), 2, 'another reason');
  t.match(troubles()[0], /401 Unauthorized/);
  status.now = 200;
  t.equal(await ask('x'), 200);
  t.same(troubles(), [null, null]);
  status.now = 401;
  await ask('x');
  t.equal(told(), 3, 'again');
  await world.advance(601_000, 60_000);
  t.same(troubles(), [null, null], 'nobody has asked for long');
  await world.proxy.close();
});

t.test('names that viewers make up are no trouble of a pattern; other reasons are', async (t) => {
  const status = { now: 404 };
  const { world, ask, told, troubles } = await build(status);
  for (const name of ['a', 'b', 'c']) t.equal(await ask(name), 404);
  t.same(troubles(), [null, null]);
  status.now = 503;
  for (const name of ['a', 'b', 'c']) t.equal(await ask(name), 503);
  t.match(troubles()[1], /503/);
  t.equal(told(), 1, 'not for each of its names');
  await world.proxy.close();
});
