// SPDX-License-Identifier: Apache-2.0
// Addresses as Node gives them, and as everything else here writes them.

/** An IPv4 address that came through an IPv6 socket (`::ffff:192.0.2.1`) is an IPv4 address. */
export function plainAddress(address: string): string {
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address;
}
