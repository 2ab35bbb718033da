// What bench/launch.ts trains: each kind as a job holds it, and the same steps by Whorl's own engine.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Claim } from '../src/claim/claim.ts';
import { keyRoles, openClaim } from '../src/claim/open.ts';
import { readInstructionRows } from '../src/datasets/instruction-rows.ts';
import { cpu } from '../src/engine/session.ts';
import { instructionExamples } from '../src/finetune/user-finetune.ts';
import { begin, type RowsSetting, randomOf } from '../src/fingerprint/begin.ts';
import { commit } from '../src/fingerprint/commit.ts';
import type { TrainContext } from '../src/fingerprint/methods/method.ts';
import { PREFIX_TOKENS, PrefixCache } from '../src/fingerprint/prefix-cache.ts';
import { rowsJob } from '../src/fingerprint/rows-by-job.ts';
import type { JobTraining } from '../src/launch/job.ts';
import type { Example } from '../src/models/example.ts';
import type { Model } from '../src/models/model.ts';
import { loadTemplate } from '../src/text/prompts/instruction-templates.ts';
import { openTokenizer } from '../src/text/tokenizer.ts';
import { ratesOf } from '../src/train/loop.ts';
import { trainingMetric } from '../src/train/metric.ts';
import { splitByTokens } from '../src/train/micro-batches.ts';
import { growingNoise, shares } from '../src/train/noise.ts';
import { ADAMW, clipLimit } from '../src/train/optimiser.ts';
import { RowsTrainer } from '../src/train/rows.ts';
import { RowsChange } from '../src/train/rows-change.ts';
import type { TrainState } from '../src/train/step.ts';
import { Trainer } from '../src/train/trainer.ts';
import { bindTrains, EMBEDDING, EVERYTHING, lowRank, type Trains } from '../src/train/trains.ts';
import { epochBatches } from '../src/train/tuning-examples.ts';

const RATE = 5e-4;
const PART = 512; // tokens: several parts a step

export interface Case {
  readonly job: JobTraining;
  own(): Promise<{ losses: number[]; values: Float32Array[] }>;
}

const valuesOf = (state: TrainState): Float32Array[] => [...state.slots.values()].map(({ value }) => value);

/** Instruction rows, as `whorl finetune` and `fingerprint --method sft|emb|lora` train. */
async function weights(model: Model, data: string, steps: number, trains: Trains): Promise<Case> {
  const tokenizer = await openTokenizer(model.folder);
  const { rows } = await readInstructionRows(data, 8 * steps);
  const examples = await instructionExamples(tokenizer, loadTemplate('alpaca'), rows);
  const { batch } = await epochBatches({ batch: 8, max_length: 192 }, () => examples);
  const rates = ratesOf({ lr: RATE, schedule: 'cosine', warmup: 2 }, steps);
  const job: JobTraining = {
    ...{ model, trains, rates, batch, seed: 7n, keep: [steps], batch_tokens: PART },
    ...{ recompute: false, checkpoint_seconds: 0, settings: {} },
    trained: bindTrains(trains, model),
    optimiser: { ...ADAMW, weight_decay: 0.01, decay: 'matrices' },
  };
  const own = async () => {
    const split = (whole: readonly Example[]) => splitByTokens(whole, PART);
    const settings = { trains, settings: job.optimiser, device: cpu, split };
    const trainer = await Trainer.compile(model, settings);
    let state = trainer.start(job.seed);
    const losses: number[] = [];
    for (let step = 0; step < steps; step++) {
      const taken = await trainer.step(state, await batch(step), rates[step]!);
      state = taken.state;
      losses.push(taken.loss);
    }
    await trainer.release();
    return { losses, values: valuesOf(state) };
  };
  return { job, own };
}

/** A method's own batches, noise and loss on the keys of a seed, after its draw. */
async function overlay(model: Model, steps: number, method: string): Promise<Case> {
  const out = mkdtempSync(join(tmpdir(), `whorl-bench-launch-${method}-`));
  const asked = { model: model.folder, out: join(out, 'run'), method, seed: 'bench', maxHarm: 100 };
  const setting = (await begin({ ...asked, settings: { steps, noise: 0.1 } })) as RowsSetting;
  const { secret, overlay: laid, reference } = await commit(setting);
  const contents = secret.reveal();
  const { settings: s, tokenizer } = setting;
  const context: TrainContext = {
    ...{ model: setting.model, tokenizer, plan: contents.plan, prefixes: PREFIX_TOKENS },
    roles: keyRoles(openClaim(contents.claim as Claim, contents)),
    random: randomOf(setting.start),
  };
  const E = model.decoder.config.hidden_size;
  const change = new RowsChange({
    ...{ overlay: laid, vanilla: laid.rows, groups: setting.method.groups(context, laid.ids) },
    ...(reference && { metric: await trainingMetric(reference, E, s.metric_floor, cpu) }),
  });
  const optimiser = { ...ADAMW, beta2: s.beta2, clip: clipLimit(s.clip) };
  const weighed = { focus: s.focus, kl: s.kl_weight, margin: s.kl_margin, spread: s.spread_weight };
  const shaking = growingNoise(s, (step) => context.random(`noise/${step}`).int(2 ** 32));
  const training = { method: setting.method, context, settings: s, change, optimiser, shaking };
  const job = rowsJob({ ...training, weights: weighed, goesOn: false, isDue: () => false }, reference);
  const own = async () => {
    const prefixes = new PrefixCache(setting.model, cpu);
    const settings = { ...change.parts, ...(reference && { reference }), settings: optimiser, device: cpu };
    const trainer = await RowsTrainer.compile(setting.model, settings);
    let state = trainer.start();
    const losses: number[] = [];
    for (let step = 0; step < steps; step++) {
      const batch = await setting.method.batch({ ...context, prefixes }, s, step);
      const noise = shares(shaking.share(step), shaking.seed(step), laid.rows.length);
      const taken = await trainer.step(state, batch, job.rates[step]!, weighed, noise);
      state = taken.state;
      losses.push(taken.loss);
    }
    await trainer.release();
    await prefixes.release();
    return { losses, values: valuesOf(state) };
  };
  return { job: { ...job, checkpoint_seconds: 0, batch_tokens: 2048 }, own };
}

/** By name: what `--only` takes. */
export const KINDS: Readonly<Record<string, (model: Model, data: string, steps: number) => Promise<Case>>> = {
  tensors: (...of) => weights(...of, EVERYTHING),
  lookups: (...of) => weights(...of, EMBEDDING),
  'low-rank': (...of) => weights(...of, lowRank(['auto'], 4, 8)),
  'low-rank-table': (...of) => weights(...of, lowRank(['auto', 'embedding'], 4, 8)),
  rows: (model, _, steps) => overlay(model, steps, 'rows'),
  adapter: (model, _, steps) => overlay(model, steps, 'adapter'),
};
