// SPDX-License-Identifier: Apache-2.0
// Generated from the type information of bpf/command.bpf.c (bpf/fanout_abi.h) by `make abi`. Do not edit.

/** enum fanout_codec */
export const Codec = {
  OTHER: 0,
  H264: 1,
  H265: 2,
  VP8: 3,
  VP9: 4,
  AV1: 5,
} as const;

/** enum fanout_drop */
export const Drop = {
  NONE: 0,
  NOT_SOURCE: 1,
  MALFORMED: 2,
  NO_VIEWER: 3,
  NO_TICKET: 4,
  FRAGMENT: 5,
  IP_OPTIONS: 6,
  TEMPLATE_DIED: 7,
  TICKET_LATE: 8,
  EGRESS_REFUSED: 9,
  EGRESS_ERROR: 10,
  TOO_BIG: 11,
  NO_MEMORY: 12,
  STALE: 13,
  FOREIGN_TEMPLATE: 14,
  TICKET_LOST: 15,
  OUT_OF_SEQUENCE: 16,
  BEFORE_PICTURE: 17,
  MAX: 32,
} as const;

/** enum fanout_kind */
export const Kind = {
  RTP: 0,
  RTCP: 1,
  KINDS: 2,
  RTP_AND_RTCP: 3,
} as const;

/** enum fanout_layer_flag */
export const LayerFlag = {
  LAYER_COUNTS: 1,
  LAYER_LATE: 2,
  LAYER_STRAY: 4,
  LAYER_FOREIGN: 8,
  LAYER_END: 16,
  LAYER_TOP_ENDS: 32,
  LAYER_MARKED: 128,
  LAYER_REPORT: 512,
  LAYER_OPENS: 256,
  LAYER_ENDED: 64,
} as const;

/** enum fanout_limit */
export const Limit = {
  MAX_STREAMS: 1024,
  PAGE_SLOTS: 32,
  MAX_PAGES: 2048,
  STREAM_PAGES: 512,
  TICKETS: 256,
  STREAM_IN_FLIGHT: 200,
  BASE_TICKETS: 50,
  CARRIED: 3,
  CARRIED_XDP: 1,
  TOTAL_IN_FLIGHT: 240,
  PARKED: 1024,
  PARKED_BYTES: 2032,
  DATAGRAM_SEGMENTS: 128,
  OVERDUE_PASSES: 2048,
  ROOMS: 2,
  LANE_SLOTS: 512,
  PASS_COPIES: 192,
  SLOW_COPIES: 16,
  SR_HISTORY: 8,
  XDP_DEVICES: 64,
  XDP_CHUNK: 64,
  XDP_CHUNKS: 11,
  XDP_BATCH: 16,
  XDP_FRAME: 3400,
  CACHED_BYTES: 1480,
  TTL: 64,
  CACHED_NOTHING: 1,
  CACHED_NOT_KEPT: 2,
  LAYERS: 8,
  TOP_LAYER: 7,
  END_OCTETS: 4,
  LAYER_WINDOW_MS: 200,
  LAYER_WINDOWS: 64,
} as const;

/** enum fanout_notion */
export const Notion = {
  NONE: 0,
  DEPENDENCY: 1,
  TEMPORAL: 2,
  SPATIAL: 3,
} as const;

/** enum fanout_op */
export const Op = {
  HELLO: 1,
  OPEN: 2,
  CLOSE: 3,
  ADD: 4,
  DELETE: 5,
  FLUSH: 6,
  LOSS: 7,
  NEXT_HOP: 8,
  PASS_UP: 9,
  JOINING: 10,
  RETARGET: 11,
  ALLOW: 12,
} as const;

/** enum fanout_stream_state */
export const StreamState = {
  STREAM_FREE: 0,
  STREAM_OPEN: 1,
} as const;

/** enum fanout_ticket_state */
export const TicketState = {
  TICKET_FREE: 0,
  TICKET_OUT: 1,
  TICKET_DONE: 2,
  TICKET_DEAD: 3,
  TICKET_PARKED: 4,
  TICKET_MOVING: 5,
} as const;

/** enum fanout_version */
export const Version = {
  ABI_VERSION: 7,
} as const;

