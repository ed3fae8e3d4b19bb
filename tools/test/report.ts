// SPDX-License-Identifier: Apache-2.0
// What `make test` prints: one line per file, failures in full, skipped tests by reason, and the closing line
// `N passed, N failed` that machines read.

import { inspect } from 'node:util';
import type { FileResult } from './run-file.js';

/** The file's one line, and below it all of its failures. */
export function fileReport(result: FileResult): string {
  const skipped = result.skips.length > 0 ? `, ${result.skips.length} skipped` : '';
  const mark = result.failed > 0 ? 'FAILED' : 'ok    ';
  const seconds = `${(result.ms / 1000).toFixed(1)} s`;
  const lines = [
    `${mark} ${result.file}  ${result.passed} passed${failedText(result)}${skipped}  ${seconds}`,
  ];
  for (const failure of result.failures)
    lines.push(`  not ok: ${failure.name}`, indent(diagnosisText(failure.diagnosis)));
  if (result.failed > 0 && result.stderr.trim() !== '')
    lines.push('  what the file wrote on stderr:', indent(result.stderr.trimEnd()));
  return lines.join('\n');
}

/** Everything below the files; its last line is the closing line. */
export function closingReport(results: readonly FileResult[]): string {
  const byReason = new Map<string, string[]>();
  for (const { file, skips } of results)
    for (const { name, reason } of skips)
      byReason.set(reason, [...(byReason.get(reason) ?? []), `${file}: ${name}`]);
  const lines: string[] = [];
  for (const [reason, names] of byReason)
    lines.push(`skipped, ${reason} (${names.length}):`, ...names.map((name) => `  ${name}`));
  const sum = (count: (result: FileResult) => number) => results.reduce((total, r) => total + count(r), 0);
  const skipped = sum((r) => r.skips.length);
  const tail = skipped > 0 ? `, ${skipped} skipped` : '';
  lines.push(`${sum((r) => r.passed)} passed, ${sum((r) => r.failed)} failed${tail}`);
  return lines.join('\n');
}

function failedText({ failed }: FileResult): string {
  return failed > 0 ? `, ${failed} failed` : '';
}

function diagnosisText(diagnosis: unknown): string {
  if (typeof diagnosis === 'string') return diagnosis.trimEnd();
  if (diagnosis === null || typeof diagnosis !== 'object') return '(tap says nothing about it)';
  return Object.entries(diagnosis)
    .filter(([key]) => key !== 'at') // the stack tells it better
    .map(([key, value]) => {
      const text =
        typeof value === 'string' ? value.trimEnd() : inspect(value, { depth: 4, breakLength: 100 });
      return text.includes('\n') ? `${key}:\n${indent(text)}` : `${key}: ${text}`;
    })
    .join('\n');
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ');
}
