// What a model says by itself: texts sampled from its first token on. Done batches can be kept, so that a run that is
// killed goes on from the last one; a sample depends on (seed, its number) alone, never on its batch.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Abortable, abortable } from '../base/abort.ts';
import { writeJsonAtomic } from '../base/atomic.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { sha256Hex } from '../base/sha256.ts';
import { cpu, type Device } from '../engine/session.ts';
import type { Model } from '../models/model.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import { generateAll } from './ask.ts';
import { positionBytes } from './cache.ts';
import { openLanguageModel } from './open.ts';
import type { Sampling } from './sampling.ts';

/** The paper's: 2,000 texts of at most 128 tokens. */
export const FROM_BOS = {
  count: 2000,
  max_new_tokens: 128,
  sampling: { temperature: 0.7, top_p: 0.95, top_k: 50, seed: 0 },
} as const;

export interface SampleFromBosOptions extends ConfigOptions, Abortable {
  /** A folder, a GGUF file, a hub id, or a folder that is open already. */
  readonly model: string | Model;
  readonly count?: number;
  readonly max_new_tokens?: number;
  readonly sampling?: Sampling;
  /** A folder for finished batches, gone on from where it holds some of the same model and settings. */
  readonly keep?: string;
  /** What a kept batch must be of beside these options: digests of the model, where its files may be replaced by others as long. */
  readonly keptOf?: string;
  /** Samples drawn together; default: as many as have room for their caches in a gigabyte, at most 128. */
  readonly batch?: number;
  readonly device?: Device;
  readonly onEvent?: OnEvent;
}

export interface BosSample {
  readonly generated: string;
  readonly generated_token: readonly number[];
}

/** What caches may take, or a quarter of the weights' bytes where that is more. */
const CACHE_BYTES = 2 ** 30;
/** A round reads caches and writes them anew; half of them leave the engine when half of the texts have ended, and go in again. */
const CACHES_HELD = 3;
const MOST = 128; // twice as many gain nothing more

/** Samples in order. @throws WhorlError `usage` for settings out of range, and what opening the model throws */
export function sampleFromBos(options: SampleFromBosOptions): Promise<BosSample[]> {
  return abortable(options, runSampleFromBos);
}

async function runSampleFromBos(options: SampleFromBosOptions): Promise<BosSample[]> {
  const { count = FROM_BOS.count, max_new_tokens = FROM_BOS.max_new_tokens } = options;
  const { sampling = FROM_BOS.sampling, keep, device = cpu, onEvent = silent } = options;
  const folder =
    typeof options.model === 'string'
      ? await openModel(options.model, configOptions(options))
      : options.model;
  const weights = folder.files.reduce((sum, { size }) => sum + size, 0);
  const bytes = CACHES_HELD * positionBytes(folder.decoder.config) * (max_new_tokens + 1);
  const room = Math.max(CACHE_BYTES, weights / 4) / bytes;
  const batch = options.batch ?? Math.max(2, Math.min(MOST, Math.floor(room)));
  const model = await openLanguageModel(
    { kind: 'model', model: folder },
    { device, batch_tokens: batch * (max_new_tokens + 2), sequences: batch },
  );
  const identity = folder.files.map(({ name, size }) => [name, size]);
  const of = sha256Hex(
    JSON.stringify([folder.source, identity, max_new_tokens, sampling, options.keptOf ?? null]),
  );
  const samples: BosSample[] = [];
  try {
    for (let start = 0; start < count; start += batch) {
      const numbers = Array.from({ length: Math.min(batch, count - start) }, (_, i) => start + i);
      const path = keep === undefined ? undefined : join(keep, `${start}-${numbers.length}.json`);
      let done = path === undefined ? undefined : kept(path, of);
      if (!done) {
        done = await drawn(numbers);
        if (path !== undefined) writeJsonAtomic(path, { of, samples: done }, 0o600);
      }
      samples.push(...done);
      onEvent({ kind: 'progress', name: 'samples from BOS', done: samples.length, total: count });
    }
  } finally {
    await model.release();
  }
  return samples;

  async function drawn(numbers: readonly number[]): Promise<BosSample[]> {
    const requests = numbers.map((draw) => ({ prompt: '', max_new_tokens, sampling, draw }));
    const made = await generateAll(model, requests);
    return made.map(({ generated, generated_token }) => ({ generated, generated_token }));
  }
}

/** A batch that is there and of the same run. */
function kept(path: string, of: string): BosSample[] | undefined {
  if (!existsSync(path)) return undefined;
  const batch = JSON.parse(readFileSync(path, 'utf8')) as { of: string; samples: BosSample[] };
  return batch.of === of ? batch.samples : undefined;
}
