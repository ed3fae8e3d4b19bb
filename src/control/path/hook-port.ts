// SPDX-License-Identifier: Apache-2.0
// What an HTTP hook for authentication is asked, and what it may answer. net/http-hook.ts implements it.

/** What a hook is asked: may this viewer or publisher do that? Absent: it has not told. */
export interface HookQuestion {
  readonly action: 'read' | 'publish';
  /** With its first slash; and what is behind the first `?`, where the source needs it. */
  readonly path: string;
  readonly query: string;
  /** RTSP method of the request. */
  readonly method: string;
  readonly protocol: 'rtsp' | 'rtsps';
  /** Where the connection comes from. */
  readonly address: string;
  readonly port: number;
  readonly userAgent?: string | undefined;
  readonly user?: string | undefined;
  /** Basic. */
  readonly password?: string | undefined;
  /** Digest (RFC 7616 3.4): the nonce is ours and fresh, and `count` has not been used with it; the rest is to be checked. */
  readonly digest?: {
    readonly realm: string;
    readonly nonce: string;
    readonly uri: string;
    readonly algorithm: string;
    readonly response: string;
    readonly qop?: 'auth';
    readonly nc?: string;
    readonly cnonce?: string;
  };
}

/** `unknown`: the viewer is to be asked for (other) credentials. `unavailable`: there was no answer. */
export type HookVerdict = 'allowed' | 'refused' | 'unknown' | 'unavailable';
/** Never rejects. */
export type AskHook = (url: string, question: HookQuestion) => Promise<HookVerdict>;
