// Training embedding rows alone, everything else frozen where it lies: what both fingerprint methods do after the draw.

import type { Value } from '../engine/graph.ts';
import { Graph } from '../engine/graph.ts';
import { add, exp, log, min, mul, neg, sqrt, stopGradient, sub } from '../engine/ops/arithmetic.ts';
import { input } from '../engine/ops/leaves.ts';
import { gemm } from '../engine/ops/matmul.ts';
import { reduceMean, reduceSum, reshape, sumAll } from '../engine/ops/shape.ts';
import type { Device, Feed } from '../engine/session.ts';
import type { Example } from '../models/example.ts';
import type { Decoder } from '../models/family.ts';
import { logitShift } from '../models/head-map.ts';
import type { ModelWeights } from '../models/model.ts';
import { overlayInputs, overlayShape } from '../models/overlay.ts';
import { frozenWeights } from '../models/prompt.ts';
import { batchFeeds, labelLogprobs } from './forward.ts';
import type { Positions } from './metric.ts';
import type { AdamW } from './optimiser.ts';
import { type Groups, RowsChange, type RowsChangeParts } from './rows-change.ts';
import { parameter, type StepResult, TrainProgram, type TrainState } from './step.ts';

/**
 * Ordinary positions of a tied model: hidden states and what vanilla thinks of the trained tokens there. Their logits
 * are the only ones that move, by x (hΔ, through what the head's products go through), so the KL to vanilla is exact:
 * log(1 + Σ p(e^x − 1)) − Σ p·x.
 */
export interface Reference extends Positions {
  /** Vanilla probability of each trained token: [N, R]. */
  readonly probability: Float32Array;
  /** Where the head's products are soft-capped, those of each trained token before the cap: [N, R]. */
  readonly products?: Float32Array;
}

/**
 * The exact KL at each reference position, and what the loss uses: the same with every trained token taken to be
 * e^margin likelier than it is. A position that is not among the references then has that much room.
 */
function klToVanilla(
  graph: Graph,
  { logits = {} }: Pick<Decoder, 'logits'>,
  change: Value,
  R: number,
  E: number,
): { exact: Value; guarded: Value; spread: Value } {
  const hidden = input(graph, 'ref_hidden', 'float32', ['N', E]);
  const probability = input(graph, 'ref_probability', 'float32', ['N', R]);
  const moved = gemm(hidden, change, false, true); // hΔ [N, R]
  const shift = logitShift(logits, moved, () => input(graph, 'ref_products', 'float32', ['N', R])); // [N, R]
  const weight = input(graph, 'ref_weight', 'float32', ['N']);
  const mass = reduceSum(mul(probability, exp(shift)), [1]); // Σ p·e^x [N]
  const growth = sub(mass, reduceSum(probability, [1]));
  const exact = sub(log(add(growth, 1)), reduceSum(mul(probability, shift), [1]));
  const guarded = log(add(mul(mass, exp(input(graph, 'kl_margin', 'float32', []))), 1));
  const mean = (each: Value) => sumAll(mul(each, weight));
  const square = reduceMean(mul(shift, shift), 1); // [N, 1]
  return {
    exact: mean(exact),
    guarded: add(mean(exact), mean(guarded)),
    spread: mean(reshape(square, ['N'])),
  };
}

/** How the loss weighs the wanted labels, and what moves at ordinary positions. */
export interface LossWeights {
  /** How much less a label weighs for being probable: 0 (cross-entropy) to 1. */
  readonly focus: number;
  /** Of the KL, exact and guarded. */
  readonly kl: number;
  /** Nats of room that the guarded KL keeps. */
  readonly margin: number;
  /** Of the mean square of the logits' shift, which bounds how far positions never seen can move. */
  readonly spread: number;
}

/** Steps over batches of examples whose labels fire or stay hushed, plus the exact KL of a tied head. */
export class RowsTrainer {
  private constructor(
    readonly model: ModelWeights,
    readonly change: RowsChange,
    readonly reference: Reference | undefined,
    readonly program: TrainProgram,
  ) {}

