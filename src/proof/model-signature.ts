// A model folder signed as OpenSSF's model-signing 1.0 does (github.com/sigstore/model-transparency): a Sigstore bundle v0.3
// around a DSSE envelope, an in-toto statement with the SHA-256 of every file, by an EC key of the owner's.

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { type Abortable, abortable } from '../base/abort.ts';
import { checkWritable, writeFileAtomic } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable, planOf } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { jsonOrNothing } from '../base/json.ts';
import { sha256Hex } from '../base/sha256.ts';
import { readSmall } from './beside.ts';
import { digestFolder, inOrder, signedFiles } from './folder-digests.ts';
import { PAYLOAD_TYPE, signedBytes } from './pae.ts';

const MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
const PREDICATE_TYPE = 'https://model_signing/signature/v1.0';
const SIGNATURE = 'model.sig';
/** Of a working copy of a hub's repository, which is not what is published. */
const NOT_SIGNED = ['.git', '.gitattributes', '.github', '.gitignore'];
const MAX_BUNDLE = 2 ** 26;
/** By the curve, as Sigstore's bundles have it. */
const HASHES: Readonly<Record<string, string>> = {
  prime256v1: 'sha256',
  secp384r1: 'sha384',
  secp521r1: 'sha512',
};

export interface SignModelOptions extends Abortable {
  /** The folder that is published. */
  readonly model: string;
  /** PEM of an EC key (P-256, P-384, P-521); to sign, a P-256 key is made where no file is. To check, the public key will do. */
  readonly key: string;
  /** Default: `model.sig` in the folder. */
  readonly signature?: string;
  readonly onEvent?: OnEvent;
}

type Called = SignModelOptions & { readonly onEvent: OnEvent };

export interface ModelSignature {
  readonly model: string;
  readonly signature: string;
  /** Of the public key in PEM, as the signature names it. */
  readonly key_sha256: string;
  /** SHA-256 of all files' digests, in order of their names. */
  readonly digest: string;
  readonly files: readonly string[];
}

const hex256 = z.string().regex(/^[0-9a-f]{64}$/);
const bundleSchema = z.object({
  mediaType: z.string().startsWith('application/vnd.dev.sigstore.bundle'),
  verificationMaterial: z.object({ publicKey: z.object({ hint: z.string().nullish() }) }),
  dsseEnvelope: z.object({
    payload: z.base64(),
    payloadType: z.literal(PAYLOAD_TYPE),
    signatures: z.tuple([z.object({ sig: z.base64() })]),
  }),
});
const statementSchema = z.object({
  _type: z.literal(STATEMENT_TYPE),
  predicateType: z.literal(PREDICATE_TYPE),
  subject: z.tuple([z.object({ name: z.string(), digest: z.object({ sha256: hex256 }) })]),
  predicate: z.object({
    serialization: z.object({
      method: z.literal('files'),
      hash_type: z.literal('sha256'),
      allow_symlinks: z.literal(false),
      ignore_paths: z.array(z.string()).optional(),
    }),
    resources: z.array(z.object({ name: z.string(), algorithm: z.literal('sha256'), digest: hex256 })),
  }),
});

/** @throws WhorlError `missing-file`, `unsupported` for a folder with links or a key of another kind */
export const signModel: Plannable<SignModelOptions, ModelSignature> = plannable(planSign, runSign);

/** All that is refused before anything is read through or written. */
function readyToSign({ model, key: keyFile, signature = join(model, SIGNATURE) }: SignModelOptions) {
  checkWritable(signature);
  const known = existsSync(keyFile) ? privateKey(keyFile) : undefined;
  if (known === undefined) checkWritable(keyFile);
  const ignored = ignoredIn(model, signature);
  return { signature, known, ignored };
}

async function planSign(options: SignModelOptions): Promise<DryRun> {
  const { signature, known, ignored } = readyToSign(options);
  const { model, key } = options;
  const { names, bytes } = signedFiles(model, ignored);
  const made = [
    { path: key, what: 'a new key, on P-256' },
    { path: `${key}.pub`, what: 'its public half' },
  ];
  return planOf('sign', {
    writes: [
      { path: signature, what: `the signature of ${names.length} files, ${bytes} bytes` },
      ...(known === undefined ? made : []),
    ],
  });
}

async function runSign(options: SignModelOptions): Promise<ModelSignature> {
  const { model, key: keyFile, onEvent = silent } = options;
  const { signature, known, ignored } = readyToSign(options);
  const files = await digestFolder(model, ignored, onEvent);
  const key = known ?? newKey(keyFile);
  const statement = {
    _type: STATEMENT_TYPE,
    subject: [{ name: basename(resolve(model)), digest: { sha256: rootOf(files.values()) } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false, ignore_paths: ignored },
      resources: [...files].map(([name, digest]) => ({ name, algorithm: 'sha256', digest })),
    },
  };
  const payload = Buffer.from(JSON.stringify(statement));
  const { hash, hint } = described(createPublicKey(key), keyFile);
  const sig = sign(hash, signedBytes(payload), key).toString('base64');
  const bundle = {
    mediaType: MEDIA_TYPE,
    verificationMaterial: { publicKey: { hint }, tlogEntries: [] },
    dsseEnvelope: {
      payload: payload.toString('base64'),
      payloadType: PAYLOAD_TYPE,
      signatures: [{ sig, keyid: '' }],
    },
  };
  writeFileAtomic(signature, `${JSON.stringify(bundle)}\n`);
  return reportOf(model, signature, hint, statement.subject[0]!.digest.sha256, files);
}

