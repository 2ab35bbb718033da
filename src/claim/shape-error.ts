// A value from outside against its schema, refused in one line that names the field and never shows its value
// (it may be a key).

import type { z } from 'zod';
import { type ErrorCode, WhorlError } from '../base/error.ts';

/** The value, checked. Throws WhorlError `code`: "<what>: field <path> <why>". */
export function checkShape<T>(schema: z.ZodType<T>, value: unknown, what: string, code: ErrorCode): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const path = issue.path.map(String).join('.') || '(whole)';
  const why =
    issue.code === 'unrecognized_keys' ? `has unknown fields ${issue.keys.join(', ')}` : reason(issue);
  throw new WhorlError(code, `${what}: field ${path} ${why}`);
}

const reason = (issue: { code: string; message: string }): string =>
  issue.code === 'custom' || issue.code === 'invalid_format' ? issue.message : `is wrong (${issue.message})`;
