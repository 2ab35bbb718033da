// Changed certificates that nobody may accept: a bit of the file, or a value of the statement that is then signed again by
// the owner himself, who is the one to be held to it.

import type { KeyObject } from 'node:crypto';
import type { Json } from '../../../src/claim/canonical.ts';
import { checkCertificate } from '../../../src/verify/certificate/check.ts';
import { seal } from '../../../src/verify/certificate/dsse.ts';
import type { Statement } from '../../../src/verify/certificate/statement.ts';

/** Exit codes of the words, as of `whorl check` and check.py; 1 of what is refused. */
export const EXIT = { verified: 0, 'not-verified': 3, matches: 4, undecided: 5 } as const;

/** Of our checker. @throws what is no refusal: a fault of ours */
export function codeOf(text: string): number {
  try {
    return EXIT[checkCertificate(text).verdict.verdict];
  } catch (error) {
    if ((error as Error).name !== 'WhorlError') throw error;
    return 1;
  }
}

export const oursRefuses = (text: string): boolean => codeOf(text) === 1;

export function flipped(text: string, random: () => number): string {
  const bytes = Buffer.from(text);
  bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8);
  return bytes.toString('latin1');
}

type Path = readonly (string | number)[];

/** The signer's word, which nothing in the file contradicts: whoever issued it could have said anything else. */
const WORD: readonly RegExp[] = [
  /^predicate\.suspect\.(?:tokenizer|config|source|chat_template)/, // of weights; a server is what its digest says
  /^predicate\.(?:created|software|proofs)/,
  /^predicate\.changed/, // of weights; what it cannot be is refused (certificate.test.ts)
  /^predicate\.claim$/, // white space between its fields means nothing; its fields are tried through the header
];

function* paths(value: unknown, at: Path = []): Generator<Path> {
  if (at.length > 0) yield at;
  if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* paths(item, [...at, i]);
  else if (value !== null && typeof value === 'object')
    for (const [name, item] of Object.entries(value)) yield* paths(item, [...at, name]);
}

function changed(value: unknown, random: () => number): unknown {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  if (typeof value === 'string') {
    const at = Math.floor(random() * Math.max(1, value.length));
    return pick([
      value.slice(0, at) + String.fromCharCode((value.charCodeAt(at) || 64) ^ 1) + value.slice(at + 1),
      `${value}0`,
      value.slice(1),
      7,
      null,
    ]);
  }
  if (typeof value === 'number')
    return pick([value + 1, value - 1, -value - 1, value + 0.5, String(value), null]);
  if (Array.isArray(value))
    return pick<unknown>([
      value.slice(1),
      value.slice(0, -1),
      [...value, ...value.slice(0, 1)],
      [...value, 0],
      {},
      null,
    ]);
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value);
    return pick<unknown>([
      Object.fromEntries(entries.slice(1)),
      { ...value, more: 1 },
      entries.map(([, item]) => item as unknown),
      null,
    ]);
  }
  return value === null ? 'x' : !value;
}

/** One value changed, removed or of another type; the chain of answers is made anew where an exchange was changed. */
export function structural(
  statement: Statement,
  key: KeyObject,
  random: () => number,
): { what: string; text: string } {
  const all = [...paths(statement)].filter((path) => !WORD.some((word) => word.test(path.join('.'))));
  for (;;) {
    const path = all[Math.floor(random() * all.length)]!;
    const copy = structuredClone(statement) as unknown as Record<string, unknown>;
    let holder: Record<string | number, unknown> = copy;
    for (const step of path.slice(0, -1)) holder = holder[step] as Record<string, unknown>;
    const name = path.at(-1)!;
    const before = JSON.stringify(holder[name]);
    holder[name] = changed(holder[name], random);
    const what = path.join('.');
    if (JSON.stringify(holder[name]) === before || /_tokens/.test(what)) continue;
    try {
      return {
        what: `${what}: ${before.slice(0, 60)} → ${JSON.stringify(holder[name])?.slice(0, 60)}`,
        text: seal(copy as Json, key),
      };
    } catch {
      // half a surrogate pair has no canonical form: no file can hold it
    }
  }
}

/** A certificate whose answers were improved after the fact and chained anew, its result left or improved as well. */
export function improved(statement: Statement, key: KeyObject, edit: (copy: Statement) => void): string {
  const copy = structuredClone(statement);
  edit(copy);
  return seal(copy as unknown as Json, key);
}
