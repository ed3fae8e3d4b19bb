// SPDX-License-Identifier: Apache-2.0
// A request whose sender is to be known, and what a hook is told of it.

import type { Credentials, DigestCredentials } from '../rtsp/authentication.js';
import { countText } from '../rtsp/digest.js';
import type { RtspRequest } from '../rtsp/message.js';
import type { RtspUrl } from '../rtsp/url.js';
import type { HookQuestion } from './hook-port.js';
import type { ViewerLink } from './ports.js';

export type Action = 'read' | 'publish';

/** A request whose sender is to be known. */
export interface Claim {
  readonly link: ViewerLink;
  readonly request: RtspRequest;
  readonly url: RtspUrl;
  /** Of a session that this connection has opened, or has used before: credentials need not be fresh again. */
  readonly established: boolean;
  /** Path and query of the whole, as the configuration understands them. */
  readonly place: string;
}

export function questionOf(
  { link, request, place }: Claim,
  action: Action,
  credentials: Credentials | undefined,
): HookQuestion {
  const { address, port } = link.remote;
  const [path, query = ''] = place.split(/\?(.*)/s, 2);
  const userAgent = request.headers.get('User-Agent');
  return {
    ...{ action, path: path || '/', query, method: request.method },
    ...{ protocol: link.secure ? 'rtsps' : 'rtsp', address, port },
    ...(userAgent !== undefined && { userAgent: text(userAgent) }),
    ...(credentials && { user: text(credentials.username) }),
    ...(credentials?.scheme === 'Basic' && { password: text(credentials.password) }),
    ...(credentials?.scheme === 'Digest' && { digest: digestFacts(credentials) }),
  };
}

function digestFacts({ realm, nonce, uri, algorithm, response, use }: DigestCredentials) {
  const counted = use && { qop: 'auth' as const, nc: countText(use.count), cnonce: use.cnonce };
  return { realm: text(realm), nonce, uri, algorithm, response, ...counted };
}

/** Headers carry UTF-8, one character a byte. */
function text(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
