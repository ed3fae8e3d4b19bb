// SPDX-License-Identifier: Apache-2.0
// Whether a driver takes XDP frames that come from other devices, as it says itself (generic netlink, family `netdev`, since
// kernel 6.3). The kernel's broadcast passes over those that do not, without a word.
import { createGenericNetlink, type GenericNetlinkSocket } from 'netlink';
import { attribute, attributesOf } from './rtnetlink-socket.js';

const CTRL_CMD_GETFAMILY = 3;
const NETDEV_VERSION = 1;
const NETDEV_CMD_DEV_GET = 1;
const NETDEV_A_DEV_IFINDEX = 1;
const NETDEV_A_DEV_XDP_FEATURES = 3;
/** enum netdev_xdp_act. */
const NETDEV_XDP_ACT_NDO_XMIT = 4n;
/** An older kernel is not asked again. */
let isThere = true;

/** Undefined: nobody knows (an older kernel, or the device is gone). */
export async function takesFrames(ifindex: number): Promise<boolean | undefined> {
  if (!isThere) return undefined;
  const netlink = createGenericNetlink();
  try {
    const familyId = await familyOf(netlink);
    const index = Buffer.alloc(4);
    index.writeUInt32LE(ifindex);
    const question = attribute(NETDEV_A_DEV_IFINDEX, index);
    const [[answer]] = await netlink.request(familyId, NETDEV_CMD_DEV_GET, NETDEV_VERSION, question);
    const features = answer && attributesOf(answer.data, 0).get(NETDEV_A_DEV_XDP_FEATURES);
    return features && (features.readBigUInt64LE() & NETDEV_XDP_ACT_NDO_XMIT) !== 0n;
  } catch {
    return undefined;
  } finally {
    netlink.socket.socket.close();
  }
}

/** Families have their numbers while the kernel runs. */
async function familyOf(netlink: GenericNetlinkSocket): Promise<number> {
  try {
    const [family] = await netlink.ctrlRequest(CTRL_CMD_GETFAMILY, { familyName: 'netdev' });
    return family!.familyId!;
  } catch (error) {
    if ((error as Error).message.includes('ENOENT')) isThere = false;
    throw error;
  }
}
