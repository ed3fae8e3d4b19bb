// SPDX-License-Identifier: Apache-2.0
// OPTIONS (RFC 2326 10.1), GET_PARAMETER and SET_PARAMETER (10.8, 10.9): answered by the proxy. The latter two are what
// viewers keep their sessions alive with; parameters there are none.

import { response, type RtspResponse } from '../rtsp/message.js';
import { PUBLIC, type Ask, type Story } from './request.js';

export function options(_story: Story, { session }: Ask): RtspResponse {
  return response(200, [['Public', PUBLIC], ...sessionField(session)]);
}

export function keepAlive(_story: Story, { session }: Ask): RtspResponse {
  return response(200, sessionField(session));
}

function sessionField(session: Ask['session']): [string, string][] {
  return session ? [['Session', session.header]] : [];
}
