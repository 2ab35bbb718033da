// A value from outside against its schema, refused in one line that names the field and never shows its value
// (it may be a key).

import type { z } from 'zod';
import { type ErrorCode, WhorlError } from '../base/error.ts';
import { writtenOut } from '../base/unseen.ts';

type Issue = z.core.$ZodIssue;
/** Characters of a name that is shown: strangers give fields names, too. */
const LONGEST = 60;

/** The value, checked. Throws WhorlError `code`: "<what>: field <path> <why>". */
export function checkShape<T>(schema: z.ZodType<T>, value: unknown, what: string, code: ErrorCode): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new WhorlError(code, `${what}: ${wrongField(result.error, value)}`);
}

/** The first thing that is wrong, in words: "field <path> <why>". */
export function wrongField(error: z.core.$ZodError, value: unknown): string {
  const { issue, path } = innermost(error.issues[0]!);
  const field = writtenOut(path.map((step) => String(step).slice(0, LONGEST)).join('.')) || '(whole)';
  return `field ${field} ${isMissing(value, path) ? 'is missing' : reason(issue)}`;
}

/** Of alternatives the one that was meant: with the fewest things wrong. Else the line would name what holds the field, and not it. */
function innermost(issue: Issue, above: readonly PropertyKey[] = []): { issue: Issue; path: PropertyKey[] } {
  const path = [...above, ...issue.path];
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return { issue, path };
  const [meant] = [...issue.errors].sort((a, b) => a.length - b.length);
  return meant?.[0] ? innermost(meant[0], path) : { issue, path };
}

function isMissing(value: unknown, path: readonly PropertyKey[]): boolean {
  let at: unknown = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null) return false;
    at = (at as Record<PropertyKey, unknown>)[step];
  }
  return path.length > 0 && at === undefined;
}

function reason(issue: Issue): string {
  if (issue.code === 'unrecognized_keys')
    return `has unknown fields ${writtenOut(issue.keys.map((key) => key.slice(0, LONGEST)).join(', '))}`;
  return issue.code === 'custom' || issue.code === 'invalid_format'
    ? issue.message
    : `is wrong (${issue.message})`;
}
