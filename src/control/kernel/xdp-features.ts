// SPDX-License-Identifier: Apache-2.0
// Whether a driver takes XDP frames that come from other devices, as it says itself (generic netlink, family `netdev`, since
// kernel 6.3). The kernel's broadcast passes over those that do not, without a word.
import { createGenericNetlink, type GenericNetlinkSocket } from 'netlink';

const CTRL_CMD_GETFAMILY = 3;
const NETDEV_VERSION = 1;
const NETDEV_CMD_DEV_GET = 1;
const NETDEV_A_DEV_IFINDEX = 1;
const NETDEV_A_DEV_XDP_FEATURES = 3;
/** enum netdev_xdp_act. */
const NETDEV_XDP_ACT_NDO_XMIT = 4n;
/** struct nlattr: length, type. */
const NLATTR = 4;
/** An older kernel is not asked again. */
let isThere = true;

/** Undefined: nobody knows (an older kernel, or the device is gone). */
export async function takesFrames(ifindex: number): Promise<boolean | undefined> {
  if (!isThere) return undefined;
  const netlink = createGenericNetlink();
  try {
    const familyId = await familyOf(netlink);
    const question = Buffer.alloc(NLATTR + 4);
    question.writeUInt16LE(question.length, 0);
    question.writeUInt16LE(NETDEV_A_DEV_IFINDEX, 2);
    question.writeUInt32LE(ifindex, NLATTR);
    const [[answer]] = await netlink.request(familyId, NETDEV_CMD_DEV_GET, NETDEV_VERSION, question);
    const features = answer && attribute(answer.data, NETDEV_A_DEV_XDP_FEATURES);
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

/** Attributes begin at multiples of 4. */
function attribute(data: Buffer, wanted: number): Buffer | undefined {
  for (let at = 0; at + NLATTR <= data.length;) {
    const length = data.readUInt16LE(at);
    if (length < NLATTR || at + length > data.length) return undefined;
    if (data.readUInt16LE(at + 2) === wanted) return data.subarray(at + NLATTR, at + length);
    at += (length + 3) & ~3;
  }
  return undefined;
}
