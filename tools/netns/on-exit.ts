// SPDX-License-Identifier: Apache-2.0
// What must be undone when this process ends, however a test ends it: return, throw, SIGINT, SIGTERM, SIGHUP.
const undo = new Set<() => void>();
let installed = false;

function install(): void {
  installed = true;
  process.on('exit', () => {
    for (const action of [...undo].reverse()) {
      try {
        action();
      } catch (error) {
        process.stderr.write(`cleaning up: ${String(error)}\n`);
      }
    }
  });
  const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
  for (const [name, number] of Object.entries(signals))
    process.once(name as NodeJS.Signals, () => process.exit(128 + number));
}

/** Registers a synchronous action, run in reverse order of registration. The returned function forgets it. */
export function onProcessExit(action: () => void): () => void {
  if (!installed) install();
  undo.add(action);
  return () => void undo.delete(action);
}
