// The flags of a suspect behind a server, and what of the answer a person is shown of it.

import { WhorlError } from '../base/error.ts';
import { apiKeyFrom, isAddress } from '../lm/endpoint/settings.ts';
import { webAddress } from '../sources/web-address.ts';
import type { EndpointOptions, VerifyReport } from '../verify/verify.ts';
import { among, decimal, type Given, named, oneOf, refuseAlone, text, wholeNumber } from './options.ts';
import { countText, shownText } from './output.ts';

const above0 = [(value: number) => value > 0 && Number.isFinite(value), 'a number above 0'] as const;

export const ENDPOINT = {
  model_name: text('<name>', "of a server: the model's name there; --suspect is then the address of its API"),
  endpoint_kind: oneOf(
    '<kind>',
    ['auto', 'chat', 'completions'],
    'of a server: texts that are gone on with, or what a user says in its own chat template (default: auto, completions where it has them)',
  ),
  apiKeyEnv: text('<name>', 'of a server: the environment variable that holds the API key'),
  concurrency: wholeNumber('<n>', 1, 'of a server: requests under way at a time (default: 8)'),
  timeout: decimal(
    '<seconds>',
    'of a server: from a request to the last byte of its answer (default: 120)',
    above0,
  ),
  max_queries: wholeNumber('<n>', 1, 'of a server: most requests, tries again included'),
  max_tokens_total: wholeNumber('<n>', 1, 'of a server: most tokens of prompts and answers together'),
  max_cost: decimal('<amount>', 'of a server: most that may be spent, at --price', above0),
  price: decimal('<amount>', 'of a server: what a million tokens cost', above0),
  transcript: named(
    'transcript',
    text(
      '<file>',
      'of a server: where answers are kept as they come (default: transcripts/ beside the secret)',
    ),
  ),
};

/** @throws WhorlError `usage` for flags of a server without its address, and the other way round */
export function endpointFrom(suspect: string, flags: Given<typeof ENDPOINT>): EndpointOptions | undefined {
  const given = among(flags, ENDPOINT);
  const { model_name, apiKeyEnv, ...more } = given;
  if (model_name === undefined) {
    refuseAlone(given, ENDPOINT, 'a server', 'give --model-name and --suspect https://…/v1');
    const hub = webAddress(suspect);
    if (isAddress(suspect) && !/hub's id/.test(hub?.fix ?? ''))
      throw new WhorlError(
        'usage',
        `${shownText(suspect.replace(/\/\/[^/@]*@/, '//'), 200)} is a web address`,
        'of a server that answers give --model-name too; a model download, and give its path',
      );
    return undefined;
  }
  return { model_name, ...more, ...(apiKeyEnv !== undefined && { apiKey: apiKeyFrom(apiKeyEnv) }) };
}

/** Who answered, in the rows of the report. */
export function endpointLines({
  kind,
  reported_models,
  tls_peers,
  asked_from,
  asked_to,
  queries,
  tokens,
  transcript,
  transcript_chain,
}: NonNullable<VerifyReport['endpoint']>): string[] {
  const names = reported_models.map((name) => (name === '' ? 'no name' : shownText(name, 60)));
  return [
    `  server            by ${kind}; calls its model ${names.join(', ')}`,
    `  certificate       ${tls_peers.length === 0 ? 'none seen in this call' : tls_peers.map((digest) => `${digest.slice(0, 16)}…`).join(', ')}`,
    `  asked at          ${asked_from} to ${asked_to}, ${countText(queries)} queries, ${countText(tokens)} tokens`,
    `  transcript        ${transcript}, ${transcript_chain.slice(0, 16)}…`,
  ];
}
