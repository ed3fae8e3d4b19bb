// SPDX-License-Identifier: Apache-2.0
// OPTIONS (RFC 2326 10.1), GET_PARAMETER and SET_PARAMETER (10.8, 10.9): answered by the proxy. The latter two are what
// viewers keep their sessions alive with; parameters there are none.

import { response, type RtspResponse } from '../rtsp/message.js';
import { awaitsPublishers } from './record.js';
import { PUBLIC, PUBLIC_WITH_PUBLISHING, type Ask, type Story } from './request.js';

export function options({ paths }: Story, ask: Ask): RtspResponse {
  const methods = awaitsPublishers(paths.table, ask.url) ? PUBLIC_WITH_PUBLISHING : PUBLIC;
  return response(200, [['Public', methods], ...sessionField(ask)]);
}

export function keepAlive(_story: Story, ask: Ask): RtspResponse {
  return response(200, sessionField(ask));
}

function sessionField({ session, publication }: Ask): [string, string][] {
  const header = session?.header ?? publication?.header;
  return header === undefined ? [] : [['Session', header]];
}
