// SPDX-License-Identifier: Apache-2.0
// What both programs' command lines have in common: a wrong one costs one line on stderr and exit code 2.

import { Command } from 'commander';

/** Ends the process after --help and --version (0) and when the command line is wrong (2). */
export function newProgram(name: string): Command {
  return new Command(name)
    .configureHelp({ helpWidth: 100 })
    .configureOutput({
      outputError: (text, write) => write(`${name}: ${oneLine(text)} (--help tells more)\n`),
    })
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
}

/** Commander's `error: ...`, with its suggestion on a line of its own. */
function oneLine(text: string): string {
  return text
    .replace(/^error: /, '')
    .replaceAll(/(:\/\/)[^']*@/g, '$1...@') // what is wrong may be a URL with a password in it
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ');
}
