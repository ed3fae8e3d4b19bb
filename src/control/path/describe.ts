// SPDX-License-Identifier: Apache-2.0
// DESCRIBE (RFC 2326 10.2): relayed each time, the answer translated for the viewer that asked.

import { response, type RtspResponse } from '../rtsp/message.js';
import { familyOf, withoutZone } from '../state/address.js';
import { translateSdp } from '../rtsp/sdp-translate.js';
import type { RtspUrl } from '../rtsp/url.js';
import type { Description } from './description.js';
import { Refusal } from './refusal.js';
import type { Ask, Story } from './request.js';
import { translateUrl } from './url-map.js';

const SDP = 'application/sdp';

export async function describe({ resources }: Story, { link, request, url }: Ask): Promise<RtspResponse> {
  const accept = request.headers.getAll('Accept').join(',');
  if (accept && !/application\/sdp|application\/\*|\*\/\*/i.test(accept))
    throw new Refusal(406, `only ${SDP} can be had`);
  const description = await resources.describe(url);
  const fields: [string, string][] = [
    ['Content-Type', SDP],
    ['Content-Base', contentBase(description, url)],
  ];
  return response(200, fields, Buffer.from(translate(description, url, link.local.address), 'latin1'));
}

/** Always there, so that it does not matter under which name (`/`, an alias) the viewer asked. */
function contentBase({ base }: Description, url: RtspUrl): string {
  const translated = translateUrl(base, url)!; // description.ts has read it before
  return translated.endsWith('/') || translated.includes('?') ? translated : `${translated}/`;
}

function translate({ sdp }: Description, url: RtspUrl, address: string): string {
  return translateSdp(sdp, {
    address: withoutZone(address), // a zone means nothing on another host
    family: familyOf(address),
    // A control URL that cannot be read could not be set up either; the source's is not shown in any case.
    rewriteControl: (control) => translateUrl(control, url) ?? '*',
  });
}
