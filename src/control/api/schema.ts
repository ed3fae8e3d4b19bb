// SPDX-License-Identifier: Apache-2.0
// JSON schemas of the API's answers. `row` makes the compiler see to it that each has exactly the fields of its type.

import type {
  ClientExtendedRow,
  ClientJitterRow,
  ClientLayersRow,
  ClientLossRow,
  ClientQueueRow,
  ClientRow,
  ClientTrackRow,
  ClientVoiceRow,
  PathRow,
  StatusRow,
  StreamLayersRow,
  StreamRow,
  StreamTrackRow,
} from './types.js';

const TEXT = { type: 'string' } as const;
const COUNT = { type: 'integer', minimum: 0 } as const;
const NUMBER = { type: 'number' } as const;
const orNull = (schema: object) => ({ anyOf: [schema, { type: 'null' }] });
const list = (items: object) => ({ type: 'array', items });
const oneOf = (...values: readonly string[]) => ({ type: 'string', enum: values });

function row<Row>(properties: { readonly [Name in keyof Row]-?: object }): object {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
}

const clientLoss = row<ClientLossRow>({
  fraction: NUMBER,
  cumulative: { type: 'integer' },
  jitterMs: orNull(NUMBER),
  roundTripMs: orNull(NUMBER),
  at: TEXT,
});

const clientQueue = row<ClientQueueRow>({ bytes: COUNT, picturesDropped: COUNT });

const clientJitter = row<ClientJitterRow>({
  min: orNull(NUMBER),
  max: orNull(NUMBER),
  mean: orNull(NUMBER),
  deviation: orNull(NUMBER),
});

const clientVoice = row<ClientVoiceRow>({
  lossRate: NUMBER,
  discardRate: NUMBER,
  roundTripMs: NUMBER,
  endSystemDelayMs: NUMBER,
  rFactor: orNull(NUMBER),
  mosListening: orNull(NUMBER),
  mosConversational: orNull(NUMBER),
});

const clientExtended = row<ClientExtendedRow>({
  roundTripMs: orNull(NUMBER),
  lost: orNull(COUNT),
  duplicates: orNull(COUNT),
  jitterMs: orNull(clientJitter),
  voice: orNull(clientVoice),
});

const clientLayers = row<ClientLayersRow>({
  policy: oneOf('aimd', 'thesis', 'off'),
  allowance: COUNT,
  wanted: COUNT,
  bandwidth: orNull(COUNT),
  changes: COUNT,
  thinned: COUNT,
});

const clientTrack = row<ClientTrackRow>({
  media: TEXT,
  transport: oneOf('udp', 'tcp', 'multicast'),
  rtpPort: COUNT,
  rtcpPort: COUNT,
  group: orNull(TEXT),
  servedBy: orNull(oneOf('kernel', 'userspace')),
  packets: COUNT,
  bytes: COUNT,
  drops: COUNT,
  queue: orNull(clientQueue),
  loss: orNull(clientLoss),
  extended: orNull(clientExtended),
  layers: orNull(clientLayers),
});

export const CLIENTS = list(
  row<ClientRow>({
    id: COUNT,
    role: oneOf('viewer', 'publisher'),
    address: TEXT,
    port: COUNT,
    stream: TEXT,
    state: oneOf('announced', 'ready', 'waiting', 'playing', 'publishing', 'paused'),
    since: TEXT,
    session: TEXT,
    subflows: orNull(COUNT),
    tracks: list(clientTrack),
  }),
);

const streamLayers = row<StreamLayersRow>({
  notion: oneOf('dependency', 'temporal', 'spatial'),
  rates: list(COUNT),
});

const streamTrack = row<StreamTrackRow>({
  media: TEXT,
  payloadType: orNull(COUNT),
  clockRate: orNull(COUNT),
  ssrc: orNull(TEXT),
  packets: COUNT,
  bytes: COUNT,
  lost: orNull({ type: 'integer' }),
  jitterMs: orNull(NUMBER),
  roundTripMs: orNull(NUMBER),
  upstreamPort: COUNT,
  downstreamPort: COUNT,
  layers: orNull(streamLayers),
});

export const STREAMS = list(
  row<StreamRow>({
    path: TEXT,
    state: oneOf('connecting', 'ready', 'playing', 'reconnecting', 'ending'),
    upstream: TEXT,
    publisher: orNull(COUNT),
    subflows: orNull(COUNT),
    viewers: COUNT,
    own: { type: 'boolean' },
    open: { type: 'boolean' },
    position: orNull(NUMBER),
    since: TEXT,
    tracks: list(streamTrack),
  }),
);

export const PATHS = list(
  row<PathRow>({
    ...{
      name: TEXT,
      path: TEXT,
      source: TEXT,
      trouble: orNull(TEXT),
      streams: COUNT,
      viewers: COUNT,
      packets: COUNT,
      bytes: COUNT,
      drops: COUNT,
      own: COUNT,
      mostOwn: COUNT,
    },
    ...{ staggerMs: orNull(COUNT), maxViewers: orNull(COUNT) },
  }),
);

export const STATUS = row<StatusRow>({
  engine: oneOf('userspace', 'tc', 'xdp'),
  why: TEXT,
  listen: TEXT,
  source: TEXT,
  uptimeMs: NUMBER,
  connections: COUNT,
  viewers: COUNT,
  streams: COUNT,
  drops: { type: 'object', additionalProperties: COUNT },
  refused: { type: 'object', additionalProperties: COUNT },
  facts: { type: 'object', additionalProperties: { anyOf: [TEXT, NUMBER] } },
});

export const KICK_PARAMS = {
  type: 'object',
  properties: { id: { type: 'integer', minimum: 1, maximum: 2 ** 32 - 1 } },
  required: ['id'],
} as const;
export const KICKED = row<{ kicked: number }>({ kicked: COUNT });
export const FLUSHED = row<{ flushed: number }>({ flushed: COUNT });
export const ERROR = row<{ error: string }>({ error: TEXT });
