// `whorl verify --certificate FILE`: what can be refused is refused before anything is asked; then the answers, the secret that
// remembers the opened keys, and the certificate, in this order.

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { checkNew, checkWritable, writeFileAtomic } from '../base/atomic.ts';
import type { PlannedFile } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../base/sha256.ts';
import { SOFTWARE } from '../base/software.ts';
import { canonicalJson, type Json } from '../claim/canonical.ts';
import type { Lock, Unlock } from '../claim/secret-file.ts';
import { burn, lockAgain } from './certificate/burn.ts';
import { checkCertificate } from './certificate/check.ts';
import { publicKeyOf, seal, signingKey } from './certificate/dsse.ts';
import { type Issued, statementOf } from './certificate/issue.ts';
import { softwareDigest } from './certificate/software-digest.ts';
import { MOST_DIGITS } from './exact/ratio.ts';
import type { OpenedClaim } from './opened-claim.ts';
import type { SequentialOptions } from './sequential/stopped.ts';
import { keysCountForNothing } from './verdict.ts';

export interface CertificateOptions {
  /** Where the certificate is written. */
  readonly file: string;
  /** PEM of the owner's key; where no file is, an Ed25519 key is made. */
  readonly key: string;
}

export interface Certifier {
  readonly file: string;
  /** Made where there is none: only once the suspect has been asked. */
  readonly key: () => KeyObject;
  readonly lock: Lock | undefined;
}

/** @throws WhorlError for all that would be in the way after the suspect was asked */
export function certifier(
  { file, key }: CertificateOptions,
  { opened, range }: OpenedClaim,
  { unlock, sequential }: { readonly unlock?: Unlock; readonly sequential?: SequentialOptions },
): Certifier {
  if (opened.claim.version === 1)
    throw new WhorlError(
      'usage',
      'a claim of format 1 cannot be opened key by key',
      'verify without --certificate, or make a claim with this version',
    );
  if (opened.claim.draw.source === 'hand-picked')
    throw new WhorlError('usage', 'keys that were picked prove nothing', 'verify without --certificate');
  if (range.from === range.to && opened.plan.keys.length > 0)
    throw new WhorlError(
      'usage',
      'a certificate opens keys, and all of this claim were opened by others',
      'verify without --certificate: the stamp alone decides, and stays closed',
    );
  // Strangers see that the committed rows tell nothing of the draw by the tokens of all keys.
  if (opened.claim.private_part !== 'none' && (sequential || range.to - range.from < opened.plan.keys.length))
    throw new WhorlError(
      'usage',
      'a certificate of a claim with a private part opens its whole pool, and so asks all of it',
      'leave out --sequential and --keys',
    );
  const lock = lockAgain(unlock);
  checkNew(file);
  const known = knownKey(key);
  if (known === undefined) checkWritable(key);
  return { file, key: () => known ?? knownKey(key) ?? newKey(key), lock };
}

const knownKey = (path: string): KeyObject | undefined =>
  existsSync(path) ? signingKey(readFileSync(path, 'utf8'), path) : undefined;

function newKey(path: string): KeyObject {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileAtomic(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600);
  return privateKey;
}

/** @throws WhorlError `usage` where no p-value may be given: then nothing is opened, and no key is lost */
export async function certify(
  { file, key: keyOf, lock }: Certifier,
  secretPath: string,
  { contents, opened, look, proved }: OpenedClaim,
  issued: Omit<Issued, 'look' | 'beacon' | 'proofs' | 'signer' | 'created' | 'software'>,
): Promise<void> {
  const { verdict } = issued;
  if (!verdict.exact || keysCountForNothing(verdict))
    throw new WhorlError(
      'usage',
      `no certificate: ${verdict.exact ? verdict.assumptions.at(-1) : verdict.reason}`,
      'ask as the claim permits',
    );
  if (verdict.p_exact === null || verdict.p_exact.denominator.length > MOST_DIGITS)
    throw new WhorlError(
      'unsupported',
      `no certificate: the p-value after ${verdict.keys.to - verdict.keys.from} keys has too many digits for one`,
      'verify without --sequential',
    );
  if (verdict.keys.of > 0 && verdict.keys.to === verdict.keys.from)
    throw new WhorlError(
      'usage',
      `no certificate: no key was asked. ${verdict.reason}`,
      'verify without --certificate',
    );
  const key = keyOf();
  const created = new Date().toISOString();
  const statement = statementOf(opened, contents, {
    ...issued,
    look,
    beacon: proved.beacon,
    proofs: proved.proofs.map((response) => Buffer.from(response).toString('base64')),
    signer: publicKeyOf(key),
    created,
    software: { ...SOFTWARE, digest: softwareDigest() },
  }) as unknown as Json;
  const { from, to } = verdict.keys;
  const record = {
    from,
    to,
    ...(issued.stamp && { stamp: true as const }),
    statement: sha256Hex(canonicalJson(statement)),
    created,
  };
  const text = seal(statement, key);
  checkItself(text);
  await burn(secretPath, contents, record, lock);
  writeFileAtomic(file, text);
}

/** What the suspect answers, or has for weights, may be more than a certificate can hold: then no key is burnt for it. */
function checkItself(text: string): void {
  try {
    checkCertificate(text);
  } catch (cause) {
    if (!(cause instanceof WhorlError)) throw cause;
    throw new WhorlError(
      'unsupported',
      `no certificate: it would not hold (${cause.message})`,
      'nothing was opened; verify without --certificate',
      { cause },
    );
  }
}

/** What a plan says that would be written. */
export const plannedCertificate = ({
  certificate,
  secret,
}: {
  readonly certificate?: CertificateOptions;
  readonly secret: string;
}): PlannedFile[] =>
  certificate === undefined
    ? []
    : [
        { path: certificate.file, what: 'the certificate' },
        { path: secret, what: 'the secret, which notes what was opened' },
        ...(existsSync(certificate.key) ? [] : [{ path: certificate.key, what: 'a new key that signs' }]),
      ];
