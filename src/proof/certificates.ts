// Certificates of a time-stamp authority (RFC 5280): what each may do, and a way up to one that somebody trusts.

import { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  id_ce_basicConstraints,
  id_ce_certificatePolicies,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  KeyUsage,
  KeyUsageFlags,
} from '@peculiar/asn1-x509';

const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
const ANY_USE = '2.5.29.37.0';
/** Critical extensions that are heeded here, or mean nothing for a signature's validity; any other is refused. */
const HEEDED: ReadonlySet<string> = new Set([
  id_ce_basicConstraints,
  id_ce_keyUsage,
  id_ce_extKeyUsage,
  id_ce_certificatePolicies,
]);
/** Signatures under which somebody could make another certificate of the same bytes' digest. */
const WEAK: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.2',
  '1.2.840.113549.1.1.4',
  '1.2.840.113549.1.1.5',
  '1.2.840.10040.4.3',
  '1.2.840.10045.4.1',
]);
const MOST_CERTIFICATES = 32;
const MOST_STEPS = 8;

export interface TsaCertificate {
  readonly x509: X509Certificate;
  /** Milliseconds since 1970, both inside. */
  readonly from: number;
  readonly to: number;
  /** DER of the issuer's name. */
  readonly issuer: Uint8Array;
  readonly isAuthority: boolean;
  /** Authorities that may stand below it; Infinity where nothing is said. */
  readonly below: number;
  /** Extended key usage; absent where it has none. */
  readonly uses?: { readonly critical: boolean; readonly ids: readonly string[] };
  readonly signs: boolean;
  readonly certifies: boolean;
  /** A critical extension that nobody here heeds. */
  readonly strange: string | undefined;
  readonly isWeak: boolean;
}

/** @throws whatever node:crypto and asn1-x509 throw for what is no certificate */
export function readCertificate(der: Uint8Array): TsaCertificate {
  const x509 = new X509Certificate(der);
  const { tbsCertificate: tbs, signatureAlgorithm } = AsnConvert.parse(x509.raw, Certificate);
  const extensions = new Map((tbs.extensions ?? []).map((one) => [one.extnID, one]));
  if (extensions.size !== (tbs.extensions ?? []).length) throw new Error('an extension stands twice');
  const value = (id: string): ArrayBuffer | undefined => extensions.get(id)?.extnValue.buffer;
  const basic = value(id_ce_basicConstraints);
  const constraints = basic && AsnConvert.parse(basic, BasicConstraints);
  const use = value(id_ce_extKeyUsage);
  const keyUse = value(id_ce_keyUsage);
  const flags = keyUse && AsnConvert.parse(keyUse, KeyUsage).toNumber();
  const may = (flag: number): boolean => flags === undefined || (flags & flag) !== 0;
  return {
    x509,
    from: tbs.validity.notBefore.getTime().getTime(),
    to: tbs.validity.notAfter.getTime().getTime(),
    issuer: new Uint8Array(AsnConvert.serialize(tbs.issuer)),
    isAuthority: constraints?.cA === true,
    below: constraints?.pathLenConstraint ?? Number.POSITIVE_INFINITY,
    ...(use && {
      uses: {
        critical: extensions.get(id_ce_extKeyUsage)!.critical,
        ids: [...AsnConvert.parse(use, ExtendedKeyUsage)],
      },
    }),
    signs: may(KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation),
    certifies: may(KeyUsageFlags.keyCertSign),
    strange: [...extensions.values()].find(({ critical, extnID }) => critical && !HEEDED.has(extnID))?.extnID,
    isWeak: WEAK.has(signatureAlgorithm.algorithm),
  };
}

/** Certificates out of a PEM file of any number, or one in DER. @throws as `readCertificate`, and an Error for none */
export function readCertificates(bytes: Uint8Array): TsaCertificate[] {
  const text = Buffer.from(bytes).toString('latin1');
  const pem = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  if (pem === null) return [readCertificate(bytes)];
  if (pem.length > MOST_CERTIFICATES) throw new Error(`more than ${MOST_CERTIFICATES} certificates`);
  return pem.map((one) => readCertificate(Buffer.from(one)));
}

const isOneOf = (one: TsaCertificate, list: readonly TsaCertificate[]): boolean =>
  list.some(({ x509 }) => x509.raw.equals(one.x509.raw));

/** Why a certificate may not sign time stamps at a time (RFC 3161, 2.3); undefined where it may. */
export function whyNoSigner(
  { uses, signs, strange, from, to }: TsaCertificate,
  at: number,
): string | undefined {
  if (uses === undefined || !uses.critical || uses.ids.length !== 1 || uses.ids[0] !== TIME_STAMPING)
    return 'its signer’s certificate is not for time stamps alone (critical extended key usage timeStamping)';
  if (!signs) return 'its signer’s certificate is not for signatures';
  if (strange !== undefined) return `its signer’s certificate has an unknown critical extension (${strange})`;
  if (at < from || at > to)
    return `its signer’s certificate was valid from ${iso(from)} to ${iso(to)}, and not at the time stamped`;
  return undefined;
}

export const iso = (time: number): string => new Date(time).toISOString();

const issues = (above: TsaCertificate, one: TsaCertificate): boolean =>
  one.x509.checkIssued(above.x509) && one.x509.verify(above.x509.publicKey);

const mayIssue = (above: TsaCertificate, at: number, below: number): boolean =>
  above.isAuthority &&
  above.certifies &&
  above.strange === undefined &&
  above.below >= below &&
  at >= above.from &&
  at <= above.to &&
  (above.uses === undefined || above.uses.ids.some((id) => id === TIME_STAMPING || id === ANY_USE));

/**
 * The trusted certificate that a way of valid issuers leads up to; undefined where none does.
 * @param given a person's: its roots are trusted, and the others help to get there; without a root each of them is
 */
export function anchorOf(
  signer: TsaCertificate,
  given: readonly TsaCertificate[],
  sent: readonly TsaCertificate[],
  at: number,
): TsaCertificate | undefined {
  const roots = given.filter((one) => issues(one, one));
  const trusted = roots.length > 0 ? roots : given;
  const others = [...sent, ...given];
  if (isOneOf(signer, trusted)) return signer;
  // Level by level, each certificate once: ways between authorities that certify each other are without number.
  const seen = new Set([signer]);
  let level = [signer];
  for (let below = 0; below <= MOST_STEPS; below++) {
    const strong = level.filter(({ isWeak }) => !isWeak);
    const above = (one: TsaCertificate): boolean =>
      mayIssue(one, at, below) && strong.some((issued) => issued !== one && issues(one, issued));
    const found = trusted.find(above);
    if (found) return found;
    level = others.filter((one) => !seen.has(one) && above(one));
    for (const one of level) seen.add(one);
  }
  return undefined;
}
