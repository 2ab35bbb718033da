// Texts sampled from nothing but the first token, in which a fingerprint must not show by itself. Done in parts that are
// kept, so that a killed run goes on; a sample depends on the seed and its own number alone.

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import type { LocalModel } from '../lm/local-model.ts';
import type { Sampling } from '../lm/sampling.ts';

export interface BosOptions {
  readonly samples: number;
  readonly max_new_tokens: number;
  readonly sampling: Sampling;
  /** A private folder for the parts. */
  readonly parts: string;
  readonly onEvent?: OnEvent;
}

/** The paper's: 2000 samples of 128 tokens, T .7, top-p .95, top-k 50. */
export const BOS: Omit<BosOptions, 'parts'> = {
  samples: 2000,
  max_new_tokens: 128,
  sampling: { temperature: 0.7, top_p: 0.95, top_k: 50, seed: 42 },
};

export interface BosSample {
  readonly generated: string;
  readonly generated_token: readonly number[];
}

const PART = 256; // samples that are lost at most when a run is killed

/** @throws WhorlError `unsupported` for a tokenizer with neither BOS nor EOS */
export async function sampleFromBos(model: LocalModel, options: BosOptions): Promise<BosSample[]> {
  const { samples, max_new_tokens, sampling, parts, onEvent = silent } = options;
  const { tokenizer } = model;
  const first = tokenizer.bosId ?? tokenizer.eosIds[0];
  const bos = first === undefined ? undefined : tokenizer.tokenOf(first);
  if (bos === undefined)
    throw new WhorlError('unsupported', `${model.name} has neither BOS nor EOS to begin a text with`);
  // Where the tokenizer puts BOS first by itself, the empty text is BOS alone.
  const prompt = (await tokenizer.encode('')).length > 0 ? '' : bos;
  mkdirSync(parts, { recursive: true, mode: 0o700 });
  const out: BosSample[] = [];
  for (let at = 0; at < samples; at += PART) {
    const count = Math.min(PART, samples - at);
    const path = join(parts, `${at}-${count}.json`);
    if (!existsSync(path)) {
      const requests = Array.from({ length: count }, (_, i) => ({
        prompt,
        max_new_tokens,
        sampling,
        draw: at + i,
      }));
      const part: BosSample[] = [];
      let done = 0;
      for await (const { index, generation } of model.generate(requests)) {
        part[index] = {
          generated: generation.generated,
          generated_token: generation.generated_token,
        };
        onEvent({ kind: 'progress', name: 'sampling from BOS', done: at + ++done, total: samples });
      }
      writeFileAtomic(path, JSON.stringify(part), 0o600);
    }
    out.push(...(JSON.parse(readFileSync(path, 'utf8')) as BosSample[]));
  }
  return out;
}
