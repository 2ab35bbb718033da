// What a model is to an evaluation: the bytes of its weights and of its tokenizer, wherever they lie, and in what it answers.

import { join } from 'node:path';
import { sha256Hex } from '../base/sha256.ts';
import { isThere } from '../base/system-errors.ts';
import type { QuantisedPrecision } from '../engine/packing.ts';
import { type Model, weightsDigest } from '../models/model.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';

/** Files that say how text becomes tokens, where they are there. */
const TOKENIZER = ['tokenizer.json', 'tokenizer.model', 'tokenizer_config.json'] as const;

/** sha256, hex. Reads the weights, unless that was done for the same opened model. @param precision to which its linear layers are quantised: other answers */
export const modelIdentity = (model: Model, precision?: QuantisedPrecision): string =>
  sha256Hex(
    [
      weightsDigest(model),
      ...TOKENIZER.map((name) => join(model.folder, name))
        .filter(isThere)
        .map(digestFile),
      JSON.stringify(model.decoder.config),
      ...(precision === undefined ? [] : [precision]),
    ].join(),
  );
