// What a time stamp needs of CMS signed data (RFC 5652, 5), bytes as they are: digests and signatures are made over them.

import {
  Set as Asn1Set,
  type BaseBlock,
  Constructed,
  fromBER,
  Integer,
  ObjectIdentifier,
  OctetString,
  Sequence,
} from 'asn1js';

/** A node of the tree that asn1js reads. */
export type Node = BaseBlock;

/** Not the structure that it should be; the caller says of what. */
export class Malformed extends Error {}

const malformed: (what: string) => never = (what) => {
  throw new Malformed(what);
};

/** @throws Malformed for bytes that are not one whole value; asn1js bounds depth and count */
export function readNode(bytes: Uint8Array): Node {
  const { offset, result } = fromBER(new Uint8Array(bytes).buffer);
  if (offset === -1 || result.error) return malformed('it is not DER');
  if (offset !== bytes.length) return malformed('bytes follow its end');
  return result;
}

/** The bytes of a node, tag and length among them. */
const bytesOf = (node: Node): Uint8Array => new Uint8Array(node.valueBeforeDecodeView);

export function partsOf(node: Node | undefined, what: string): Node[] {
  return node instanceof Sequence || node instanceof Asn1Set || node instanceof Constructed
    ? node.valueBlock.value
    : malformed(`${what} is missing`);
}

export const oidOf = (node: Node | undefined, what: string): string =>
  node instanceof ObjectIdentifier ? node.valueBlock.toString() : malformed(`${what} is missing`);

export const octetsOf = (node: Node | undefined, what: string): Uint8Array =>
  node instanceof OctetString ? new Uint8Array(node.getValue()) : malformed(`${what} is missing`);

/** A serial number, hex without leading zeros, upper case: as node:crypto writes it. */
const serialOf = (node: Node | undefined): string =>
  node instanceof Integer
    ? serialText(node.valueBlock.valueHexView)
    : malformed('a serial number is missing');

export const serialText = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('hex')
    .replace(/^0+(?=.)/, '')
    .toUpperCase();

const isTagged = (node: Node | undefined, number: number): node is Node =>
  node !== undefined && node.idBlock.tagClass === 3 && node.idBlock.tagNumber === number;

export interface SignedData {
  readonly contentType: string;
  readonly content: Uint8Array;
  /** DER of each. */
  readonly certificates: readonly Uint8Array[];
  readonly signer: Signer;
}

interface Signer {
  readonly by: { readonly issuer: Uint8Array; readonly serial: string } | { readonly keyId: Uint8Array };
  readonly digestAlgorithm: string;
  readonly signatureAlgorithm: string;
  readonly signature: Uint8Array;
  /** The one value of each signed attribute, by its type. */
  readonly attributes: ReadonlyMap<string, Node>;
  /** What is signed: the attributes as a SET. */
  readonly signed: Uint8Array;
}

/** @param bytes of SignedData itself. @throws Malformed */
export function readSignedData(bytes: Uint8Array): SignedData {
  const [, , encapsulated, ...rest] = partsOf(readNode(bytes), 'signed data');
  const [type, wrapped] = partsOf(encapsulated, 'the signed content');
  const content = octetsOf(partsOf(wrapped, 'the signed content')[0], 'the signed content');
  const certificates = rest.find((node) => isTagged(node, 0));
  const signers = partsOf(rest.at(-1), 'the signer');
  if (signers.length !== 1) malformed(`it has ${signers.length} signers, not one`);
  return {
    contentType: oidOf(type, 'the type of the signed content'),
    content,
    certificates: certificates ? partsOf(certificates, 'the certificates').map(bytesOf) : [],
    signer: readSigner(signers[0]),
  };
}

function readSigner(node: Node | undefined): Signer {
  const [, sid, digest, attributes, algorithm, signature] = partsOf(node, 'the signer');
  if (!isTagged(attributes, 0)) return malformed('its signer signs no attributes');
  const signed = bytesOf(attributes);
  signed[0] = 0x31; // signed as a SET, sent as [0] (RFC 5652, 5.4)
  return {
    by: isTagged(sid, 0)
      ? { keyId: bytesOf(sid).subarray(2) }
      : { issuer: bytesOf(partsOf(sid, 'the signer')[0]!), serial: serialOf(partsOf(sid, 'the signer')[1]) },
    digestAlgorithm: oidOf(partsOf(digest, 'the digest algorithm')[0], 'the digest algorithm'),
    signatureAlgorithm: oidOf(partsOf(algorithm, 'the algorithm')[0], 'the algorithm'),
    signature: octetsOf(signature, 'the signature'),
    attributes: readAttributes(attributes),
    signed,
  };
}

function readAttributes(node: Node): ReadonlyMap<string, Node> {
  const found = new Map<string, Node>();
  for (const attribute of partsOf(node, 'the signed attributes')) {
    const [type, values] = partsOf(attribute, 'a signed attribute');
    const name = oidOf(type, 'the type of a signed attribute');
    const [value, ...more] = partsOf(values, 'a signed attribute');
    if (found.has(name) || value === undefined || more.length > 0)
      malformed('a signed attribute has not one value');
    found.set(name, value!);
  }
  return found;
}
