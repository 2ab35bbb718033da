// A results file that stands already: of the same evaluation it is taken as it is, of another one it is refused.

import { readFileSync } from 'node:fs';
import { WhorlError } from '../base/error.ts';
import { isThere } from '../base/system-errors.ts';

/** Of what stands under `whorl` in a results file, and of the answers kept beside it. */
export const FORMAT = 1;

/**
 * @param settings what must be the same
 * @returns undefined where nothing stands
 * @throws WhorlError `exists` naming the setting that differs, `bad-file` for what is no results file
 */
export function finishedResults(
  path: string,
  settings: Readonly<Record<string, unknown>>,
): Record<string, unknown> | undefined {
  if (!isThere(path)) return undefined;
  let content: Record<string, unknown>;
  try {
    content = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new WhorlError('bad-file', `${path} is no results file: not valid JSON`, 'remove it', { cause });
  }
  const own = content.whorl as Readonly<Record<string, unknown>> | undefined;
  const other = (what: string): never => {
    throw new WhorlError('exists', `${path} holds results of ${what}`, 'name another folder, or remove it');
  };
  if (typeof own !== 'object' || own === null) return other('another program');
  if (own.format !== FORMAT) return other(`format ${JSON.stringify(own.format)}, this is format ${FORMAT}`);
  for (const [key, value] of Object.entries(settings))
    if (JSON.stringify(own[key] ?? null) !== JSON.stringify(value))
      other(`other ${key.replaceAll('_', ' ')}`);
  return content;
}
