// Whether a finished run is the one that a command asks for: everything the run was made from is compared, and what
// differs is said. A run is never kept in silence because its folder has the right name.

import { readFileSync } from 'node:fs';
import { WhorlError } from '../base/error.ts';
import type { Claim } from '../claim/claim.ts';
import { claimOf, keyRoles, openClaim } from '../claim/open.ts';
import { inspectSecret, type Lock, readSecret, type Unlock } from '../claim/secret-file.ts';
import { stretchSeed } from '../claim/seed-kdf.ts';
import { PAPER } from '../datasets/paper.ts';
import { ownerSeedOf } from '../fingerprint/commit.ts';
import type { RunFolder } from '../runs/run-folder.ts';
import type { VanillaDigests } from '../verify/exactness.ts';
import type { FlavourSettings } from './flavour.ts';
import { otherParts } from './place.ts';

export interface AskedFor {
  /** The mode `fingerprint` is asked for: what is not said then means its default. Else only what is said is compared. */
  readonly isWhole: boolean;
  readonly settings: FlavourSettings;
  readonly vanilla: VanillaDigests;
  readonly seed?: string | undefined;
  readonly keys?: string | undefined;
  readonly decryption?: string | undefined;
  /** Digest of the ordinary conversations or the set that is trained; null where there are none. */
  readonly source?: string | null | undefined;
  readonly lock?: Lock | undefined;
  readonly unlock?: Unlock | undefined;
}

interface RunRecord {
  readonly method?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly keys?: string;
  readonly seeded?: boolean;
  /** Absent in runs of before a decryption was ever drawn: without one given it was the paper's. */
  readonly decryption_given?: boolean;
  readonly source_sha256?: string | null;
  readonly model?: { readonly vanilla?: Partial<VanillaDigests> };
}

/** @throws WhorlError `mismatch`, saying what differs; `bad-secret` where the secret is locked and must be looked into */
export async function checkDone(run: RunFolder, asked: AskedFor): Promise<void> {
  const done = JSON.parse(readFileSync(run.run, 'utf8')) as RunRecord;
  const differ = [...ofRecord(done, asked), ...(await ofSecret(run, done, asked))];
  if (differ.length === 0) return;
  throw new WhorlError(
    'mismatch',
    `${run.path} holds a run of other settings or another model (${differ.join('; ')})`,
    'repeat what it was made with, start anew with --overwrite, name other settings in the folder (data_name=…), or choose another --root',
  );
}

const said = (value: unknown): string =>
  value === undefined || value === null ? 'not given' : String(value);

function ofRecord(done: RunRecord, { isWhole, settings, vanilla, keys, source }: AskedFor): string[] {
  const { asked, full, method } = settings;
  const names = isWhole
    ? new Set([...Object.keys(full), ...Object.keys(done.settings ?? {})])
    : new Set(Object.keys(asked));
  // Of before there were stamps beside keys: such runs have none.
  const was: RunRecord['settings'] = { stamp: 'off', epsilon: full.epsilon, ...done.settings };
  const values: [string, unknown, unknown][] = [
    ['method', done.method, method.name],
    ...[...names].map((name): [string, unknown, unknown] => [name, was[name], full[name]]),
    ...(isWhole || keys !== undefined
      ? [['--keys', done.keys, keys ?? 'rare'] as [string, unknown, unknown]]
      : []),
  ];
  const model = otherParts(vanilla, done.model?.vanilla ?? {});
  const isOther = source !== undefined && (done.source_sha256 ?? null) !== source;
  return [
    ...values
      .filter(([, was, now]) => JSON.stringify(was) !== JSON.stringify(now))
      .map(([name, was, now]) => `${name}: ${said(was)}, now ${said(now)}`),
    ...(model.length > 0 ? [`--base_model: other ${model.join(', ')}`] : []),
    ...(isOther
      ? ['the rows that were trained: --source, --data or the text of the template is another one']
      : []),
  ];
}

/** What only the secret knows; the seed makes the keys, so it is compared and never shown. */
async function ofSecret(
  run: RunFolder,
  { decryption_given }: RunRecord,
  { isWhole, seed, decryption, lock, unlock }: AskedFor,
): Promise<string[]> {
  if (!isWhole && seed === undefined && decryption === undefined) return [];
  const { encrypted } = await inspectSecret(run.secret);
  const contents = (await readSecret(run.secret, unlock)).reveal();
  const { draw } = contents.claim as Claim;
  const from_text = draw.source === 'owner-seed' ? draw.from_text : undefined;
  const target = keyRoles(openClaim(claimOf(contents), contents))[0]!.target;
  // Not given: the paper's, or one that the run drew by its own dice.
  const isNamed = (decryption_given ?? true) && target !== PAPER.decryption;
  const differ: string[] = [];
  if (decryption === undefined ? isWhole && isNamed : target !== decryption)
    differ.push('--decryption is another one');
  if (seed === undefined) {
    if (from_text && isWhole) differ.push('--seed: given, now not given');
  } else if (!from_text) differ.push('--seed: not given, now given');
  else if (ownerSeedOf(await stretchSeed(seed, from_text)) !== contents.opening.owner_seed)
    differ.push('--seed is another one');
  if (isWhole && lock && encrypted === 'no')
    differ.push('the secret lies there unencrypted, now a passphrase is given');
  return differ;
}
