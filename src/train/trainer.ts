// A step of training whatever of a model trains: gradients in one graph, part by part of the batch, then AdamW in place.

import { assert, WhorlError } from '../base/error.ts';
import { gradients } from '../engine/autodiff.ts';
import { Graph } from '../engine/graph.ts';
import { mul, neg } from '../engine/ops/arithmetic.ts';
import { input } from '../engine/ops/leaves.ts';
import { sumAll } from '../engine/ops/shape.ts';
import { Program } from '../engine/program.ts';
import type { Recompute } from '../engine/recompute.ts';
import { cpu, type Device, type Feed } from '../engine/session.ts';
import type { Example } from '../models/example.ts';
import type { ModelWeights } from '../models/model.ts';
import { overlayInputs, overlayShape, PUBLISHED } from '../models/overlay.ts';
import { elements } from '../tensor/tensor.ts';
import { type Gradients, SlicedAdamW } from './adamw-sliced.ts';
import { batchFeeds, labelLogprobs } from './forward.ts';
import type { AdamW } from './optimiser.ts';
import { parameter, type TrainState } from './step.ts';
import { type ActingPrecision, bindTrains, EVERYTHING, type Trained, type Trains } from './trains.ts';

export interface TrainerOptions {
  readonly settings: AdamW;
  /** Default: everything. */
  readonly trains?: Trains;
  readonly device?: Device;
  /** What the backward pass computes again; default: nothing. Lowers the peak of memory. */
  readonly recompute?: Recompute;
  readonly precision?: ActingPrecision;
  /** The batch in parts that are run one after another; default: in one. */
  readonly split?: (batch: readonly Example[]) => Example[][];
}

const gradientOf = (name: string): string => `${name}.grad`;

type Outputs = Readonly<Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>>;

/** Σ weight·(−log p) over the labels of a batch: a mean where each label's weight is its share of the whole batch. */
export class Trainer {
  #sum: Outputs | undefined;
  #part: Outputs | undefined;

  private constructor(
    readonly model: ModelWeights,
    readonly trained: Trained,
    readonly program: Program,
    readonly optimiser: SlicedAdamW,
    readonly split: (batch: readonly Example[]) => Example[][],
  ) {}

  static async compile(model: ModelWeights, options: TrainerOptions): Promise<Trainer> {
    const { trains = EVERYTHING, device = cpu, recompute = 'nothing', precision = 'float32' } = options;
    const trained = bindTrains(trains, model);
    const graph = new Graph(`${model.decoder.model_type}_train`);
    const parameters = new Map(
      [...trained.shapes].map(([name, shape]) => [name, parameter(graph, name, shape)]),
    );
    const overlay =
      trained.overlay &&
      overlayInputs(graph, model.decoder, overlayShape(trained.overlay)!, parameters.get('rows'));
    const weights = trained.weights(graph, parameters, precision);
    const ofHead = trained.ofHead?.(weights);
    const logprobs = labelLogprobs(graph, model, weights, overlay, ofHead && { ofHead });
    const loss = neg(sumAll(mul(logprobs, input(graph, 'fire', 'float32', ['L']))));
    graph.output('loss', loss);
    const names = [...parameters.keys()];
    gradients(loss, [...parameters.values()], recompute).forEach((g, i) => {
      graph.output(gradientOf(names[i]!), g);
    });
    const program = await Program.compile(graph, model.weightsFolder || undefined, device);
    return new Trainer(
      model,
      trained,
      program,
      await SlicedAdamW.compile(options.settings, device),
      options.split ?? ((batch) => [[...batch]]),
    );
  }

  start(seed = 0n): TrainState {
    return this.trained.start(seed);
  }

  /** Loss and gradients of a whole batch, summed over its parts. The gradients are written over by the next call. */
  async gradients(
    state: TrainState,
    batch: readonly Example[],
  ): Promise<{ loss: number; gradients: Gradients }> {
    const { overlay } = this.trained;
    const seen = overlay ? batch.map((example) => ({ ...example, variant: PUBLISHED })) : batch;
    const values: Record<string, Feed> = {};
    for (const [name, { shape, value }] of state.slots) values[name] = { shape, data: value };
    const sum = (this.#sum ??= this.#outputs());
    let loss = 0;
    for (const [i, part] of this.split(seen).entries()) {
      const own = i === 0 ? sum : (this.#part ??= this.#outputs());
      await this.program.run({ ...batchFeeds(this.model, part, overlay, false), ...values }, own);
      loss += own.loss!.data[0]!;
      if (own !== sum)
        for (const name of this.trained.shapes.keys())
          accumulate(sum[gradientOf(name)]!.data, own[gradientOf(name)]!.data);
    }
    const names = [...this.trained.shapes.keys()];
    return { loss, gradients: new Map(names.map((name) => [name, sum[gradientOf(name)]!.data])) };
  }

  /** Memory that the engine writes loss and gradients into. */
  #outputs(): Outputs {
    const memory = (shape: readonly number[]) => ({ shape, data: new Float32Array(elements(shape)) });
    const gradients = [...this.trained.shapes].map(([name, shape]) => [gradientOf(name), memory(shape)]);
    return { loss: memory([]), ...Object.fromEntries(gradients) };
  }

  /**
   * One step. Values and moments are changed in place: the state that was given is the new one but for its count.
   * @throws WhorlError `not-reached` when loss or gradient are not finite; then nothing was changed
   */
  async step(
    state: TrainState,
    batch: readonly Example[],
    rate: number,
  ): Promise<{ state: TrainState; loss: number; norm: number }> {
    assert(
      [...this.trained.shapes.keys()].every((name) => state.slots.has(name)),
      'a state of other parameters',
    );
    const { loss, gradients: sum } = await this.gradients(state, batch);
    const norm = await this.optimiser.norm(sum);
    if (!Number.isFinite(loss) || !Number.isFinite(norm))
      throw new WhorlError(
        'not-reached',
        `step ${state.step + 1}: the loss is ${loss} and the gradient's norm ${norm}`,
        'lower the learning rate (lr), or the clipping (clip)',
      );
    await this.optimiser.apply(state.slots, sum, norm, rate, state.step + 1);
    return { state: { step: state.step + 1, slots: state.slots }, loss, norm };
  }

  async release(): Promise<void> {
    await this.program.release();
    await this.optimiser.release();
  }
}

function accumulate(sum: Float32Array, more: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += more[i]!;
}