/** enum fanout_viewer_state */
export const ViewerState = {
  VIEWER_FREE: 0,
  VIEWER_ACTIVE: 1,
  VIEWER_BUSY: 2,
} as const;

/** struct fanout_add: byte offsets, and its size. */
export const Add = {
  SIZE: 76,
  id: 0,
  holdMs: 4,
  exact: 8,
  ttl: 9,
  verbatim: 10,
  pad: 11,
  from: 12,
  source: 16,
  address: 32,
  sourcePort: 48,
  port: 52,
  hop: 56,
} as const;

/** struct fanout_cached: byte offsets, and its size. */
export const Cached = {
  SIZE: 1488,
  number: 0,
  length: 4,
  packet: 8,
} as const;

/** struct fanout_command: byte offsets, and its size. */
export const Command = {
  SIZE: 100,
  op: 0,
  result: 4,
  stream: 8,
  slot: 12,
  id: 16,
  value: 20,
  hello: 24,
  open: 24,
  add: 24,
  loss: 24,
  hop: 24,
} as const;

/** struct fanout_device: byte offsets, and its size. */
export const Device = {
  SIZE: 48,
  index: 0,
  fruitless: 4,
  offUntilNs: 8,
  fullNs: 16,
  copies: 24,
  refused: 32,
  untold: 40,
} as const;

/** struct fanout_global: byte offsets, and its size. */
export const Global = {
  SIZE: 336,
  heartbeatNs: 0,
  heartbeatLimitNs: 8,
  ownerPid: 16,
  recirculateIfindex: 20,
  templateMac: 24,
  cpus: 30,
  inFlight: 32,
  agreed: 36,
  pageHint: 40,
  xdpIfindex: 44,
  passNs: 48,
  parkHint: 56,
  firstPort: 60,
  lastPort: 62,
  passes: 64,
  xdpLanes: 72,
  pad: 76,
  drops: 80,
} as const;

/** struct fanout_hello: byte offsets, and its size. */
export const Hello = {
  SIZE: 40,
  abiVersion: 0,
  commandSize: 4,
  streamSize: 8,
  viewerSize: 12,
  ticketSize: 16,
  receptionSize: 20,
  globalSize: 24,
  recirculateIfindex: 28,
  templateMac: 32,
  pad: 38,
} as const;

/** struct fanout_listen: byte offsets, and its size. */
export const Listen = {
  SIZE: 8,
  stream: 0,
  kind: 4,
} as const;

/** struct fanout_listen_key: byte offsets, and its size. */
export const ListenKey = {
  SIZE: 20,
  address: 0,
  port: 16,
  pad: 18,
} as const;

/** struct fanout_loss: byte offsets, and its size. */
export const Loss = {
  SIZE: 12,
  fraction: 0,
  cumulative: 4,
  jitter: 8,
} as const;

/** struct fanout_next_hop: byte offsets, and its size. */
export const NextHop = {
  SIZE: 20,
  ifindex: 0,
  mtu: 4,
  sourceMac: 8,
  mac: 14,
} as const;

/** struct fanout_open: byte offsets, and its size. */
export const Open = {
  SIZE: 68,
  source: 0,
  local: 16,
  sourcePort: 32,
  localPort: 36,
  clockRate: 40,
  codec: 44,
  payloadType: 48,
  descriptor: 52,
  cacheFirst: 56,
  cacheSize: 60,
  beginWithinMs: 64,
} as const;

/** struct fanout_packet_layer: byte offsets, and its size. */
export const PacketLayer = {
  SIZE: 36,
  seq: 0,
  flags: 2,
  layer: 4,
  enterFrom: 5,
  enterTo: 6,
  epoch: 7,
  lowest: 8,
  pad: 9,
  octets: 10,
  bytes: 12,
  counting: 14,
  timestamp: 16,
  above: 20,
  reportPackets: 20,
  reportOctets: 24,
} as const;

/** struct fanout_parked: byte offsets, and its size. */
export const Parked = {
  SIZE: 2048,
  owner: 0,
  length: 8,
  v6: 12,
  frame: 16,
} as const;

