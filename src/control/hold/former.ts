// SPDX-License-Identifier: Apache-2.0
// What whoever started us holds for us: the sockets of a former process with what it has noted, and the notebook of this.
import type { Log, Notebook } from '../path/ports.js';
import { Journal, readJournal, type Records } from './journal.js';
import type { Manager } from './manager.js';
import { openStore, type DescriptorStore } from './store.js';

export interface Former {
  readonly store: DescriptorStore;
  /** Empty: nothing to go on with. */
  readonly records: Records;
  readonly notebook: Notebook;
  /** This process has taken what it wants: the rest goes, and its own notebook counts. */
  takenOver(): void;
  close(): void;
}

/** Undefined: nobody holds anything for us. */
export async function openFormer(manager: Manager | undefined, log: Log): Promise<Former | undefined> {
  const store = await openStore(manager);
  if (!store) return undefined;
  const { memoryFile } = await import('./rights.js');
  const { number, records } = readJournal(store);
  if (!records && store.names().length > 0) {
    log.warn(
      { sockets: store.names().length },
      'what the former process has noted cannot be read: its viewers are lost',
    );
    store.dropRest();
  }
  const journal = new Journal(store, memoryFile, number);
  return {
    store,
    records: records ?? new Map(),
    notebook: journal,
    takenOver: () => {
      journal.begin();
      store.dropRest();
    },
    close: () => journal.close(),
  };
}
