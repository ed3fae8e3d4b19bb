// SPDX-License-Identifier: Apache-2.0
// What the programs' command lines have in common: a wrong one costs one line on stderr and exit code 2.

import { Command, type Option } from 'commander';

/** Commander's, which of an option that is given twice would keep the last value and say nothing. */
class Program extends Command {
  override createCommand(name?: string): Program {
    return new Program(name);
  }

  override addOption(option: Option): this {
    super.addOption(option);
    if (!(option.required || option.optional) || option.variadic) return this;
    let given = 0;
    return this.on(`option:${option.name()}`, () => {
      if (++given > 1) this.error(`option '${option.flags}' is given more than once`);
    });
  }
}

/** Ends the process after --help and --version (0) and when the command line is wrong (2). */
export function newProgram(name: string): Command {
  return new Program(name)
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
