// What a certificate binds of a suspect that is not at hand, and what a judge would have to do to ask it again: in words, so that the
// command and the page say the same.

import { shellWords } from '../../base/shell.ts';
import type { Checked } from './check.ts';
import { isEndpoint, type Predicate } from './statement.ts';

/** A name, and what it is bound to: several values where a server showed several, none where there is none. */
export type Bound = readonly [what: string, values: readonly string[]];

/** All that the certificate holds of who answered. Whether that is who answered is the signer's word. */
export function boundBy({ suspect, body }: Predicate): readonly Bound[] {
  if (isEndpoint(suspect))
    return [
      ['server', [suspect.endpoint]],
      ['model asked for', [suspect.model_name]],
      ['names that it gave', suspect.reported_models],
      ['asked', [`${suspect.asked_from} to ${suspect.asked_to}, as ${suspect.kind}`]],
      ['TLS certificates', suspect.tls_peers],
      ['transcript', [suspect.transcript_chain]],
    ];
  const { source, weights, tokenizer, config, chat_template } = suspect;
  return [
    ['called', [source]],
    ['weights', [weights]],
    ['tokenizer', [tokenizer]],
    ['config', [config]],
    ['chat template', chat_template === null ? [] : [chat_template]],
    ...(body ? [['on the body of', [body.weights]] as const] : []),
  ];
}

/** What those values are. */
export const boundWords = ({ suspect }: Predicate): string =>
  isEndpoint(suspect)
    ? 'Of a server the certificate binds its address, the names of its model and SHA-256 of the TLS certificates at its end (DER); not its weights, which it may change.'
    : 'The certificate binds the suspect by SHA-256 of its weights (tensor by tensor, whichever files they lie in), of its tokenizer’s and config’s files and of its chat template’s text: another model has other digests, a renamed one has the same.';

/** @returns the command that asks again, where anybody can; and what it takes, or why nobody can */
export function askingAgain(
  { claim, statement: { predicate } }: Pick<Checked, 'claim' | 'statement'>,
  certificate: string,
): { readonly command: string | null; readonly words: string } {
  const { suspect, stamp, transcript } = predicate;
  if (claim.private_part !== 'none' && transcript.length > 0)
    return {
      command: null,
      words:
        "Its keys were answered under the owner's adapter, which is not in the certificate: only the owner can ask again.",
    };
  const who = isEndpoint(suspect)
    ? [suspect.endpoint, '--model-name', suspect.model_name]
    : ['MODEL', ...(stamp?.against_vanilla ? ['--vanilla', 'VANILLA'] : [])];
  const takes = isEndpoint(suspect)
    ? 'whoever may ask that server can ask again, with its API key if it wants one; what it says now may be another model'
    : `whoever holds the model with these digests (MODEL: folder, file or hub id) can ask again; any other is refused before a key is put${stamp?.against_vanilla ? '. VANILLA is the model that the stamp was read against, whose matrices the claim commits to' : ''}`;
  return {
    command: shellWords(['whorl', 'check', certificate, '--suspect', ...who]),
    words: `To ask the suspect again: ${takes}.`,
  };
}
