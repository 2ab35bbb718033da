// AdamW over parameters of any size: the update written in ops, run over slices in place, so that it needs no memory
// beside parameters, gradients and moments (whole tensors would leave as many temporaries again).

import { Graph } from '../engine/graph.ts';
import { mul, sub } from '../engine/ops/arithmetic.ts';
import { input } from '../engine/ops/leaves.ts';
import { sumAll } from '../engine/ops/shape.ts';
import { Program } from '../engine/program.ts';
import type { Device, Feed } from '../engine/session.ts';
import { type AdamW, adamW, decayOf, stepFeeds, stepInputs } from './optimiser.ts';
import type { Slot } from './state.ts';

/** Elements of a slice: its four tensors and the temporaries stay in the cache. */
const SLICE = 262_144;

export type Gradients = ReadonlyMap<string, Float32Array>;

export class SlicedAdamW {
  private constructor(
    readonly settings: AdamW,
    readonly update: Program,
    readonly squares: Program,
  ) {}

  static async compile(settings: AdamW, device: Device): Promise<SlicedAdamW> {
    const graph = new Graph('adamw');
    graph.line = 'optimiser';
    const vector = (name: string) => input(graph, name, 'float32', ['N']);
    const [parameter, gradient, m, v] = [vector('parameter'), vector('gradient'), vector('m'), vector('v')];
    const inputs = stepInputs(graph);
    const scaled = mul(gradient, input(graph, 'factor', 'float32', []));
    // Decay is an input, because it differs from parameter to parameter: p·(1 − ηλ), then AdamW's own step.
    const kept = mul(parameter, sub(1, mul(inputs.rate, input(graph, 'decay', 'float32', []))));
    const next = adamW({ ...settings, weight_decay: 0 }, inputs, kept, scaled, m, v);
    graph.output('parameter.new', next.parameter);
    graph.output('m.new', next.m);
    graph.output('v.new', next.v);
    const norm = new Graph('squares');
    norm.line = 'optimiser';
    const x = input(norm, 'x', 'float32', ['N']);
    norm.output('sum', sumAll(mul(x, x)));
    return new SlicedAdamW(
      settings,
      await Program.compile(graph, undefined, device),
      await Program.compile(norm, undefined, device),
    );
  }

  /** √Σ|g|² over all gradients. */
  async norm(gradients: Gradients): Promise<number> {
    let sum = 0;
    for (const data of gradients.values())
      for (const part of slices(data.length)) {
        const out = await this.squares.run({ x: vector(data, part) });
        sum += out.sum!.data[0] as number;
      }
    return Math.sqrt(sum);
  }

  /**
   * Changes values and moments of `slots` in place.
   * @param norm of the whole gradient, for clipping
   * @param step counts from 1
   */
  async apply(
    slots: ReadonlyMap<string, Slot>,
    gradients: Gradients,
    norm: number,
    rate: number,
    step: number,
  ): Promise<void> {
    const scalar = (x: number): Feed => ({ data: Float32Array.of(x), shape: [] });
    const shared = {
      ...stepFeeds(this.settings, rate, step),
      // As torch's clip_grad_norm_.
      factor: scalar(Math.min(1, this.settings.clip / (norm + 1e-6))),
    };
    for (const [name, gradient] of gradients) {
      const { shape, value, m, v } = slots.get(name)!;
      const decay = scalar(decayOf(this.settings, shape));
      for (const part of slices(value.length)) {
        const own = { parameter: vector(value, part), m: vector(m, part), v: vector(v, part) };
        await this.update.run(
          { ...shared, ...own, decay, gradient: vector(gradient, part) },
          { 'parameter.new': own.parameter, 'm.new': own.m, 'v.new': own.v },
        );
      }
    }
  }

  async release(): Promise<void> {
    await this.update.release();
    await this.squares.release();
  }
}

function* slices(length: number): Generator<readonly [number, number]> {
  for (let at = 0; at < length; at += SLICE) yield [at, Math.min(at + SLICE, length)];
}

const vector = (data: Float32Array, [start, end]: readonly [number, number]): Feed => ({
  data: data.subarray(start, end),
  shape: [end - start],
});
