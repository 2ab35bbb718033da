// secret.whorl: one file, mode 0600, plain JSON or encrypted in age's format (age-encryption.org/v1), by a
// passphrase (scrypt) or to a recipient. What is read stays inside a Secret.

import { readFileSync, statSync } from 'node:fs';
import { armor, Decrypter, Encrypter } from 'age-encryption';
import { writeFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { Secret } from '../base/secret.ts';
import { sha256Hex } from '../base/sha256.ts';
import { isNotThere, systemError } from '../base/system-errors.ts';
import { canonicalJson } from './canonical.ts';
import type { Claim } from './claim.ts';
import { type SecretContents, secretSchema } from './secret-contents.ts';
import { checkShape } from './shape-error.ts';

const FORMAT = 'whorl-secret';
/** A secret has the version of its claim. */
const VERSIONS: readonly unknown[] = [1, 2];
const MAX_BYTES = 2 ** 29; // a secret of a 70 B model is some 100 MB; JavaScript's longest string is 2^29 - 24
const MAX_HEADER = 65_536;
const MAX_SCRYPT = 20; // age's own limit: 2^20 takes 1 GB of memory

/** One of the two, or neither for a plain file. */
export type Lock = { passphrase: Secret<string>; workFactor?: number } | { recipients: readonly string[] };
export type Unlock = { passphrase: Secret<string> } | { identity: Secret<string> };

/** Writes the secret atomically with mode 0600. Throws WhorlError 'usage' for a recipient that age does not know. */
export async function writeSecret(path: string, secret: Secret<SecretContents>, lock?: Lock): Promise<void> {
  const contents = secret.reveal();
  const text = JSON.stringify(
    { format: FORMAT, version: contents.claim.version, sha256: checksum(contents), contents },
    null,
    1,
  );
  await writeLocked(path, `${text}\n`, lock);
}

/** Any private text, mode 0600, under the same lock as a secret. Throws as `writeSecret`. */
export async function writeLocked(path: string, text: string, lock?: Lock): Promise<void> {
  writeFileAtomic(path, lock ? await encrypt(text, lock) : text, 0o600);
}

/** What `writeLocked` wrote. Throws as `readSecret` for what is missing, locked or damaged. */
export async function readLocked(path: string, unlock?: Unlock): Promise<Secret<string>> {
  const bytes = readBounded(path);
  const header = ageHeader(path, bytes);
  return new Secret(decodeText(path, header === undefined ? bytes : await decrypt(path, header, unlock)));
}

const checksum = (contents: SecretContents): string => sha256Hex(canonicalJson(contents));

/** @throws WhorlError `usage` for an empty passphrase, no recipient, or one that age does not know; before any work */
export function checkLock(lock: Lock | undefined): void {
  if (lock) encrypterFor(lock);
}

/** In age's format, for whoever opens the lock. Throws as `checkLock`. */
export const encryptBytes = (bytes: Uint8Array, lock: Lock): Promise<Uint8Array> =>
  encrypterFor(lock).encrypt(bytes);

const encrypt = (text: string, lock: Lock): Promise<Uint8Array> => encrypterFor(lock).encrypt(text);

function encrypterFor(lock: Lock): Encrypter {
  const encrypter = new Encrypter();
  if ('passphrase' in lock) {
    if (lock.passphrase.reveal() === '') throw new WhorlError('usage', 'the passphrase is empty');
    encrypter.setPassphrase(lock.passphrase.reveal());
    if (lock.workFactor !== undefined) encrypter.setScryptWorkFactor(lock.workFactor);
  } else {
    if (lock.recipients.length === 0) throw new WhorlError('usage', 'no recipient to encrypt to');
    for (const recipient of lock.recipients) {
      try {
        encrypter.addRecipient(recipient);
      } catch (cause) {
        throw new WhorlError('usage', `recipient ${recipient} is not an age recipient`, 'give age1…', {
          cause,
        });
      }
    }
  }
  return encrypter;
}

/**
 * Reads a secret. Throws WhorlError 'missing-file'; 'bad-secret' for another version, a missing or wrong
 * passphrase or identity, a damaged or truncated file, or a file that is no secret.
 */
export async function readSecret(path: string, unlock?: Unlock): Promise<Secret<SecretContents>> {
  return new Secret(parseContents(path, (await readLocked(path, unlock)).reveal()));
}

const bad = (path: string, what: string, fix?: string, cause?: unknown): WhorlError =>
  new WhorlError('bad-secret', `${path} ${what}`, fix, { cause });

function readBounded(path: string): Uint8Array {
  let size: number;
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw bad(path, 'is not a file', 'give the path of secret.whorl');
    size = stat.size;
  } catch (cause) {
    if (cause instanceof WhorlError) throw cause;
    if (!isNotThere(cause)) throw systemError(cause, path, 'reading') ?? cause;
    throw new WhorlError('missing-file', `${path} cannot be read`, 'give the path of secret.whorl', {
      cause,
    });
  }
  if (size > MAX_BYTES) throw bad(path, `is too large for a secret (${size} bytes)`);
  try {
    return readFileSync(path);
  } catch (cause) {
    throw systemError(cause, path, 'reading') ?? cause;
  }
}

function decodeText(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw bad(path, 'is not a Whorl secret', 'give the secret.whorl of a run', cause);
  }
}

interface AgeHeader {
  /** The binary file, armour taken off. */
  readonly bytes: Uint8Array;
  /** Type and arguments of each stanza. */
  readonly stanzas: readonly (readonly string[])[];
}

