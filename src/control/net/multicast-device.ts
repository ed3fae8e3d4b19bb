// SPDX-License-Identifier: Apache-2.0
// Which device leads to a viewer, asked from the system's routes: a UDP socket that is connected to the viewer has the
// address of the device that its packets would leave by.

import { createSocket } from 'node:dgram';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Device } from '../path/ports.js';

/** Discard (RFC 863); nothing is sent to it. */
const ANY_PORT = 9;

/** See DeviceFor in path/ports.ts. Never rejects. */
export async function deviceFor(viewer: string, wanted: string | undefined): Promise<Device | undefined> {
  // Copies that leave a device do not come back to this host.
  if (!isIPv4(viewer) || viewer.startsWith('127.') || deviceNamed(viewer)) return undefined;
  const name = wanted ?? (await sourceAddressTo(viewer));
  return name === undefined ? undefined : deviceNamed(name);
}

/** By its name or by one of its IPv4 addresses; undefined: this host has none such, or it has no IPv4 address. */
export function deviceNamed(nameOrAddress: string): Device | undefined {
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    const all = addresses.filter(({ family }) => family === 'IPv4').map(({ address }) => address);
    const address = name === nameOrAddress ? all[0] : all.find((one) => one === nameOrAddress);
    if (address !== undefined) return { name, address };
  }
  return undefined;
}

/** Undefined: no route. */
function sourceAddressTo(address: string): Promise<string | undefined> {
  const socket = createSocket('udp4');
  return new Promise<string | undefined>((resolve) => {
    socket.once('error', () => resolve(undefined));
    socket.connect(ANY_PORT, address, (error?: Error) => {
      resolve(error ? undefined : socket.address().address);
    });
  }).finally(() => socket.close());
}
