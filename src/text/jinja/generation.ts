// transformers' own tag {% generation %}, which marks what the assistant said: its body is rendered like any other, but
// what is set within stays within. The parser has no such tag, so it becomes a condition that the evaluator knows.

import { refusal } from './scan.ts';

/** The condition; no template may name it. */
export const GENERATION = '__whorl_generation';

const TAG = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g;
const NESTED = /\{%-?\s*(end)?(if|for|macro|generation)\b/g;

/** @throws WhorlError `unsupported` where the tags do not nest as Python demands */
export function generationAsCondition(source: string): string {
  if (source.includes(GENERATION)) throw refusal(`the name ${GENERATION}`);
  if (!/\{%-?\s*(?:end)?generation\b/.test(source)) return source;
  const open: string[] = [];
  for (const [, end, name] of source.replace(/\{#[\s\S]*?#\}/g, '').matchAll(NESTED))
    if (end === undefined) open.push(name!);
    else if (open.pop() !== name) throw refusal('generation across other blocks');
  return source.replace(TAG, (_, left: string, end: string | undefined, right: string) =>
    end === undefined ? `{%${left} if ${GENERATION} ${right}%}` : `{%${left} endif ${right}%}`,
  );
}
