// How two models' distributions differ at the same positions. Logits of both exist for a few rows at a time; what stays of a
// row is five numbers.

import { Graph, type Value } from '../engine/graph.ts';
import { add, exp, greaterEqual, min, mul, sub, where } from '../engine/ops/arithmetic.ts';
import { input } from '../engine/ops/leaves.ts';
import { logSoftmax, softmax, takeLast } from '../engine/ops/normalise.ts';
import { argmax, reduceSum, reshape } from '../engine/ops/shape.ts';
import { Program } from '../engine/program.ts';
import type { Device } from '../engine/session.ts';
import { headLogits } from '../models/embedding.ts';
import type { ModelWeights } from '../models/model.ts';
import { frozenWeights } from '../models/prompt.ts';

/** Logits of one run of a head: memory against speed. */
const CELLS = 2 ** 23;
/** Of one run that compares them: a dozen steps over tensors of that size, which stay in the processor's cache. */
const COMPARED_CELLS = 2 ** 17;
const LEAST_ROWS = 32;
/** A product of a single row would go another way than one of many. */
const AT_LEAST = 2;
/** Below it e^d − 1 − d comes from its series: the difference itself would lose most of its digits. */
const SMALL = 0.25;
/** e^80 is still a float32. What is larger is left to the sum of logarithms. */
const LARGEST = 80;
/** How far the two ways to KL may lie apart, in nats, before the finer one is taken to have overflowed. */
const APART = 1e-4;

export interface PositionDifference {
  /** KL(a ‖ b), nats. */
  readonly kl: number;
  /** Natural log-probability of the token that follows, under each model. */
  readonly before: number;
  readonly after: number;
  /** Whether greedy decoding would choose another token. */
  readonly changed: boolean;
}

/** Final hidden states [N, E] of each model at the same N positions, and the tokens that follow. */
export interface Pair {
  readonly before: Float32Array;
  readonly after: Float32Array;
  readonly labels: readonly number[];
}

/** Compiled heads of two models of one vocabulary, and what compares their logits. Dispose of it with `release`. */
export class Divergence {
  private constructor(
    private readonly heads: readonly [Head, Head],
    private readonly difference: Program,
    private readonly vocabulary: number,
  ) {}

  static async compile(
    [a, deviceA]: readonly [ModelWeights, Device],
    [b, deviceB]: readonly [ModelWeights, Device],
  ): Promise<Divergence> {
    const V = a.decoder.config.vocab_size;
    const heads = [await Head.compile(a, deviceA), await Head.compile(b, deviceB)] as const;
    return new Divergence(heads, await Program.compile(differenceGraph(V), undefined, deviceA), V);
  }

  /** Of each position, in order. */
  async at({ before, after, labels }: Pair): Promise<PositionDifference[]> {
    const V = this.vocabulary;
    const rows = Math.max(LEAST_ROWS, Math.floor(CELLS / V));
    const own = Math.max(AT_LEAST, Math.floor(COMPARED_CELLS / V));
    const found: PositionDifference[] = [];
    for (let at = 0; at < labels.length; at += rows) {
      const count = Math.min(rows, labels.length - at);
      const fed = Math.max(AT_LEAST, count);
      const [a, b] = [
        await this.heads[0].logits(before, at, count, fed),
        await this.heads[1].logits(after, at, count, fed),
      ];
      for (let row = 0; row < count; row += own) {
        const taken = Math.min(own, count - row);
        const shape = [taken, V];
        const part = (logits: Float32Array) => ({ data: logits.subarray(row * V, (row + taken) * V), shape });
        const out = await this.difference.run({
          a: part(a),
          b: part(b),
          labels: { data: Int32Array.from(labels.slice(at + row, at + row + taken)), shape: [taken] },
        });
        const column = (name: string) => out[name]!.data as Float32Array;
        for (let i = 0; i < taken; i++)
          found.push({
            kl: klOf(column('growth')[i]!, column('mean')[i]!),
            before: column('before')[i]!,
            after: column('after')[i]!,
            changed: column('best_a')[i] !== column('best_b')[i],
          });
      }
    }
    return found;
  }

  async release(): Promise<void> {
    for (const head of this.heads) await head.release();
    await this.difference.release();
  }
}

class Head {
  private constructor(
    private readonly program: Program,
    private readonly width: number,
  ) {}

  static async compile(model: ModelWeights, device: Device): Promise<Head> {
    const { decoder } = model;
    const graph = new Graph(`${decoder.model_type}_logits`);
    const hidden = input(graph, 'hidden', 'float32', ['N', decoder.config.hidden_size]);
    graph.output('logits', headLogits(decoder, frozenWeights(graph, model), hidden));
    return new Head(await Program.compile(graph, model.weightsFolder, device), decoder.config.hidden_size);
  }

  /** float32 [fed, V] of `count` rows from `at`; what is fed beyond them is zero. */
  async logits(hidden: Float32Array, at: number, count: number, fed: number): Promise<Float32Array> {
    const data = new Float32Array(fed * this.width);
    data.set(hidden.subarray(at * this.width, (at + count) * this.width));
    return (await this.program.run({ hidden: { data, shape: [fed, this.width] } })).logits!
      .data as Float32Array;
  }

  release(): Promise<void> {
    return this.program.release();
  }
}

/**
 * With d the shift of each logit less its mean Σ p d under the first model, KL = log Σ p e^d = log(1 + Σ p (e^d − 1 − d)):
 * all terms are positive, so that a divergence of 1e-9 keeps its digits in float32. Equal logits give zero exactly.
 */
function differenceGraph(V: number): Graph {
  const graph = new Graph('difference');
  const a = input(graph, 'a', 'float32', ['N', V]);
  const b = input(graph, 'b', 'float32', ['N', V]);
  const labels = input(graph, 'labels', 'int32', ['N']);
  const p = softmax(a);
  const [logA, logB] = [logSoftmax(a), logSoftmax(b)];
  const raw = sub(b, a);
  const d = sub(raw, reshape(reduceSum(mul(p, raw), [1]), ['N', 1]));
  graph.output('growth', reduceSum(mul(p, excess(d)), [1]));
  graph.output('mean', reduceSum(mul(p, sub(logB, logA)), [1]));
  graph.output('before', takeLast(logA, labels));
  graph.output('after', takeLast(logB, labels));
  graph.output('best_a', argmax(a));
  graph.output('best_b', argmax(b));
  return graph;
}

/** e^d − 1 − d. */
function excess(d: Value): Value {
  let series: Value = add(mul(d, 1 / 7), 1);
  for (const n of [6, 5, 4, 3]) series = add(mul(mul(d, 1 / n), series), 1);
  const near = mul(mul(mul(d, d), 0.5), series);
  const far = sub(sub(exp(min(d, LARGEST)), 1), d);
  return where(greaterEqual(SMALL * SMALL, mul(d, d)), near, far);
}

/** @param mean Σ p (log q − log p): −KL, in float32 good to about 1e-6 nats, whatever the logits are */
function klOf(growth: number, mean: number): number {
  const fine = Math.log1p(growth);
  const coarse = Math.max(0, -mean);
  return Math.abs(fine - coarse) <= APART * (1 + coarse) ? fine : coarse;
}
