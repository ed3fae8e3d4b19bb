// SPDX-License-Identifier: Apache-2.0
// TEARDOWN (RFC 2326 10.7): the viewer leaves, answered at once. What that means for the source is the resource's
// business: when the last viewer has left, it ends the session upstream.

import { response, type RtspResponse } from '../rtsp/message.js';
import { trackAt } from './play.js';
import { Refusal } from './refusal.js';
import type { Ask, Story } from './request.js';

export function tearDown(_story: Story, { session, url }: Ask): RtspResponse {
  if (!session) throw new Refusal(454, 'no Session header');
  const track = trackAt(session, url);
  if (track && session.tracks.size > 1) {
    // Tracks may be left singly; the others of the session play on.
    track.close();
    session.tracks.delete(track.track.media.control);
    session.note();
    return response(200, [['Session', session.header]]);
  }
  session.close('TEARDOWN');
  return response(200);
}
