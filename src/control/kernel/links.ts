// SPDX-License-Identifier: Apache-2.0
// Network devices, asked for over rtnetlink with the package `netlink` (docs/adr/0006).
import { createRtNetlink, rt, type RtNetlinkSocket } from 'netlink';
import { portOfPrivateDevice } from './private-veth.js';

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  readonly mac: Buffer;
  readonly type: 'ethernet' | 'loopback' | 'other';
}

/** By index or name. Rejects when there is no such device. */
export type AskLink = (device: number | string) => Promise<Link>;

export class Links {
  readonly #socket: RtNetlinkSocket = createRtNetlink();
  /** The last question put: answers queue in the socket, and more than some 90 of them would end the process (adr/0006). */
  #asking: Promise<unknown> = Promise.resolve();

  /** Asks for each device once: for one look at many addresses. */
  onceEach(): AskLink {
    const asked = new Map<number | string, Promise<Link>>();
    return (device) => {
      const link = asked.get(device) ?? this.#link(device);
      asked.set(device, link);
      return link;
    };
  }

  /** All there are, and of them those that are up and carry Ethernet frames, the engine's own left out. */
  async all(): Promise<{ all: Link[]; carriers: Link[] }> {
    const answers = await this.#put(() => this.#socket.getLinks());
    const isCarrier = (link: Link) => link.type !== 'other' && portOfPrivateDevice(link.name) === undefined;
    const up = answers.filter(({ data }) => data.flags?.up);
    return { all: answers.map(toLink), carriers: up.map(toLink).filter(isCarrier) };
  }

  close(): void {
    this.#socket.socket.close();
  }

  async #link(device: number | string): Promise<Link> {
    const [answer] = await this.#put(() =>
      typeof device === 'number'
        ? this.#socket.getLink({ index: device })
        : this.#socket.getLink({}, { ifname: device }),
    );
    if (!answer) throw new Error(`no device ${device}`);
    return toLink(answer);
  }

  /** One question at a time. */
  #put<T>(question: () => Promise<T>): Promise<T> {
    const answer = this.#asking.then(question);
    this.#asking = answer.catch(() => undefined);
    return answer;
  }
}

function toLink({ data, attrs }: rt.LinkMessage): Link {
  const type = data.type === 'ETHER' ? 'ethernet' : data.type === 'LOOPBACK' ? 'loopback' : 'other';
  const ifindex = data.index ?? 0;
  return {
    ifindex,
    name: attrs.ifname ?? `${ifindex}`,
    mtu: attrs.mtu ?? 1500,
    mac: attrs.address ?? Buffer.alloc(6),
    type,
  };
}
