// A time stamp (RFC 3161): that somebody else saw a digest at a time. Checked offline from the response's bytes, which come
// from strangers: bounded, and whatever is wrong with them is one line.

import { createHash, verify } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { PKIStatus, TimeStampResp, TSTInfo } from '@peculiar/asn1-tsp';
import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../base/sha256.ts';
import { writtenOut } from '../base/unseen.ts';
import { anchorOf, iso, readCertificate, type TsaCertificate, whyNoSigner } from './certificates.ts';
import {
  Malformed,
  octetsOf,
  oidOf,
  partsOf,
  readNode,
  readSignedData,
  type SignedData,
  serialText,
} from './cms.ts';

export const MAX_RESPONSE = 65_536;
const MAX_CERTIFICATES = 16;

const SIGNED_DATA = '1.2.840.113549.1.7.2';
const TST_INFO = '1.2.840.113549.1.9.16.1.4';
const CONTENT_TYPE = '1.2.840.113549.1.9.3';
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const SIGNING_CERTIFICATE = '1.2.840.113549.1.9.16.2.12';
const SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47';
const RSA = '1.2.840.113549.1.1.1';

export const SHA256 = '2.16.840.1.101.3.4.2.1';
const DIGESTS: Readonly<Record<string, string>> = {
  [SHA256]: 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
/** Node's name of the digest that is signed; `null`: the algorithm has its own. */
const SIGNATURES: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': null,
};

export interface TimeStamp {
  /** Milliseconds since 1970: the time stamped, and the latest that its accuracy allows. */
  readonly time: number;
  readonly latest: number;
  /** Subject of the certificate that signed, on one line. */
  readonly authority: string;
  /** SHA-256 of the trusted certificate that it leads to; null where it leads to none: then anybody may have made it. */
  readonly anchor: string | null;
  /** Hex without leading zeros, where the response has one. */
  readonly nonce: string | null;
}

const wrong: (what: string) => never = (what) => {
  throw new WhorlError('mismatch', `the time stamp does not hold: ${what}`, 'ask the authority for another');
};
const noResponse: (what: string, cause?: unknown) => never = (what, cause) => {
  throw new WhorlError(
    'bad-file',
    `the time stamp is no RFC 3161 response: ${what}`,
    'give it as the authority sent it',
    { cause },
  );
};

/**
 * @param imprint hex digest that must be the stamped one: 64 digits of SHA-256, 96 of SHA-384 or 128 of SHA-512
 * @param trusted certificates of authorities that the caller trusts
 * @throws WhorlError `bad-file` for what is no response, `mismatch` for one that does not hold
 */
export function checkTimeStamp(
  response: Uint8Array,
  imprint: string,
  trusted: readonly TsaCertificate[] = [],
): TimeStamp {
  if (response.length > MAX_RESPONSE) noResponse(`it has more than ${MAX_RESPONSE} bytes`);
  const { signed, info, certificates } = readResponse(response);
  checkImprint(info, imprint);
  const time = info.genTime.getTime();
  if (!Number.isFinite(time)) noResponse('it has no time');
  const signer = signerOf(signed, [...certificates, ...trusted]);
  checkSignature(signed, signer);
  const why = whyNoSigner(signer, time);
  if (why !== undefined) wrong(why);
  const anchor = anchorOf(signer, trusted, certificates, time);
  const { seconds = 0, millis = 0, micros = 0 } = info.accuracy ?? {};
  return {
    time,
    latest: time + 1000 * seconds + millis + Math.ceil(micros / 1000),
    authority: writtenOut(signer.x509.subject.replaceAll('\n', ', ')),
    anchor: anchor === undefined ? null : sha256Hex(anchor.x509.raw),
    nonce: info.nonce ? serialText(new Uint8Array(info.nonce)) : null,
  };
}

interface Read {
  readonly signed: SignedData;
  readonly info: TSTInfo;
  readonly certificates: readonly TsaCertificate[];
}

/** All that is parsed, so that whatever a library throws over strangers' bytes is one kind of refusal. */
function readResponse(response: Uint8Array): Read {
  try {
    readNode(response); // one whole value, and nothing behind it
    const { status, timeStampToken: token } = AsnConvert.parse(response, TimeStampResp);
    if (status.status !== PKIStatus.granted && status.status !== PKIStatus.grantedWithMods)
      return wrong(`the authority refused (status ${status.status})`);
    if (token?.contentType !== SIGNED_DATA) throw new Malformed('it has no token');
    const signed = readSignedData(new Uint8Array(token.content));
    if (signed.contentType !== TST_INFO) throw new Malformed('it signs something else than a time');
    if (signed.certificates.length > MAX_CERTIFICATES) throw new Malformed('it has too many certificates');
    readNode(signed.content);
    return {
      signed,
      info: AsnConvert.parse(signed.content, TSTInfo),
      certificates: signed.certificates.map(readCertificate),
    };
  } catch (cause) {
    if (cause instanceof WhorlError) throw cause;
    return noResponse(cause instanceof Malformed ? cause.message : 'it cannot be read', cause);
  }
}

