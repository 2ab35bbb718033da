// Servers that sell time or give dice: one request, one small answer. Neither is trusted: what comes back is checked like a file.

import { randomBytes } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { MessageImprint, TimeStampReq, TimeStampReqVersion } from '@peculiar/asn1-tsp';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { Agent, request } from 'undici';
import { checkAborted, currentSignal } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import { collect, proxyOf } from '../base/http.ts';
import { serialText } from './cms.ts';
import { MAX_RESPONSE, SHA256 } from './time-stamp.ts';

const MILLISECONDS = 30_000;

/** DER of an RFC 3161 request for a digest of SHA-256, with the authority's certificates asked for. */
export function timeStampRequest(sha256: string, nonce?: Uint8Array): Uint8Array {
  return new Uint8Array(
    AsnConvert.serialize(
      new TimeStampReq({
        version: TimeStampReqVersion.v1,
        messageImprint: new MessageImprint({
          hashAlgorithm: new AlgorithmIdentifier({ algorithm: SHA256, parameters: null }),
          hashedMessage: new OctetString(Buffer.from(sha256, 'hex')),
        }),
        ...(nonce && { nonce: new Uint8Array(nonce).buffer }),
        certReq: true,
      }),
    ),
  );
}

/** Asks an authority; the nonce is what its answer must bear. @throws WhorlError `unreachable`, `usage` */
export async function askForStamp(
  url: string,
  sha256: string,
): Promise<{ response: Uint8Array; nonce: string }> {
  const bytes = randomBytes(8);
  bytes[0] = 0x40 | (bytes[0]! & 0x3f); // a positive number of eight bytes
  const response = await answerOf(url, {
    method: 'POST',
    body: timeStampRequest(sha256, bytes),
    headers: { 'content-type': 'application/timestamp-query', accept: 'application/timestamp-reply' },
  });
  return { response, nonce: serialText(bytes) };
}

/** @throws WhorlError `unreachable`, `usage` */
export const askForJson = (url: string): Promise<Uint8Array> =>
  answerOf(url, { method: 'GET', headers: { accept: 'application/json' } });

async function answerOf(
  address: string,
  options: { method: 'GET' | 'POST'; headers: Record<string, string>; body?: Uint8Array },
): Promise<Uint8Array> {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new WhorlError('usage', `${address} is no address`, 'give one that begins with https://');
  const dispatcher = proxyOf(process.env) ?? new Agent();
  const given = currentSignal();
  const late = AbortSignal.timeout(MILLISECONDS);
  try {
    const { statusCode, body } = await request(url, {
      ...options,
      headers: { ...options.headers, 'user-agent': 'whorl' },
      dispatcher,
      signal: given ? AbortSignal.any([given, late]) : late,
    });
    if (statusCode !== 200) throw new Error(`status ${statusCode}`);
    const { bytes, isWhole } = await collect(body, MAX_RESPONSE);
    if (!isWhole) throw new Error(`more than ${MAX_RESPONSE} bytes`);
    return bytes;
  } catch (cause) {
    checkAborted();
    throw new WhorlError(
      'unreachable',
      `${url.host} gives no answer that can be used (${late.aborted ? `none in ${MILLISECONDS / 1000} s` : (cause as Error).message.slice(0, 80)})`,
      'ask another server, or give its answer as a file',
      { cause },
    );
  } finally {
    await dispatcher.destroy();
  }
}
