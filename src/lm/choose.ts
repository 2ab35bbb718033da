// Decoding strategies: how the next token's column is chosen from logits, as part of a graph. One graph builder
// (decoder.ts) takes any of them.

import type { Graph, Type, Value } from '../engine/graph.ts';
import { cast, div, exp, greaterEqual, min, mul, sub, where } from '../engine/ops/arithmetic.ts';
import { gather } from '../engine/ops/gather.ts';
import { input, scalar } from '../engine/ops/leaves.ts';
import { loop } from '../engine/ops/loop.ts';
import { takeLast } from '../engine/ops/normalise.ts';
import { argmax, reduceSum, reshape, slice, sumAll } from '../engine/ops/shape.ts';
import { cumulativeSum, mark, top } from '../engine/ops/sort.ts';
import type { Feed } from '../engine/session.ts';
import type { Dim } from '../tensor/tensor.ts';
import type { FullSampling } from './sampling.ts';

/** One row of a batch as a strategy sees it. */
export interface Chooser {
  readonly sampling: FullSampling;
  /** A number in [0, 1) for each token of the run. */
  readonly uniforms: Float32Array;
  /** Columns of the head whose tokens stand in the prompt or the continuation so far. */
  readonly seen: Iterable<number>;
}

export interface Strategy {
  readonly name: string;
  /**
   * Declares its inputs in `graph`, their names behind `prefix`; `rows` names the batch's size, `width` is the number of
   * the head's columns.
   */
  build(
    graph: Graph,
    rows: Dim,
    width: number,
    prefix?: string,
  ): {
    /** Carried from token to token. */
    readonly start: readonly Value[];
    readonly types: readonly Type[];
    /** The state after `column` has been chosen without this graph's doing. */
    note(state: readonly Value[], column: Value): readonly Value[];
    /** logits [rows, width] and the token's number in this run (int32 scalar) → int32 [rows]. */
    choose(logits: Value, step: Value, state: readonly Value[]): { column: Value; state: readonly Value[] };
  };
  feeds(rows: readonly Chooser[], width: number, steps: number): Record<string, Feed>;
}

/** The most probable token, of equals the first. */
export const GREEDY: Strategy = {
  name: 'greedy',
  build: () => ({
    start: [],
    types: [],
    note: () => [],
    choose: (logits) => ({ column: argmax(logits), state: [] }),
  }),
  feeds: () => ({}),
};

/** Columns that are sorted first. Where they cannot decide a token, all are: 20 rows of 49,152 take 90 ms, 512 of them 4. */
const CANDIDATES = 512;

/** How many columns a row's first sort takes: a function of its own settings, so that its sums never depend on its batch. */
export function candidates({ top_k }: FullSampling): number {
  let count = CANDIDATES;
  while (count <= top_k) count *= 2;
  return count;
}

interface Settings {
  readonly topP: Value;
  readonly kth: Value;
  readonly limited: Value;
  readonly restricted: Value;
  readonly u: Value;
}

const column = (x: Value): Value => reshape(x, [x.shape[0]!, 1]);
const on = (flag: Value): Value => greaterEqual(flag, 0.5);
const LOWEST = -3e38;

/**
 * The token at which the running sum of the kept probabilities, largest first, passes u of their total.
 * @param z penalised and tempered logits [B, W]
 * @param count how many columns to sort
 * @returns also whether the sorted columns decide it (float32 [B], 1 or 0)
 */
function draw(z: Value, count: Value, dim: Dim, s: Settings): { column: Value; covered: Value } {
  const { values, columns } = top(z, count, dim); // [B, C]
  const peak = slice(values, 1, 0, 1); // [B, 1]
  const floor = where(on(s.limited), takeLast(values, s.kth), LOWEST); // the k-th largest
  const p = where(greaterEqual(values, column(floor)), exp(sub(values, peak)), 0);
  const all = reduceSum(exp(sub(z, peak)), [1]);
  const total = where(on(s.limited), reduceSum(p, [1]), all); // what top-p's probabilities are shares of
  // As in transformers: a token stays while those more probable than it do not yet reach p.
  const before = div(cumulativeSum(p, true), column(total));
  const kept = where(greaterEqual(before, column(s.topP)), 0, p);
  const mass = where(on(s.restricted), reduceSum(kept, [1]), total);
  const target = mul(s.u, mass);
  const passed = reduceSum(cast(greaterEqual(column(target), cumulativeSum(kept)), 'float32'), [1]);
  const living = reduceSum(sub(1, cast(greaterEqual(0, kept), 'float32')), [1]);
  const rank = cast(min(passed, sub(living, 1)), 'int32');
  // Decided: something was cut off behind the kept ones; without top-k and top-p, the sum passed its mark.
  const size = reduceSum(cast(greaterEqual(values, LOWEST), 'float32'), [1]);
  const finite = reduceSum(sub(1, cast(greaterEqual(0, p), 'float32')), [1]);
  const reach = where(on(s.limited), finite, where(on(s.restricted), living, passed));
  return { column: takeLast(columns, rank), covered: sub(1, cast(greaterEqual(reach, size), 'float32')) };
}

