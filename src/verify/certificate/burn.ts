// Keys that a certificate opens are known to whoever has it: the secret remembers them before the certificate is written,
// and they are asked no more.

import { WhorlError } from '../../base/error.ts';
import { Secret } from '../../base/secret.ts';
import type { SecretContents } from '../../claim/secret-contents.ts';
import { type Lock, type Unlock, writeSecret } from '../../claim/secret-file.ts';

/** @throws WhorlError `usage`: of keys that are all known nothing is left to ask */
export function allOpened(of: number): never {
  throw new WhorlError(
    'usage',
    `all ${of} keys of this claim were opened by certificates`,
    'whoever has one can train its keys away: only another claim proves anything anew',
  );
}

/**
 * Keys from..to-1 that are still secret, at most `most`; none where a stamp beside them is, which then decides alone.
 * @throws WhorlError `usage` where nothing is secret any more
 */
export function keysLeft(
  { opened = [], plan }: SecretContents,
  most: number | undefined,
): { readonly from: number; readonly to: number; readonly burnt: number } {
  const of = plan.keys.length;
  const from = Math.max(0, ...opened.map(({ to }) => to));
  if (from >= of && (!plan.stamp || opened.some(({ stamp }) => stamp === true))) allOpened(of);
  if (most !== undefined && !(Number.isInteger(most) && most >= 1))
    throw new WhorlError('usage', `--keys ${most} is no count`, 'give a whole number from 1');
  if (from >= of && most !== undefined) allOpened(of);
  return { from, to: Math.min(of, from + (most ?? of)), burnt: from };
}

/** How a secret that was opened so is locked again. @throws WhorlError `usage` where that cannot be known */
export function lockAgain(unlock: Unlock | undefined): Lock | undefined {
  if (unlock === undefined) return undefined;
  if ('passphrase' in unlock) return { passphrase: unlock.passphrase };
  throw new WhorlError(
    'usage',
    'a secret that is encrypted to recipients cannot be locked again without them',
    'issue certificates from a copy that has a passphrase',
  );
}

export async function burn(
  path: string,
  contents: SecretContents,
  opened: NonNullable<SecretContents['opened']>[number],
  lock: Lock | undefined,
): Promise<void> {
  const known = contents.opened ?? [];
  await writeSecret(path, new Secret({ ...contents, opened: [...known, opened] }), lock);
}