/** @throws WhorlError `mismatch` naming the first file that is not as signed, or another key; `bad-file` for what is no such signature */
export function checkModelSignature(options: SignModelOptions): Promise<ModelSignature> {
  return abortable(options, runCheck);
}

async function runCheck({
  model,
  key: keyFile,
  signature = join(model, SIGNATURE),
  onEvent,
}: Called): Promise<ModelSignature> {
  const key = readKey(keyFile, createPublicKey);
  const { hash, hint } = described(key, keyFile);
  const bundle = shaped(bundleSchema, readText(signature), signature);
  const { payload, signatures } = bundle.dsseEnvelope;
  const bytes = Buffer.from(payload, 'base64');
  const named = bundle.verificationMaterial.publicKey.hint;
  if (
    (named && named !== hint) ||
    !verify(hash, signedBytes(bytes), key, Buffer.from(signatures[0].sig, 'base64'))
  )
    throw differs(signature, 'was not signed by this key');
  const { predicate, subject } = shaped(statementSchema, bytes.toString('utf8'), signature);
  const wanted = new Map(predicate.resources.map(({ name, digest }) => [name, digest]));
  if (wanted.size !== predicate.resources.length) throw differs(signature, 'names a file twice');
  if (rootOf(predicate.resources.map(({ digest }) => digest)) !== subject[0].digest.sha256)
    throw differs(signature, 'has another digest of all files than of each');
  const ignored = [
    ...new Set([...(predicate.serialization.ignore_paths ?? []), ...ignoredIn(model, signature)]),
  ];
  const found = await digestFolder(model, ignored, onEvent);
  for (const [name, digest] of wanted) {
    if (!found.has(name)) throw differs(model, `has no ${name}, which was signed`);
    if (found.get(name) !== digest) throw differs(model, `has another ${name} than was signed`);
  }
  for (const name of found.keys())
    if (!wanted.has(name)) throw differs(model, `has ${name}, which was not signed`);
  return reportOf(model, signature, hint, subject[0].digest.sha256, found);
}

const differs = (where: string, what: string): WhorlError =>
  new WhorlError('mismatch', `${where} ${what}`, 'do not rely on it, or have it signed anew');

/** Paths within the folder, as the signature names them. */
function ignoredIn(model: string, signature: string): string[] {
  const own = relative(resolve(model), resolve(signature)).replaceAll('\\', '/');
  return [...NOT_SIGNED, ...(own === '' || own === '..' || own.startsWith('../') ? [] : [own])].sort(inOrder);
}

const rootOf = (digests: Iterable<string>): string =>
  sha256Hex(Buffer.concat([...digests].map((digest) => Buffer.from(digest, 'hex'))));

function described(key: KeyObject, path: string): { hash: string; hint: string } {
  const hash = HASHES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (key.asymmetricKeyType !== 'ec' || hash === undefined)
    throw new WhorlError(
      'unsupported',
      `${path} is no EC key on P-256, P-384 or P-521, which model signatures are made by`,
      'give another, or a new path: then a P-256 key is made there',
    );
  return { hash, hint: sha256Hex(key.export({ type: 'spki', format: 'pem' })) };
}

const privateKey = (path: string): KeyObject => {
  const key = readKey(path, createPrivateKey);
  described(createPublicKey(key), path);
  return key;
};

function readKey(path: string, read: (pem: string) => KeyObject): KeyObject {
  const pem = readText(path);
  try {
    return read(pem);
  } catch (cause) {
    throw new WhorlError('bad-file', `${path} holds no such key`, 'give a PEM file without a passphrase', {
      cause,
    });
  }
}

/** With its public half beside it, which others check by. */
function newKey(path: string): KeyObject {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writeFileAtomic(path, key.export({ type: 'pkcs8', format: 'pem' }), 0o600);
  writeFileAtomic(`${path}.pub`, publicKey.export({ type: 'spki', format: 'pem' }));
  return key;
}

const readText = (path: string): string => Buffer.from(readSmall(path, MAX_BUNDLE)).toString('utf8');

function shaped<T extends z.ZodType>(schema: T, text: string, path: string): z.output<T> {
  const read = schema.safeParse(jsonOrNothing(text));
  if (read.success) return read.data;
  const where = read.error.issues[0]!.path.map(String).join('.');
  throw new WhorlError(
    'bad-file',
    `${path} is no model signature of version 1.0 by a key (${where || 'not JSON'})`,
    'give a Sigstore bundle as model-signing writes it: files by SHA-256, no links',
  );
}

const reportOf = (
  model: string,
  signature: string,
  key_sha256: string,
  digest: string,
  files: ReadonlyMap<string, string>,
): ModelSignature => ({ model, signature, key_sha256, digest, files: [...files.keys()] });