// The lines of age's header up to its MAC; undefined where the file is not age's.
function ageHeader(path: string, file: Uint8Array): AgeHeader | undefined {
  let bytes = file;
  const start = Buffer.from(file.subarray(0, 64)).toString('latin1');
  if (start.startsWith('-----BEGIN AGE')) {
    try {
      bytes = armor.decode(decodeText(path, file));
    } catch (cause) {
      throw bad(path, 'is a damaged age file', 'take the copy that was written', cause);
    }
  } else if (!start.startsWith('age-encryption.org/')) return undefined;
  const lines = Buffer.from(bytes.subarray(0, MAX_HEADER)).toString('latin1').split('\n');
  const end = lines.findIndex((line) => line.startsWith('---'));
  if (end < 0) throw bad(path, 'is truncated or damaged', 'take the copy that was written');
  const stanzas = lines.slice(0, end).filter((line) => line.startsWith('-> '));
  return { bytes, stanzas: stanzas.map((line) => line.slice(3).split(' ')) };
}

const lockOf = (header: AgeHeader): 'passphrase' | 'recipient' =>
  header.stanzas.some(([type]) => type === 'scrypt') ? 'passphrase' : 'recipient';

async function decrypt(path: string, header: AgeHeader, unlock: Unlock | undefined): Promise<Uint8Array> {
  const needed = lockOf(header) === 'passphrase' ? 'passphrase' : 'identity';
  if (!unlock || !(needed in unlock))
    throw bad(path, `is encrypted with a ${lockOf(header)}`, `give its ${needed}`);
  const work = header.stanzas.find(([type]) => type === 'scrypt')?.[2];
  if (work !== undefined && !(Number(work) <= MAX_SCRYPT))
    throw bad(
      path,
      `asks for scrypt work 2^${work.slice(0, 20)}, more than 2^${MAX_SCRYPT}`,
      'do not trust this file',
    );
  const decrypter = new Decrypter();
  try {
    if ('passphrase' in unlock) decrypter.addPassphrase(unlock.passphrase.reveal());
    else decrypter.addIdentity(unlock.identity.reveal().trim());
  } catch (cause) {
    throw new WhorlError('usage', 'the identity is not one of age', 'give AGE-SECRET-KEY-1…', { cause });
  }
  try {
    return await decrypter.decrypt(header.bytes);
  } catch (cause) {
    const wrong = cause instanceof Error && cause.message.startsWith('no identity matched');
    throw wrong
      ? bad(path, `does not open with this ${needed}`, `check the ${needed}`, cause)
      : bad(path, 'is truncated or damaged', 'take the copy that was written', cause);
  }
}

function parseContents(path: string, text: string): SecretContents {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const ours = /^\s*\{\s*"format"\s*:\s*"whorl-secret"/.test(text);
    throw ours
      ? bad(path, 'is truncated or damaged', 'take the copy that was written', cause)
      : bad(path, 'is not a Whorl secret', 'give the secret.whorl of a run', cause);
  }
  const outer = value as { format?: unknown; version?: unknown; sha256?: unknown; contents?: unknown } | null;
  if (typeof outer !== 'object' || outer?.format !== FORMAT)
    throw bad(path, 'is not a Whorl secret', 'give the secret.whorl of a run');
  if (!VERSIONS.includes(outer.version))
    throw bad(
      path,
      `is a secret of version ${JSON.stringify(outer.version) ?? 'none'}`,
      'this Whorl reads 1 and 2: update it',
    );
  const extra = Object.keys(outer).find((key) => !['format', 'version', 'sha256', 'contents'].includes(key));
  if (extra !== undefined) throw bad(path, `has an unknown field ${extra.slice(0, 40)}`);
  if (typeof outer.contents !== 'object' || outer.contents === null) throw bad(path, 'has no field contents');
  const contents = checkShape(secretSchema, outer.contents, path, 'bad-secret');
  if (contents.claim.version !== outer.version)
    throw bad(path, 'is of another version than its claim', 'take the copy that was written');
  if (checksum(contents) !== outer.sha256)
    throw bad(path, 'was changed after it was written (checksum)', 'take the copy that was written');
  return contents;
}

/** What may be shown of a secret file. `inside` is null where it is encrypted and no key was given. */
export interface SecretInfo {
  format: typeof FORMAT;
  bytes: number;
  mode: string;
  encrypted: 'no' | 'passphrase' | 'recipient';
  inside: null | {
    version: number;
    method: string;
    created: string;
    claim: Claim;
    trainable_rows: number;
    trained_rows: number | null;
    adapter: Record<string, number[]> | null;
    published: SecretContents['published'];
  };
}

/** Describes a secret without its secrets. Throws as `readSecret` does where a key is given or none is needed. */
export async function inspectSecret(path: string, unlock?: Unlock): Promise<SecretInfo> {
  const bytes = readBounded(path);
  const header = ageHeader(path, bytes);
  const outside = {
    format: FORMAT,
    bytes: bytes.length,
    mode: (statSync(path).mode & 0o777).toString(8).padStart(4, '0'),
    encrypted: header ? lockOf(header) : 'no',
  } as const;
  if (header && !unlock) return { ...outside, inside: null };
  const s = (await readSecret(path, unlock)).reveal();
  const adapter = s.adapter && Object.fromEntries(s.adapter.tensors.map(({ name, shape }) => [name, shape]));
  return {
    ...outside,
    inside: {
      version: s.claim.version,
      method: s.method,
      created: s.created,
      claim: s.claim as Claim,
      trainable_rows: s.bindings.trainable_rows.length,
      trained_rows: s.rows?.ids.length ?? null,
      adapter,
      published: s.published,
    },
  };
}