function checkImprint(
  { version, messageImprint: { hashAlgorithm, hashedMessage } }: TSTInfo,
  imprint: string,
): void {
  if (version !== 1) wrong(`it is of version ${version}`);
  const name = DIGESTS[hashAlgorithm.algorithm];
  const stamped = Buffer.from(hashedMessage.buffer).toString('hex');
  if (name === undefined || stamped !== imprint || imprint.length !== 2 * digestBytes(name))
    wrong(`it stamps ${stamped.slice(0, 16)}…, not ${imprint.slice(0, 16)}…`);
}

const digestBytes = (name: string): number => Number(name.slice(3)) / 8;

/** The certificate that the token's signed attributes name by its digest (RFC 5035), and its signer by issuer and number. */
function signerOf(
  { signer: { attributes, by } }: SignedData,
  known: readonly TsaCertificate[],
): TsaCertificate {
  const named = parsed(() => namedCertificate(attributes));
  const found = known.find(
    ({ x509 }) => createHash(named.digest).update(x509.raw).digest('hex') === named.hash,
  );
  if (found === undefined)
    return wrong('its signer’s certificate is neither in it nor among those that you trust');
  const isSame =
    'keyId' in by ||
    (found.x509.serialNumber.replace(/^0+(?=.)/, '') === by.serial &&
      Buffer.from(by.issuer).equals(found.issuer));
  if (!isSame) wrong('its signer is another one than the certificate that it names');
  return found;
}

function namedCertificate(attributes: SignedData['signer']['attributes']): { digest: string; hash: string } {
  const second = attributes.get(SIGNING_CERTIFICATE_V2);
  const first = attributes.get(SIGNING_CERTIFICATE);
  const value = second ?? first;
  if (value === undefined) throw new Malformed('it does not say which certificate signs');
  const [id] = partsOf(partsOf(value, 'the signing certificate')[0], 'the signing certificate');
  const [head, next] = partsOf(id, 'the signing certificate');
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  if (second === undefined) return { digest: 'sha1', hash: hex(octetsOf(head, 'the certificate’s digest')) };
  const hasAlgorithm = next !== undefined && head?.idBlock.tagNumber === 16;
  const digest = hasAlgorithm ? DIGESTS[oidOf(partsOf(head, 'an algorithm')[0], 'an algorithm')] : 'sha256';
  if (digest === undefined) throw new Malformed('its certificate is named by an unknown digest');
  return { digest, hash: hex(octetsOf(hasAlgorithm ? next : head, 'the certificate’s digest')) };
}

function checkSignature({ signer, content, contentType }: SignedData, { x509 }: TsaCertificate): void {
  const { attributes, digestAlgorithm, signatureAlgorithm, signed, signature } = signer;
  const digest = DIGESTS[digestAlgorithm];
  if (digest === undefined) wrong(`its digest algorithm ${digestAlgorithm} is not supported`);
  const attribute = parsed(() => ({
    type: oidOf(attributes.get(CONTENT_TYPE), 'the type that is signed'),
    digest: octetsOf(attributes.get(MESSAGE_DIGEST), 'the digest that is signed'),
  }));
  if (attribute.type !== contentType) wrong('it signs another type of content');
  if (!createHash(digest).update(content).digest().equals(attribute.digest))
    wrong('what it signs is not its content');
  const by = signatureAlgorithm === RSA ? digest : SIGNATURES[signatureAlgorithm];
  if (by === undefined) wrong(`its signature algorithm ${signatureAlgorithm} is not supported`);
  if (!isSigned(by ?? null, signed, x509, signature)) wrong('its signature is wrong');
}

function isSigned(
  by: string | null,
  signed: Uint8Array,
  { publicKey }: TsaCertificate['x509'],
  signature: Uint8Array,
): boolean {
  try {
    return verify(by, signed, publicKey, signature);
  } catch {
    return false; // a key of another kind than the algorithm's
  }
}

function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof Malformed) return noResponse(cause.message, cause);
    throw cause;
  }
}

/** A time stamp in words. */
export const stampText = ({ time, authority, anchor }: TimeStamp): string =>
  `${iso(time)} by ${authority}${anchor === null ? ', not anchored: no certificate that you trust' : ''}`;