/** Temperature, top-k and top-p; with `penalty` also the repetition penalty, which needs to know what has been seen. */
export function sampled(penalty: boolean): Strategy {
  return {
    name: penalty ? 'penalised' : 'sampled',
    build(graph, rows, width, prefix = '') {
      const row = (name: string) => input(graph, prefix + name, 'float32', [rows]);
      const [temperature, topP, limited, restricted] = [
        row('temperature'),
        row('top_p'),
        row('top_k_on'),
        row('restricted'),
      ];
      const kth = input(graph, `${prefix}top_k_column`, 'int32', [rows]);
      const first = input(graph, `${prefix}candidates`, 'int32', []);
      const uniforms = input(graph, `${prefix}uniforms`, 'float32', [`${prefix}U`, rows]);
      const factor = penalty ? row('repetition_penalty') : undefined;
      const seen = penalty ? [input(graph, `${prefix}seen`, 'float32', [rows, width])] : [];
      const note = (state: readonly Value[], chosen: Value): Value[] =>
        state.map((now) => mark(now, column(chosen), cast(greaterEqual(column(chosen), 0), 'float32')));
      return {
        start: seen,
        types: seen.map(({ type }) => type),
        note,
        choose(logits, step, [seenNow]) {
          let scores = logits;
          if (seenNow && factor) {
            const f = column(factor);
            const changed = where(greaterEqual(logits, 0), div(logits, f), mul(logits, f));
            scores = where(on(seenNow), changed, logits);
          }
          const z = div(scores, column(temperature));
          const u = reshape(gather(uniforms, reshape(step, [1])), [rows]);
          const settings = { topP, kth, limited, restricted, u };
          const few = draw(z, first, 'C', settings);
          const undecided = greaterEqual(sumAll(sub(1, few.covered)), 0.5);
          // A loop of at most one round: sorts everything, for the rows that need it. The width is carried into it: what
          // depends on nothing of a loop's own is computed before it, whether it runs or not.
          const every = scalar(graph, width, 'int32');
          const [chosen] = loop(
            cast(undecided, 'int32'),
            undecided,
            [few.column, every],
            [few.column.type, every.type],
            ([before, columns]) => ({
              more: undecided,
              carried: [where(on(few.covered), before!, draw(z, columns!, width, settings).column), columns!],
              collected: [],
            }),
          );
          return { column: chosen!, state: note(seenNow ? [seenNow] : [], chosen!) };
        },
      };
    },
    feeds(rows, width, steps) {
      const B = rows.length;
      const floats = (of: (s: FullSampling) => number): Feed => ({
        data: Float32Array.from(rows, ({ sampling }) => of(sampling)),
        shape: [B],
      });
      const draws = new Float32Array(steps * B);
      rows.forEach((row, b) => {
        if (row.sampling.temperature === 0) return; // 0 draws the first of equals
        for (let step = 0; step < steps; step++) draws[step * B + b] = row.uniforms[step]!;
      });
      const settled = rows.map(({ sampling }) => settle(sampling));
      const feeds: Record<string, Feed> = {
        temperature: { data: Float32Array.from(settled, (s) => s.temperature), shape: [B] },
        // 2 where there is no top-p: rounding must not cut the tail off.
        top_p: { data: Float32Array.from(settled, (s) => (s.top_p < 1 ? s.top_p : 2)), shape: [B] },
        top_k_on: { data: Float32Array.from(settled, (s) => (s.top_k > 0 ? 1 : 0)), shape: [B] },
        restricted: {
          data: Float32Array.from(settled, (s) => (s.top_k > 0 || s.top_p < 1 ? 1 : 0)),
          shape: [B],
        },
        top_k_column: {
          data: Int32Array.from(settled, (s) => Math.min(Math.max(1, s.top_k), width) - 1),
          shape: [B],
        },
        candidates: {
          data: Int32Array.of(Math.min(width, Math.max(...settled.map(candidates)))),
          shape: [],
        },
        uniforms: { data: draws, shape: [steps, B] },
      };
      if (!penalty) return feeds;
      const seen = new Float32Array(B * width);
      rows.forEach((row, b) => {
        for (const at of row.seen) seen[b * width + at] = 1;
      });
      return {
        ...feeds,
        repetition_penalty: floats((s) => s.repetition_penalty),
        seen: { data: seen, shape: [B, width] },
      };
    },
  };
}

/** Temperature 0 is the most probable token: top-k of one, the first of equals. */
const settle = (sampling: FullSampling): FullSampling =>
  sampling.temperature > 0 ? sampling : { ...sampling, temperature: 1, top_k: 1, top_p: 1 };

const SAMPLED = sampled(false);
const PENALISED = sampled(true);

/** The cheapest strategy that does what is asked. */
export const strategyOf = ({ temperature, repetition_penalty }: FullSampling): Strategy =>
  repetition_penalty !== 1 ? PENALISED : temperature > 0 ? SAMPLED : GREEDY;