  static async compile(
    model: ModelWeights,
    {
      reference,
      settings,
      device,
      ...parts
    }: RowsChangeParts & {
      readonly reference?: Reference;
      readonly settings: AdamW;
      readonly device: Device;
    },
  ): Promise<RowsTrainer> {
    const learnt = new RowsChange(parts);
    const { overlay, groups, metric } = learnt;
    const graph = new Graph(`${model.decoder.model_type}_rows`);
    const E = model.decoder.config.hidden_size;
    const R = overlay.ids.length;
    const own = parameter(graph, 'own', [R, E]);
    const parameters = new Map([['own', own]]);
    let change = own;
    if (groups) {
      const common = parameter(graph, 'common', [groups.count, E]);
      parameters.set('common', common);
      change = add(own, gemm(input(graph, 'group_of', 'float32', [R, groups.count]), common));
    }
    if (metric) change = gemm(change, input(graph, 'metric', 'float32', [E, E]));
    const base = input(graph, 'vanilla', 'float32', [R, E]);
    const rows = add(base, change);
    // A share of each row as it is by now, like the noise that it will be asked under: a changed row is larger than vanilla's.
    const size = sqrt(reduceMean(mul(rows, rows), 1)); // [R, 1]
    const shaken = add(rows, mul(input(graph, 'noise', 'float32', [R, E]), stopGradient(size)));
    const inputs = overlayInputs(graph, model.decoder, overlayShape(overlay)!, shaken);
    const logprobs = labelLogprobs(graph, model, frozenWeights(graph, model), inputs, {
      withPrefix: takesPrefix(model),
      alternatives: true,
    });
    const [fire, hush] = [input(graph, 'fire', 'float32', ['L']), input(graph, 'hush', 'float32', ['L'])];
    // A probability summed of two tokens may round to more than 1, whose complement has no logarithm.
    const silence = log(sub(1 + 1e-6, exp(min(logprobs, 0))));
    // What has been learnt weighs less: 1 − focus·p (Lin et al. 2017, with exponent 1), so that rows grow for hard keys only.
    const open = sub(1, mul(exp(logprobs), input(graph, 'focus', 'float32', [])));
    let loss = neg(sumAll(add(mul(fire, mul(open, logprobs)), mul(hush, silence))));
    graph.output('logprobs', logprobs);
    if (reference) {
      const { exact, guarded, spread } = klToVanilla(graph, model.decoder, change, R, E);
      graph.output('kl', exact);
      loss = add(loss, mul(guarded, input(graph, 'kl_weight', 'float32', [])));
      loss = add(loss, mul(spread, input(graph, 'spread_weight', 'float32', [])));
      graph.output('spread', spread);
    }
    const program = await TrainProgram.compile(graph, loss, parameters, settings, {
      folder: model.weightsFolder,
      device,
    });
    return new RowsTrainer(model, learnt, reference, program);
  }

  /** @param noise added to the rows for this step alone, each row's as a share of its root mean square [R, E] */
  async step(
    state: TrainState,
    batch: readonly Example[],
    rate: number,
    weights: LossWeights,
    noise: Float32Array,
  ): Promise<StepResult & { kl: number; spread: number; logprobs: Float32Array }> {
    const { overlay, vanilla, groups, metric, E } = this.change;
    const R = overlay.ids.length;
    const ref = this.reference;
    const feeds: Record<string, Feed> = batchFeeds(this.model, batch, overlay, takesPrefix(this.model));
    feeds.focus = { data: Float32Array.of(weights.focus), shape: [] };
    feeds.noise = { data: noise, shape: [R, E] };
    feeds.vanilla = { data: vanilla, shape: [R, E] };
    if (metric) feeds.metric = { data: metric, shape: [E, E] };
    if (ref)
      Object.assign(feeds, {
        ref_hidden: { data: ref.hidden, shape: [ref.count, E] },
        ref_probability: { data: ref.probability, shape: [ref.count, R] },
        ...(ref.products && { ref_products: { data: ref.products, shape: [ref.count, R] } }),
        ref_weight: { data: ref.weight, shape: [ref.count] },
        kl_weight: { data: Float32Array.of(weights.kl), shape: [] },
        kl_margin: { data: Float32Array.of(weights.margin), shape: [] },
        spread_weight: { data: Float32Array.of(weights.spread), shape: [] },
      });
    if (groups) feeds.group_of = membership(groups);
    const result = await this.program.step(state, feeds, rate);
    return {
      ...result,
      kl: (result.outputs.kl?.data[0] as number | undefined) ?? 0,
      spread: Math.sqrt((result.outputs.spread?.data[0] as number | undefined) ?? 0),
      logprobs: result.outputs.logprobs!.data as Float32Array,
    };
  }

  /** As `RowsChange` says. */
  start(): TrainState {
    return this.change.start();
  }

  putBack(state: TrainState, ids: ReadonlySet<number>): TrainState {
    return this.change.putBack(state, ids);
  }

  rows(state: TrainState): Float32Array {
    return this.change.rows(state);
  }

  async release(): Promise<void> {
    await this.program.release();
  }
}

/** What an encoder reads, it reads whole: there is nothing before a text that could be kept. */
const takesPrefix = ({ decoder }: ModelWeights): boolean => decoder.encoder === undefined;

function membership({ count, of }: Groups): Feed {
  const data = new Float32Array(of.length * count);
  of.forEach((group, row) => {
    data[row * count + group] = 1;
  });
  return { data, shape: [of.length, count] };
}
