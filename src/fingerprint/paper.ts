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
    negativeOutput: constants.mix.negative_output,
  },
} as const;
