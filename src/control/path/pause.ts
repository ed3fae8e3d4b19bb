// SPDX-License-Identifier: Apache-2.0
// PAUSE (RFC 2326 10.6): the viewer gets no more copies. The source is asked to stop only where its session is the viewer's
// own, or becomes that because nobody else is in it (own-session.ts).

import { response, type RtspResponse } from '../rtsp/message.js';
import { checkRoomForOwn } from './own-session.js';
import { sessionFor } from './play.js';
import { Refusal } from './refusal.js';
import type { Ask, Story } from './request.js';
import type { Session } from './session.js';

export async function pause(story: Story, ask: Ask): Promise<RtspResponse> {
  const session = sessionFor(ask);
  if (session.state !== 'playing') throw new Refusal(455, 'the session does not play');
  const { resource } = session;
  session.pausedAt = resource.recording?.position;
  session.stop();
  session.state = 'paused';
  await resource.use(async () => {
    if (resource.recording && mayBeOwn(story, session)) resource.recording.becomeOwn();
    await resource.pause();
  });
  if (session.closed) throw new Refusal(454, 'the session has ended');
  return response(200, [['Session', session.header]]);
}

function mayBeOwn(story: Story, session: Session): boolean {
  try {
    checkRoomForOwn(story, session);
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}
