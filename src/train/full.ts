// Full-parameter training of small models: weights and moments are fed and fetched each step.

import { Graph, type Value } from '../engine/graph.ts';
import { mul, neg } from '../engine/ops/arithmetic.ts';
import { input } from '../engine/ops/leaves.ts';
import { sumAll } from '../engine/ops/shape.ts';
import type { Device } from '../engine/session.ts';
import type { Model } from '../models/encode.ts';
import type { Example } from '../models/example.ts';
import { batchFeeds, labelLogprobs } from './forward.ts';
import type { AdamW } from './optimiser.ts';
import { parameter, type StepResult, TrainProgram, type TrainState } from './state.ts';

/** Mean cross-entropy over the labels of a batch (each label's weight is its share), every parameter trained. */
export class FullTrainer {
  private constructor(
    readonly model: Model,
    readonly program: TrainProgram,
  ) {}

  static async compile(model: Model, settings: AdamW, device: Device): Promise<FullTrainer> {
    const graph = new Graph(`${model.decoder.model_type}_train`);
    const parameters = new Map<string, Value>(
      [...model.decoder.shapes].map(([name, shape]) => [name, parameter(graph, name, shape)]),
    );
    const logprobs = labelLogprobs(graph, model, (name) => parameters.get(name)!, undefined);
    const loss = neg(sumAll(mul(logprobs, input(graph, 'fire', 'float32', ['L']))));
    return new FullTrainer(model, await TrainProgram.compile(graph, loss, parameters, settings, { device }));
  }

  step(state: TrainState, batch: readonly Example[], rate: number): Promise<StepResult> {
    return this.program.step(state, batchFeeds(this.model, batch, undefined, false), rate);
  }

  async release(): Promise<void> {
    await this.program.release();
  }
}
