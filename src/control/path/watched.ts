// SPDX-License-Identifier: Apache-2.0
// What viewers' sessions need of a resource, wherever it comes from: from a source that is asked (resource.ts), or from a
// publisher that brings it (published.ts).

import type { Route } from '../config/path-table.js';
import type { ChurnSet } from '../state/churn.js';
import type { Described, Description, MediaDescription } from './description.js';
import type { Publication } from './publication.js';
import type { Session } from './session.js';
import type { Recording } from './recording.js';
import type { PlayAnswer, PlayWish } from './source-play.js';
import type { Track } from './track.js';
import type { ViewerTrack } from './viewer-track.js';

export interface Watched {
  /** What it is served under, and where it comes from. A reload may change what does not concern the source. */
  route: Route;
  /** Path and query as viewers name it, for people. */
  readonly path: string;
  readonly since: string;
  readonly sessions: ChurnSet<Session>;
  /** By control URL. */
  readonly tracks: ReadonlyMap<string, Track>;
  readonly state: 'connecting' | 'ready' | 'playing' | 'reconnecting' | 'ending';
  /** `address:port` of the source, its name until it is connected. */
  readonly address: string;
  /** Paths of its connection, where that is MPTCP. */
  readonly subflows?: number | undefined;
  /** Of what has an end; undefined: it is live, or nothing is known of it yet. */
  readonly recording?: Recording | undefined;
  /** Who publishes it at the moment. */
  readonly publisher?: Publication | undefined;
  /** The name of its held connection to the source, where the next process can go on with it. */
  readonly link: string | undefined;
  /** Nobody watches it, and nothing is being done for anybody who might. */
  readonly unused: boolean;
  /** Keeps it while `work` is under way: it cannot end for want of viewers. */
  use<T>(work: () => Promise<T>): Promise<T>;
  /** Ends what nobody needs. */
  checkUse(): void;
  /** Rejects with a Refusal. */
  describe(): Promise<Description>;
  /** What a place (places.ts) means by the description that the tracks were set up from. */
  meaning(place: string): Described | undefined;
  /** The track, which whoever asks first has opened. Rejects with a Refusal. */
  setUp(description: Description, media: MediaDescription): Promise<Track>;
  /**
   * Sees to it that the session's tracks come, which get copies already. `added` are those of the session's that get copies
   * only since just now.
   */
  play(session: Session, added: readonly ViewerTrack[], wish: PlayWish): Promise<PlayAnswer>;
  /** The viewer gets no copies already. The source is asked to stop only where it is the viewer's own. */
  pause(): Promise<void>;
  /** Viewers out, then all that is open. */
  end(why: string): Promise<void>;
}
