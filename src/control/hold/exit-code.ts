// SPDX-License-Identifier: Apache-2.0
// What a process tells whoever started it by its end.

/** It has made way for another version of itself: start that at once. */
export const UPGRADE_EXIT = 3;
