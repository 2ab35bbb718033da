// The public files that lie beside a claim.json: beacon.json and proofs/*.tsr. Strangers' files: bounded before they are read.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { isNotThere, systemError } from '../base/system-errors.ts';
import { readCertificates, type TsaCertificate } from './certificates.ts';
import { type Round, roundNumber, roundSchema } from './drand.ts';
import { MAX_RESPONSE } from './time-stamp.ts';

const MAX_FILE = 2 ** 20;
export const MOST_PROOFS = 16;

export interface Beside {
  readonly beacon: Round | null;
  readonly proofs: readonly Uint8Array[];
}
export const NOTHING_BESIDE: Beside = { beacon: null, proofs: [] };

/** @throws WhorlError `bad-file` naming the file that is none */
export function readBeside(claimFile: string): Beside {
  const folder = dirname(claimFile);
  const beacon = join(folder, 'beacon.json');
  const bytes = readIfThere(beacon, MAX_RESPONSE);
  return {
    beacon: bytes === undefined ? null : parseRound(bytes, beacon),
    proofs: proofFiles(join(folder, 'proofs')).map((path) => readSmall(path, MAX_RESPONSE)),
  };
}

/** Paths of time stamps, in the order of their names; none where the folder is not there. */
export function proofFiles(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.tsr'));
  } catch (cause) {
    if (isNotThere(cause)) return [];
    throw systemError(cause, folder, 'reading') ?? cause;
  }
  if (names.length > MOST_PROOFS)
    throw new WhorlError('bad-file', `${folder} holds more than ${MOST_PROOFS} time stamps`, 'keep the best');
  return names.sort().map((name) => join(folder, name));
}

/** A round as beacon.json has it. @throws WhorlError `bad-file` */
function parseRound(bytes: Uint8Array, path: string): Round {
  const result = roundSchema.safeParse(jsonOf(bytes, path));
  if (result.success) return result.data;
  const field = result.error.issues[0]!.path.join('.') || '(whole)';
  throw new WhorlError('bad-file', `${path}: field ${field} is wrong`, 'take the file that whorl draw wrote');
}

/** A round as drand's servers answer (both versions of their API), and the value that they give with it. */
export function parseAnswer(
  bytes: Uint8Array,
  from: string,
): { readonly round: number; readonly signature: string; readonly randomness?: string } {
  const value = jsonOf(bytes, from) as Record<string, unknown> | null;
  const { round, signature, randomness } = value ?? {};
  const shape = roundSchema.shape.signature.safeParse(signature);
  if (!roundNumber.safeParse(round).success || !shape.success)
    throw new WhorlError(
      'bad-file',
      `${from} is no round of drand's quicknet`,
      'give {"round": …, "signature": …} as drand publishes it',
    );
  return {
    round: round as number,
    signature: shape.data,
    ...(typeof randomness === 'string' && { randomness }),
  };
}

function jsonOf(bytes: Uint8Array, from: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new WhorlError('bad-file', `${from} is not JSON`, 'give it as drand publishes it', { cause });
  }
}

/** Certificates of authorities that a person trusts. @throws WhorlError `missing-file`, `bad-file` */
export function readTrusted(path: string | undefined): TsaCertificate[] {
  if (path === undefined) return [];
  const bytes = readSmall(path, MAX_FILE);
  try {
    return readCertificates(bytes);
  } catch (cause) {
    throw new WhorlError('bad-file', `${path} holds no certificates`, 'give PEM, or one in DER', { cause });
  }
}

/** @throws WhorlError `missing-file`, `bad-file` for what is too large or no file */
export function readSmall(path: string, most: number): Uint8Array {
  const bytes = readIfThere(path, most);
  if (bytes === undefined) throw new WhorlError('missing-file', `${path} does not exist`, 'give its path');
  return bytes;
}

function readIfThere(path: string, most: number): Uint8Array | undefined {
  try {
    const stat = statSync(path);
    if (!stat.isFile() || stat.size > most)
      throw new WhorlError(
        'bad-file',
        `${basename(path)} is no file of at most ${most} bytes`,
        `give another ${path}`,
      );
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof WhorlError) throw cause;
    if (isNotThere(cause)) return undefined;
    throw systemError(cause, path, 'reading') ?? cause;
  }
}
