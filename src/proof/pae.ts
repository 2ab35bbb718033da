// What a signature in a DSSE envelope is over (secure-systems-lab/dsse, protocol.md: pre-authentication encoding). Both kinds that
// are made here hold in-toto statements: certificates (verify/certificate) and model signatures.

export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** The type and the payload with their lengths in bytes. */
export const signedBytes = (payload: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `), payload]);