/** struct fanout_reception: byte offsets, and its size. */
export const Reception = {
  SIZE: 176,
  generation: 0,
  ssrc: 4,
  maxSeq: 8,
  started: 10,
  cycles: 12,
  baseSeq: 16,
  badSeq: 20,
  received: 24,
  transit: 28,
  jitter: 32,
  timestamp: 36,
  others: 40,
  sourceEpoch: 44,
  sentSsrc: 48,
  timestampOffset: 52,
  seqOffset: 56,
  pad: 58,
  arrivalNs: 64,
  srNs: 72,
  srNtp: 136,
  srCount: 168,
  pad2: 172,
} as const;

/** struct fanout_stream: byte offsets, and its size. */
export const Stream = {
  SIZE: 1376,
  state: 0,
  generation: 4,
  source: 8,
  local: 24,
  sourcePort: 40,
  localPort: 44,
  clockRate: 48,
  codec: 52,
  payloadType: 56,
  descriptor: 60,
  cacheFirst: 64,
  cacheSize: 68,
  passUp: 72,
  sourceEpoch: 76,
  joining: 80,
  viewers: 84,
  span: 88,
  freeHint: 92,
  page: 96,
  tail: 1120,
  head: 1124,
  rotation: 1128,
  home: 1132,
  cached: 1136,
  cacheBegin: 1140,
  packets: 1144,
  bytes: 1152,
  rtcpPackets: 1160,
  refused: 1168,
  passes: 1176,
  waits: 1184,
  parked: 1192,
  wokenNs: 1200,
  beginByNs: 1208,
  egressFull: 1216,
  thinned: 1224,
  notion: 1228,
  counting: 1232,
  layerWindowNs: 1240,
  layerBytes: 1248,
  layerAverage: 1312,
} as const;

/** struct fanout_ticket: byte offsets, and its size. */
export const Ticket = {
  SIZE: 104,
  number: 0,
  state: 4,
  start: 8,
  span: 12,
  offset: 16,
  served: 20,
  kind: 24,
  generation: 28,
  begins: 32,
  room: 36,
  seenPass: 40,
  parked: 44,
  seenNs: 48,
  refusedNs: 56,
  layer: 64,
  moved: 100,
} as const;

/** struct fanout_viewer: byte offsets, and its size. */
export const Viewer = {
  SIZE: 240,
  state: 0,
  next: 4,
  stream: 8,
  generation: 12,
  id: 16,
  ifindex: 20,
  mtu: 24,
  source: 28,
  address: 44,
  sourcePort: 60,
  port: 64,
  sourceMac: 68,
  mac: 74,
  packets: 80,
  bytes: 88,
  ends: 96,
  rtcpPackets: 104,
  drops: 112,
  addedNs: 120,
  holdUntilNs: 128,
  held: 136,
  first: 144,
  refusing: 148,
  lossFraction: 152,
  lossCumulative: 156,
  lossJitter: 160,
  ttl: 164,
  allowance: 168,
  verbatim: 169,
  level: 170,
  goal: 171,
  base: 172,
  since: 174,
  formerBase: 176,
  formerLevel: 178,
  epoch: 179,
  picture: 180,
  started: 184,
  withheld: 185,
  formerSince: 186,
  rtpStart: 188,
  reportPackets: 192,
  reportOctets: 196,
  thinnedPackets: 200,
  thinnedBytes: 208,
  thinnedOctets: 216,
  counting: 224,
  formerPackets: 228,
  formerOctets: 232,
} as const;

/** struct locked_layering: byte offsets, and its size. */
export const LockedLayering = {
  SIZE: 2696,
  lock: 0,
  generation: 4,
  sourceEpoch: 8,
  ssrc: 12,
  highest: 16,
  picture: 20,
  openTimestamp: 24,
  craTimestamp: 28,
  openSeq: 32,
  badSeq: 34,
  open: 36,
  openSpatial: 37,
  openTemporal: 38,
  cra: 39,
  placed: 40,
  epoch: 41,
  lowest: 42,
  notion: 43,
  templateOffset: 44,
  templateCount: 45,
  several: 46,
  pad: 47,
  templates: 56,
  above: 120,
  recent: 136,
} as const;

/** struct locked_reception: byte offsets, and its size. */
export const LockedReception = {
  SIZE: 184,
  lock: 0,
  pad: 4,
  reception: 8,
} as const;
