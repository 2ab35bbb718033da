// What a job leaves: states that were kept, each with its digest, and what is said of the run. Nobody vouches for the
// machine that it comes from: shapes, names and digests are compared before anything is taken in.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WhorlError } from '../base/error.ts';
import { jsonOrNothing } from '../base/json.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { readTensor } from '../sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../sources/checkpoints/safetensors.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import type { Slot, TrainState } from '../train/step.ts';
import { assetText } from './write-job.ts';

const schema = z.object({
  format: z.literal('whorl-job-result'),
  version: z.literal(1),
  job: z.string(),
  done: z.boolean(),
  steps: z.number().int().nonnegative(),
  losses: z.array(z.number()),
  seconds: z.number().nonnegative(),
  kept: z.array(
    z.object({
      step: z.number().int().positive(),
      file: z.string().regex(/^step-\d{8}\.safetensors$/),
      sha256: z.string(),
    }),
  ),
  torch: z.string(),
  transformers: z.string(),
  ranks: z.number().int().positive(),
  device: z.string(),
});

export type JobResult = z.infer<typeof schema>;

export const resultFolder = (job: string): string => join(job, 'result');

const AGAIN = 'copy result/ from where it ran again';

/** What a job was asked for, as far as a result must fit it. */
export interface Wanted {
  readonly steps: number;
  /** Steps after which a state is kept. */
  readonly keep: readonly number[];
}

/**
 * undefined where there is none yet.
 * @param id the job's
 * @throws WhorlError `bad-file` for a damaged one, or one that does not fit its job; `mismatch` for that of another job
 */
export function readResult(job: string, id: string, wanted: Wanted): JobResult | undefined {
  const path = join(resultFolder(job), 'result.json');
  if (!existsSync(path)) return undefined;
  const found = schema.safeParse(jsonOrNothing(readFileSync(path, 'utf8')));
  if (!found.success) throw new WhorlError('bad-file', `${path} is no result of a job`, AGAIN);
  if (found.data.job !== id)
    throw new WhorlError(
      'mismatch',
      `${path} is the result of another job`,
      'copy the result/ of this job, which the name of its run tells',
    );
  const odd = oddity(found.data, wanted);
  if (odd !== undefined) throw new WhorlError('bad-file', `${path} ${odd}`, AGAIN);
  return found.data;
}

/** What a run of the job cannot have said. */
function oddity({ done, steps, losses, kept }: JobResult, wanted: Wanted): string | undefined {
  if (steps > wanted.steps) return `has ${steps} steps, the job ${wanted.steps}`;
  if (losses.length !== steps) return `has ${losses.length} losses of ${steps} steps`;
  const at = kept.map(({ step }) => step);
  const strange = at.find(
    (step, i) => !wanted.keep.includes(step) || step > steps || step <= (at[i - 1] ?? 0),
  );
  if (strange !== undefined) return `has a state after step ${strange}, which the job does not keep there`;
  // It ends at its last step, or at a kept state that was found to hold.
  if (done && at.at(-1) !== steps) return `has no state of its last step, ${steps}`;
  return undefined;
}

/** The state that was kept after a step, its tensors read when they are asked for. @throws WhorlError `changed`, `mismatch` */
export function keptState(
  job: string,
  { step, file, sha256 }: JobResult['kept'][number],
  shapes: ReadonlyMap<string, readonly number[]>,
): TrainState {
  const path = join(resultFolder(job), file);
  if (!existsSync(path)) throw new WhorlError('missing-file', `${path} is not there`, AGAIN);
  if (digestFile(path) !== sha256)
    throw new WhorlError('changed', `${path} is not what the job wrote`, AGAIN);
  const { tensors } = readSafetensorsHeader(path);
  for (const [name, shape] of shapes) {
    const ref = tensors.get(name);
    if (ref?.dtype !== 'float32' || String(ref.shape) !== String(shape))
      throw new WhorlError('mismatch', `${path} has no ${name} of [${shape}] in float32`, AGAIN);
  }
  return { step, slots: new StoredSlots(path, shapes, tensors) };
}

const NONE = new Float32Array(0);

/** Values where they lie, one tensor in memory at a time; without moments. What is no number is refused as it is read. */
class StoredSlots extends Map<string, Slot> {
  readonly #path: string;
  readonly #tensors: ReadonlyMap<string, TensorRef>;
  constructor(
    path: string,
    shapes: ReadonlyMap<string, readonly number[]>,
    tensors: ReadonlyMap<string, TensorRef>,
  ) {
    super();
    this.#path = path;
    this.#tensors = tensors;
    for (const [name, shape] of shapes) super.set(name, { shape, value: NONE, m: NONE, v: NONE });
  }
  override get(name: string): Slot | undefined {
    const slot = super.get(name);
    if (!slot) return undefined;
    const value = readTensor(this.#tensors.get(name)!).data;
    if (!value.every(Number.isFinite))
      throw new WhorlError(
        'bad-file',
        `${this.#path}: ${name} holds values that are no numbers`,
        'train anew, with a lower lr',
      );
    return { ...slot, value };
  }
  override *entries(): MapIterator<[string, Slot]> {
    for (const name of this.keys()) yield [name, this.get(name)!];
  }
  override *values(): MapIterator<Slot> {
    for (const name of this.keys()) yield this.get(name)!;
  }
  override [Symbol.iterator](): MapIterator<[string, Slot]> {
    return this.entries();
  }
}

/** Packages that were other ones than the job was tried with, in words. */
export function otherVersions(result: Pick<JobResult, 'torch' | 'transformers'>): string[] {
  return (['torch', 'transformers'] as const).flatMap((name) => {
    const pinned = new RegExp(`^${name}==(\\S+)$`, 'm').exec(assetText('requirements.txt'))?.[1];
    const ran = result[name].split('+')[0];
    return ran === pinned ? [] : [`the job ran under ${name} ${ran}; it is tried with ${pinned}`];
  });
}
