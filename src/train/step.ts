// What training carries from step to step, and the program that takes a step: gradients, clipping, AdamW in one graph.

import { assert } from '../base/error.ts';
import { gradients } from '../engine/autodiff.ts';
import type { Graph, Value } from '../engine/graph.ts';
import { mul } from '../engine/ops/arithmetic.ts';
import { input } from '../engine/ops/leaves.ts';
import { Program, type Results } from '../engine/program.ts';
import type { Device, Feed } from '../engine/session.ts';
import { elements } from '../tensor/tensor.ts';
import { type AdamW, adamW, clipFactor, decayOf, globalNorm, stepFeeds, stepInputs } from './optimiser.ts';

/** One trained tensor and its moments. */
export interface Slot {
  readonly shape: readonly number[];
  readonly value: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

export interface TrainState {
  /** Steps taken. */
  readonly step: number;
  readonly slots: ReadonlyMap<string, Slot>;
}

/** @param values kept, not copied: training in place changes them */
export function freshState(
  values: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>,
): TrainState {
  const slots = new Map<string, Slot>();
  for (const [name, { shape, data }] of values) {
    assert(elements(shape) === data.length, `${name}: shape and values`);
    slots.set(name, {
      shape,
      value: data,
      m: new Float32Array(data.length),
      v: new Float32Array(data.length),
    });
  }
  return { step: 0, slots };
}

/** Declares a trained tensor as a graph input; `TrainProgram` adds its moments. */
export const parameter = (graph: Graph, name: string, shape: readonly number[]): Value =>
  input(graph, name, 'float32', shape);

export interface StepResult {
  readonly state: TrainState;
  readonly loss: number;
  /** Norm of the whole gradient before clipping. */
  readonly norm: number;
  /** Further outputs the graph declared. */
  readonly outputs: Results;
}

export class TrainProgram {
  private constructor(
    readonly program: Program,
    readonly settings: AdamW,
  ) {}

  /**
   * Adds backward pass and optimiser to a graph that computes a loss, and compiles it.
   * @param adjust changes a parameter after its update (a projection); default: nothing
   */
  static async compile(
    graph: Graph,
    loss: Value,
    parameters: ReadonlyMap<string, Value>,
    settings: AdamW,
    {
      folder,
      device,
      adjust = (value) => value,
    }: { folder?: string; device: Device; adjust?: (value: Value, name: string) => Value },
  ): Promise<TrainProgram> {
    const names = [...parameters.keys()];
    const raw = graph.within('loss (backward)', () => gradients(loss, [...parameters.values()]));
    graph.line = 'optimiser';
    const norm = globalNorm(raw);
    const factor = clipFactor(norm, settings.clip);
    const inputs = stepInputs(graph);
    names.forEach((name, i) => {
      const value = parameters.get(name)!;
      const [m, v] = [
        input(graph, `${name}.m`, 'float32', value.shape),
        input(graph, `${name}.v`, 'float32', value.shape),
      ];
      const clipped = settings.clip === Number.POSITIVE_INFINITY ? raw[i]! : mul(raw[i]!, factor);
      const next = adamW(settings, decayOf(settings, name, value.shape), inputs, value, clipped, m, v);
      graph.output(`${name}.new`, adjust(next.parameter, name));
      graph.output(`${name}.m.new`, next.m);
      graph.output(`${name}.v.new`, next.v);
    });
    graph.output('loss', loss);
    graph.output('norm', norm);
    return new TrainProgram(await Program.compile(graph, folder, device), settings);
  }

  async step(state: TrainState, feeds: Readonly<Record<string, Feed>>, rate: number): Promise<StepResult> {
    const step = state.step + 1;
    const carried: Record<string, Feed> = {};
    for (const [name, { shape, value, m, v }] of state.slots) {
      carried[name] = { shape, data: value };
      carried[`${name}.m`] = { shape, data: m };
      carried[`${name}.v`] = { shape, data: v };
    }
    const outputs = await this.program.run({ ...feeds, ...carried, ...stepFeeds(this.settings, rate, step) });
    const floats = (name: string) => outputs[name]!.data as Float32Array;
    const slots = new Map<string, Slot>();
    for (const [name, { shape }] of state.slots)
      slots.set(name, {
        shape,
        value: floats(`${name}.new`),
        m: floats(`${name}.m.new`),
        v: floats(`${name}.v.new`),
      });
    return { state: { step, slots }, loss: floats('loss')[0]!, norm: floats('norm')[0]!, outputs };
  }

  async release(): Promise<void> {
    await this.program.release();
  }
}
