// SPDX-License-Identifier: Apache-2.0
// PAUSE (RFC 2326 10.6): the viewer gets no more copies. The source is asked to stop only for a viewer that has it for
// itself, and only where there is something to go back to (resource.ts).

import { response, type RtspResponse } from '../rtsp/message.js';
import { sessionFor } from './play.js';
import { Refusal } from './refusal.js';
import type { Ask, Story } from './request.js';

export async function pause(_story: Story, ask: Ask): Promise<RtspResponse> {
  const session = sessionFor(ask);
  if (session.state !== 'playing') throw new Refusal(455, 'the session does not play');
  session.stop();
  session.state = 'paused';
  await session.resource.use(() => session.resource.pause());
  if (session.closed) throw new Refusal(454, 'the session has ended');
  return response(200, [['Session', session.header]]);
}
