// SPDX-License-Identifier: Apache-2.0
// Everybody who may stand in the proxy's place, ours first. A new one is a file here and a line in this list.
import { go2rtc } from './go2rtc.js';
import { gstreamer } from './gstreamer.js';
import { live555 } from './live555.js';
import { mediamtx } from './mediamtx.js';
import { rtspFanout } from './ours.js';
import { vlc } from './vlc.js';

export const XDP = rtspFanout('xdp');
export const TC = rtspFanout('tc');
export const USERSPACE = rtspFanout('userspace');

export const PEERS = [mediamtx, live555, go2rtc, gstreamer, vlc];
export const RELAYS = [XDP, TC, USERSPACE, ...PEERS];
