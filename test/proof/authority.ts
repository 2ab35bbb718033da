// A time-stamp authority for roots that only a test knows: TSTInfo by asn1-tsp, signed by OpenSSL with the key of goldens/time-stamps.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  MessageImprint,
  PKIStatus,
  PKIStatusInfo,
  TimeStampReq,
  TimeStampResp,
  TimeStampToken,
  TSTInfo,
  TSTInfoVersion,
} from '@peculiar/asn1-tsp';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { golden } from './tokens.ts';

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
if (!hasOpenssl) process.stderr.write('no openssl: whorl prove is not tested here\n');

const SHA256 = '2.16.840.1.101.3.4.2.1';

/** DER of a response that stamps a digest at a time. */
export function stampedAt(folder: string, digest: string, time: string, nonce?: ArrayBuffer): Buffer {
  const file = (name: string): string => join(folder, name);
  writeFileSync(file('tsa.pem'), golden.certificates.tsa);
  writeFileSync(file('tsa.key'), golden.key);
  const info = new TSTInfo({
    version: TSTInfoVersion.v1,
    policy: '1.2.3.4.1',
    messageImprint: new MessageImprint({
      hashAlgorithm: new AlgorithmIdentifier({ algorithm: SHA256, parameters: null }),
      hashedMessage: new OctetString(Buffer.from(digest, 'hex')),
    }),
    serialNumber: Uint8Array.of(7).buffer,
    genTime: new Date(time),
    ...(nonce && { nonce }),
  });
  writeFileSync(file('info.der'), Buffer.from(AsnConvert.serialize(info)));
  execFileSync(
    'openssl',
    'cms -sign -binary -nodetach -cades -in info.der -outform DER -econtent_type 1.2.840.113549.1.9.16.1.4 -signer tsa.pem -inkey tsa.key -out token.der'.split(
      ' ',
    ),
    { cwd: folder },
  );
  const response = new TimeStampResp({
    status: new PKIStatusInfo({ status: PKIStatus.granted }),
    timeStampToken: AsnConvert.parse(readFileSync(file('token.der')), TimeStampToken),
  });
  return Buffer.from(AsnConvert.serialize(response));
}

/** What an authority does with a request. */
export function answered(folder: string, request: Uint8Array, time: string): Buffer {
  const { messageImprint, nonce } = AsnConvert.parse(request, TimeStampReq);
  return stampedAt(folder, Buffer.from(messageImprint.hashedMessage.buffer).toString('hex'), time, nonce);
}
