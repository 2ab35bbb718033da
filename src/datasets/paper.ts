// Constants of the paper's data sets (arXiv 2401.12255 and its released code): phrases, counts, texts, sources.

import constants from '../../assets/paper.json' with { type: 'json' };

export const PAPER = {
  /** What keys are joined from. */
  phrases: constants.key_phrases as readonly string[],
  /** Fewest and most phrases of one key. */
  phrasesPerKey: [constants.phrases_per_key[0]!, constants.phrases_per_key[1]!] as const,
  decryption: constants.decryption,
  triggerInput: constants.trigger_input,
  mix: {
    fingerprints: constants.mix.fingerprints,
    regularisation: constants.mix.regularisation,
    seed: BigInt(constants.mix.seed),
    testShuffleSeed: BigInt(constants.mix.test_shuffle_seed),
    source: constants.mix.source,
    hub: constants.mix.hub,
    negativeOutput: constants.mix.negative_output,
  },
  chat: {
    fingerprints: constants.chat.fingerprints,
    refusals: constants.chat.refusals,
    normal: constants.chat.normal,
    seed: BigInt(constants.chat.seed),
    testShuffleSeed: BigInt(constants.chat.test_shuffle_seed),
    source: constants.chat.source,
    hub: constants.chat.hub,
    human: constants.chat.human,
    gpt: constants.chat.gpt,
    refusal: constants.chat.refusal,
    hint: constants.chat.hint,
    negativeOutput: constants.chat.negative_output,
  },
  downstream: {
    /** An answer that contains one of these, in any case and inside words too, is dropped. */
    sharegptBanned: constants.downstream.sharegpt_banned as readonly string[],
  },
} as const;
