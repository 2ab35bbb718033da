// AdamW over parameters of any size: the update written in ops, run over slices in place, so that it needs no memory
// beside parameters, gradients and moments (whole tensors would leave as many temporaries again). Each core takes whole
// slices: shared by several threads, an operation of microseconds is mostly waiting for the others.

import { cores } from '../base/cores.ts';
import { Graph } from '../engine/graph.ts';
import { mul, sub } from '../engine/ops/arithmetic.ts';
import { input } from '../engine/ops/leaves.ts';
import { sumAll } from '../engine/ops/shape.ts';
import { Program } from '../engine/program.ts';
import type { Device, Feed } from '../engine/session.ts';
import { type AdamW, adamW, decayOf, stepFeeds, stepInputs } from './optimiser.ts';
import type { Slot } from './step.ts';

/** Elements of a slice: its four tensors and the temporaries stay in a core's cache. */
const SLICE = 65_536;
/** Slices under way at once: Node runs four such calls at a time (libuv's pool). */
const MOST_LANES = 4;

export type Gradients = ReadonlyMap<string, Float32Array>;

export class SlicedAdamW {
  private constructor(
    readonly settings: AdamW,
    readonly update: Program,
    readonly squares: Program,
    /** Slices under way at once. */
    readonly lanes: number,
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
    const next = adamW(settings, 0, inputs, kept, scaled, m, v);
    graph.output('parameter.new', next.parameter);
    graph.output('m.new', next.m);
    graph.output('v.new', next.v);
    const norm = new Graph('squares');
    norm.line = 'optimiser';
    const x = input(norm, 'x', 'float32', ['N']);
    norm.output('sum', sumAll(mul(x, x)));
    const single = { ...device, threads: 1 };
    return new SlicedAdamW(
      settings,
      await Program.compile(graph, undefined, single),
      await Program.compile(norm, undefined, single),
      device.provider === 'cpu' ? Math.min(MOST_LANES, device.threads ?? cores()?.usable ?? 1) : 1,
    );
  }

  /** √Σ|g|² over all gradients. */
  async norm(gradients: Gradients): Promise<number> {
    const parts = [...gradients.values()].flatMap((data) =>
      slices(data.length).map((part) => ({ data, part })),
    );
    const sums: number[] = [];
    await inLanes(this.lanes, parts, async ({ data, part }, i) => {
      const out = await this.squares.run({ x: vector(data, part) });
      sums[i] = out.sum!.data[0] as number;
    });
    return Math.sqrt(sums.reduce((all, sum) => all + sum, 0)); // in order: the same on any number of cores
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
    const parts = [...gradients].flatMap(([name, gradient]) => {
      const slot = slots.get(name)!;
      const decay = scalar(decayOf(this.settings, name, slot.shape));
      return slices(gradient.length).map((part) => ({ slot, gradient, decay, part }));
    });
    await inLanes(this.lanes, parts, async ({ slot: { value, m, v }, gradient, decay, part }) => {
      const own = { parameter: vector(value, part), m: vector(m, part), v: vector(v, part) };
      await this.update.run(
        { ...shared, ...own, decay, gradient: vector(gradient, part) },
        { 'parameter.new': own.parameter, 'm.new': own.m, 'v.new': own.v },
      );
    });
  }

  async release(): Promise<void> {
    await this.update.release();
    await this.squares.release();
  }
}

const slices = (length: number): (readonly [start: number, end: number])[] =>
  Array.from({ length: Math.ceil(length / SLICE) }, (_, i) => [i * SLICE, Math.min((i + 1) * SLICE, length)]);

/** Every job once, so many at a time. */
async function inLanes<T>(
  lanes: number,
  jobs: readonly T[],
  work: (job: T, i: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < jobs.length) {
      const i = next++;
      await work(jobs[i]!, i);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

const vector = (data: Float32Array, [start, end]: readonly [number, number]): Feed => ({
  data: data.subarray(start, end),
  shape: [end - start],
});
