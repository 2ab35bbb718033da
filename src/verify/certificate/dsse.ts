// DSSE envelopes (secure-systems-lab/dsse, version 1) with one signature by an owner's key: Ed25519, or ECDSA on P-256 over
// SHA-256 (DER, the lower S). One byte string for one envelope: RFC 8785 and a line feed, so that no other text passes for it.

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import { z } from 'zod';
import { WhorlError } from '../../base/error.ts';
import { isDeeper } from '../../base/json.ts';
import { sha256Hex } from '../../base/sha256.ts';
import { canonicalJson, type Json } from '../../claim/canonical.ts';
import { hex256 } from '../../claim/plan.ts';
import { checkShape } from '../../claim/shape-error.ts';
import { PAYLOAD_TYPE, signedBytes } from '../../proof/pae.ts';

const envelopeSchema = z.strictObject({
  payloadType: z.literal(PAYLOAD_TYPE),
  payload: z.string(),
  signatures: z.tuple([z.strictObject({ keyid: hex256, sig: z.string() })]),
});

/** SubjectPublicKeyInfo, base64. */
export const publicKeyOf = (key: KeyObject): string =>
  (key.type === 'private' ? createPublicKey(key) : key)
    .export({ type: 'spki', format: 'der' })
    .toString('base64');

/** @throws WhorlError `bad-file` for what is no private key of the two kinds */
export function signingKey(pem: string, path: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    hashFor(key);
    return key;
  } catch (cause) {
    throw new WhorlError(
      'bad-file',
      `${path} holds no Ed25519 or P-256 private key`,
      'give a PEM file without a passphrase, or a new path: then a key is made there',
      { cause },
    );
  }
}

function hashFor(key: KeyObject): 'sha256' | null {
  if (key.asymmetricKeyType === 'ed25519') return null;
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1')
    return 'sha256';
  throw new WhorlError('unsupported', 'a certificate is signed by Ed25519 or P-256');
}

/** Of n and -n as S one and the same is signed: whoever has the file could make the other one. */
const { ORDER } = p256.Point.Fn;

function lowerS(der: Uint8Array): Buffer {
  const { r, s } = p256.Signature.fromBytes(der, 'der');
  return Buffer.from(new p256.Signature(r, s > ORDER / 2n ? ORDER - s : s).toBytes('der'));
}

/**
 * Whether there is one key and one signature for what is signed. A point of small order verifies signatures that nobody made, under
 * any text; a coordinate of the field's size or more is another spelling of a smaller one.
 */
const MEANS_ONE: { readonly [Kind in 'ed25519' | 'ec']: (spki: Buffer, sig: Buffer) => boolean } = {
  ed25519: (spki) => !ed25519.Point.fromBytes(spki.subarray(-32), false).isSmallOrder(),
  ec: (_, sig) => !p256.Signature.fromBytes(sig, 'der').hasHighS(),
};

const keyIdOf = (publicKey: string): string => sha256Hex(Buffer.from(publicKey, 'base64'));

/** The text of an envelope around a statement. */
export function seal(statement: Json, key: KeyObject): string {
  const payload = Buffer.from(canonicalJson(statement));
  const signed = sign(hashFor(key), signedBytes(payload), key);
  const sig = (key.asymmetricKeyType === 'ec' ? lowerS(signed) : signed).toString('base64');
  const envelope = {
    payloadType: PAYLOAD_TYPE,
    payload: payload.toString('base64'),
    signatures: [{ keyid: keyIdOf(publicKeyOf(key)), sig }],
  };
  return `${canonicalJson(envelope)}\n`;
}

const refuse = (what: string, cause?: unknown): never => {
  throw new WhorlError('bad-file', `the certificate ${what}`, 'take the file as it was issued', { cause });
};

/** Nesting of a statement: those that are issued have 8. */
const MAX_DEPTH = 64;

/** JSON that is its own canonical text. */
function parseCanonical(text: string, what: string): Json {
  if (isDeeper(Buffer.from(text), MAX_DEPTH)) refuse(`${what} is nested without end`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return refuse(`${what} is not JSON`, cause);
  }
  if (canonicalJson(value as Json) !== text) refuse(`${what} is not in canonical form (RFC 8785)`);
  return value as Json;
}

function bytesOf(base64: string, what: string): Buffer {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) refuse(`has a ${what} that is not base64`);
  return bytes;
}

/**
 * The statement of an envelope whose signature is that of `keyIn(statement)`, an SPKI in base64.
 * @throws WhorlError `bad-file`
 */
export function unseal(text: string, keyIn: (statement: Json) => string): Json {
  if (!text.startsWith('{'))
    throw new WhorlError(
      'bad-file',
      'the file is no certificate',
      'give what whorl verify --certificate wrote',
    );
  if (!text.endsWith('\n')) refuse('is cut off');
  const outer = parseCanonical(text.slice(0, -1), 'envelope');
  const envelope = checkShape(envelopeSchema, outer, 'the certificate', 'bad-file');
  const payload = bytesOf(envelope.payload, 'payload');
  const statement = parseCanonical(utf8(payload), 'statement');
  const publicKey = keyIn(statement);
  const [{ keyid, sig }] = envelope.signatures;
  if (keyIdOf(publicKey) !== keyid) refuse('was signed by another key than its own');
  const der = bytesOf(publicKey, 'key');
  let ok = false;
  try {
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    if (publicKeyOf(key) !== publicKey) refuse('has a key in another form than SPKI');
    const signature = bytesOf(sig, 'signature');
    ok =
      verify(hashFor(key), signedBytes(payload), key, signature) &&
      MEANS_ONE[key.asymmetricKeyType as keyof typeof MEANS_ONE](der, signature);
  } catch (cause) {
    refuse('has a key or a signature that cannot be read', cause);
  }
  if (!ok) refuse('is not what was signed');
  return statement;
}

function utf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    return refuse('is not UTF-8', cause);
  }
}
