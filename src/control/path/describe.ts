// SPDX-License-Identifier: Apache-2.0
// DESCRIBE (RFC 2326 10.2): relayed each time, the answer translated for the viewer that asked.

import { response, type RtspResponse } from '../rtsp/message.js';
import { translateSdp } from '../rtsp/sdp-translate.js';
import { familyOf, withoutZone } from '../state/address.js';
import { admit } from './admission.js';
import { placeOfControl, viewerPlaces } from './places.js';
import { Refusal } from './refusal.js';
import type { Ask, Story } from './request.js';
import { atPlace } from './url-map.js';

const SDP = 'application/sdp';

export async function describe(story: Story, ask: Ask): Promise<RtspResponse> {
  const { link, request, url } = ask;
  const accept = request.headers.getAll('Accept').join(',');
  if (accept && !/application\/sdp|application\/\*|\*\/\*/i.test(accept))
    throw new Refusal(406, `only ${SDP} can be had`);
  const { route, description } = await story.resources.describe(url, link.remote.address, (route) =>
    admit(story, ask, route),
  );
  const places = viewerPlaces(route, description);
  const sdp = translateSdp(description.sdp, {
    address: withoutZone(link.local.address), // a zone means nothing on another host
    family: familyOf(link.local.address),
    // A control URL that cannot be read could not be set up either; the source's is not shown in any case.
    rewriteControl: (control) => {
      const place = placeOfControl(control, places, description);
      return place === undefined ? '*' : atPlace(url, place);
    },
  });
  const fields: [string, string][] = [
    ['Content-Type', SDP],
    ['Content-Base', contentBase(atPlace(url, places.base))],
  ];
  return response(200, fields, Buffer.from(sdp, 'latin1'));
}

/** Always there, so that it does not matter under which name (`/`, with a query that means nothing) the viewer asked. */
function contentBase(base: string): string {
  return base.includes('?') ? base : `${base}/`;
}
