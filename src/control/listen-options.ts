// SPDX-License-Identifier: Apache-2.0
// The command line's words about where viewers connect to, plain and with TLS.

import { InvalidArgumentError, type Command } from 'commander';

import type { ListenAt } from './path/ports.js';

/** As commander hands them over. */
export interface ListenGiven {
  readonly listen: ListenAt;
  readonly tlsListen?: ListenAt;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
}

export function addListenOptions(program: Command): Command {
  program
    .option('--listen <[host:]port>', 'where viewers connect to', listenAddress, {
      host: undefined,
      port: 8554,
    })
    .option('--tls-listen <[host:]port>', 'where they connect to with TLS (rtsps://) as well', listenAddress)
    .option(
      '--tls-certificate <file>',
      'PEM, for --tls-listen: its own first, then those that lead to the authority',
    )
    .option('--tls-key <file>', 'PEM, its private key (default: in the file of --tls-certificate)');
  program.options.find((option) => option.long === '--listen')!.defaultValueDescription =
    '8554 of all addresses, IPv4 and IPv6';
  return program;
}

/** Ends the process with 2 when they do not fit together. */
export function readListen(program: Command, given: ListenGiven): ListenAt {
  const { listen, tlsListen, tlsCertificate: certificate, tlsKey: key } = given;
  if (!tlsListen) {
    if (certificate !== undefined || key !== undefined)
      program.error('error: --tls-certificate and --tls-key are for --tls-listen, which is missing');
    return listen;
  }
  if (certificate === undefined) program.error('error: --tls-listen needs --tls-certificate');
  return {
    ...listen,
    tls: { at: tlsListen, files: { certificate: certificate!, key: key ?? certificate! } },
  };
}

/** `8554`, `127.0.0.1:8554`, `[::1]:8554`, `localhost:8554`. */
export function listenAddress(text: string): ListenAt {
  const parts = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  if (!parts || port < 1 || port > 65_535)
    throw new InvalidArgumentError('It is [HOST:]PORT, IPv6 addresses in brackets, ports from 1 to 65535.');
  return { host: parts[1] ?? parts[2], port };
}
