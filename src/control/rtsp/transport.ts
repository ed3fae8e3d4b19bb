// SPDX-License-Identifier: Apache-2.0
// The Transport header (RFC 2326 12.39): one or more alternatives, in order of preference.

import { RtspError } from './errors.js';
import { splitOutsideQuotes, splitParameter } from './quoted.js';

/** `6970-6971`; `high` is undefined where only one number was given. */
export interface NumberRange {
  readonly low: number;
  readonly high: number | undefined;
}

export interface Transport {
  /** Upper case, e.g. `RTP/AVP`. */
  readonly profile: string;
  /** Lower transport; `UDP` where none was given. */
  readonly lower: string;
  /** Undefined where not given: the RFC says multicast, players mean unicast. */
  readonly delivery?: 'unicast' | 'multicast';
  /** Empty where the parameter has no value. Whose address it is nobody checked: never send media there on its word alone. */
  readonly destination?: string;
  readonly source?: string;
  /** Channels, 0 to 255. */
  readonly interleaved?: NumberRange;
  /** UDP ports, 1 to 65535; `port` is that of multicast. */
  readonly clientPort?: NumberRange;
  readonly serverPort?: NumberRange;
  readonly port?: NumberRange;
  readonly ttl?: number;
  readonly layers?: number;
  readonly append?: true;
  /** Upper case, e.g. `PLAY`. */
  readonly mode?: readonly string[];
  readonly ssrc?: number;
  /** RTP and RTCP on one port (RFC 7826 18.54). */
  readonly rtcpMux?: true;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Reader = (transport: Mutable<Transport>, value: string) => void;

const MAX_ALTERNATIVES = 16;
/** Devices that do not know their port write 0, or 0-1. */
const LAST_NO_PORT = 1;

/** Runs what reads a parameter, which throws RtspError. */
type Try = (read: () => void) => void;

const strictly: Try = (read) => read();

const leniently: Try = (read) => {
  try {
    read();
  } catch (error) {
    if (!(error instanceof RtspError)) throw error;
  }
};

/** One line per parameter; parameters that are not here are ignored (RFC 2326 12.39 leaves room for them). */
const PARAMETERS: Readonly<Record<string, Reader>> = {
  unicast: (t) => (t.delivery = 'unicast'),
  multicast: (t) => (t.delivery = 'multicast'),
  destination: (t, v) => (t.destination = v),
  source: (t, v) => (t.source = v),
  interleaved: (t, v) => (t.interleaved = parsePair('interleaved', v, 0, 255)),
  client_port: (t, v) => (t.clientPort = parsePair('client_port', v, 1, 65_535)),
  server_port: (t, v) => (t.serverPort = parsePair('server_port', v, 1, 65_535)),
  port: (t, v) => (t.port = parsePair('port', v, 1, 65_535)),
  ttl: (t, v) => (t.ttl = parseNumber('ttl', v, 0, 255)),
  layers: (t, v) => (t.layers = parseNumber('layers', v, 1, 255)),
  append: (t) => (t.append = true),
  'rtcp-mux': (t) => (t.rtcpMux = true),
  mode: (t, v) => (t.mode = v.split(',').map((m) => m.trim().toUpperCase())),
  ssrc: (t, v) => {
    // Eight hex digits; what some servers put here instead is not needed for anything.
    if (/^[0-9a-f]{1,8}$/i.test(v)) t.ssrc = parseInt(v, 16);
  },
};

/**
 * The alternatives that can be read, at most 16.
 * @throws RtspError 461 when there is none, with what is wrong with the first.
 */
export function parseTransport(value: string): Transport[] {
  return parseAlternatives(value, strictly);
}

/**
 * What a source has agreed to. It plays whatever it writes, so a parameter that cannot be read has not been told, and a
 * `server_port` that is none neither.
 * @throws RtspError 461 where not even the protocol can be read.
 */
export function parseTransportAnswer(value: string): Transport {
  const [{ serverPort, ...told }] = parseAlternatives(value, leniently) as [Transport];
  return serverPort && serverPort.low > LAST_NO_PORT ? { ...told, serverPort } : told;
}

function parseAlternatives(value: string, attempt: Try): Transport[] {
  const alternatives: Transport[] = [];
  let error: RtspError | undefined;
  for (const text of splitOutsideQuotes(value, ',').slice(0, MAX_ALTERNATIVES)) {
    try {
      alternatives.push(parseAlternative(text, attempt));
    } catch (fault) {
      if (!(fault instanceof RtspError)) throw fault;
      error ??= fault;
    }
  }
  if (alternatives.length === 0) throw error ?? unsupported('The Transport header is empty.');
  return alternatives;
}

function parseAlternative(text: string, attempt: Try): Transport {
  const [spec = '', ...parameters] = splitOutsideQuotes(text, ';');
  const parts = /^([\w-]+\/[\w-]+)(?:\/([\w-]+))?$/.exec(spec);
  if (!parts) throw unsupported('The Transport does not begin with PROTOCOL/PROFILE.');
  const transport: Mutable<Transport> = {
    profile: parts[1]!.toUpperCase(),
    lower: parts[2]?.toUpperCase() ?? 'UDP',
  };
  for (const parameter of parameters) {
    const [name, parameterValue = ''] = splitParameter(parameter);
    if (Object.hasOwn(PARAMETERS, name)) attempt(() => PARAMETERS[name]!(transport, parameterValue));
  }
  return transport;
}

function parseNumber(name: string, text: string, min: number, max: number): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (number >= min && number <= max) return number;
  throw unsupported(`The Transport's ${name} is not between ${min} and ${max}.`);
}

function parsePair(name: string, text: string, min: number, max: number): NumberRange {
  const dash = text.indexOf('-');
  if (dash < 0) return { low: parseNumber(name, text, min, max), high: undefined };
  const low = parseNumber(name, text.slice(0, dash).trim(), min, max);
  const high = parseNumber(name, text.slice(dash + 1).trim(), min, max);
  if (high < low) throw unsupported(`The Transport's ${name} ends before it begins.`);
  return { low, high };
}

function unsupported(message: string): RtspError {
  return new RtspError(461, message);
}

/** Lower transport UDP is left out, as players expect it. */
export function formatTransport(transport: Transport): string {
  const { profile, lower, delivery, append, mode, ssrc } = transport;
  const fields = [lower === 'UDP' ? profile : `${profile}/${lower}`];
  if (delivery) fields.push(delivery);
  const add = (name: string, value: string | number | undefined) => {
    if (value !== undefined) fields.push(value === '' ? name : `${name}=${value}`);
  };
  add('destination', transport.destination);
  add('source', transport.source);
  add('interleaved', formatPair(transport.interleaved));
  add('client_port', formatPair(transport.clientPort));
  add('server_port', formatPair(transport.serverPort));
  add('port', formatPair(transport.port));
  add('ttl', transport.ttl);
  add('layers', transport.layers);
  if (append) fields.push('append');
  add('ssrc', ssrc?.toString(16).toUpperCase().padStart(8, '0'));
  if (transport.rtcpMux) fields.push('RTCP-mux');
  add('mode', mode && `"${mode.join(',')}"`);
  return fields.join(';');
}

function formatPair(pair: NumberRange | undefined): string | undefined {
  return pair && (pair.high === undefined ? `${pair.low}` : `${pair.low}-${pair.high}`);
}
