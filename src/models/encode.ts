// The forward pass without gradients over packed prompts: hidden states, label log-probabilities, key-value caches.

import { Graph, type Value } from '../engine/graph.ts';
import { gather } from '../engine/ops/gather.ts';
import { input, weight } from '../engine/ops/leaves.ts';
import { logSoftmax, takeLast } from '../engine/ops/normalise.ts';
import { argmax } from '../engine/ops/shape.ts';
import { Program } from '../engine/program.ts';
import type { Device, Feed } from '../engine/session.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import { type Cache, packInputs, promptAttention, ropeInputs } from './blocks/attention.ts';
import { ropeTables } from './blocks/rope.ts';
import type { Decoder, Weights } from './family.ts';
import {
  embed,
  headColumn,
  headLogits,
  type Overlay,
  type OverlayInputs,
  type OverlayShape,
  overlayFeeds,
  overlayInputs,
  overlayShape,
  rowIndex,
  type Switches,
  VANILLA,
  type Variant,
} from './overlay.ts';
import { type Packed, packLengths } from './pack.ts';

/** A family with its weights where they lie. */
export interface Model {
  readonly decoder: Decoder;
  readonly tensors: ReadonlyMap<string, TensorRef>;
  /** The real folder that holds every tensor's file. */
  readonly folder: string;
}

export const frozenWeights =
  (graph: Graph, model: Model): Weights =>
  (name) =>
    weight(graph, model.tensors.get(name)!, name);

/** One sequence to run. `wanted` are the rows (indices into tokens) whose hidden states matter. */
export interface EncodeRequest {
  readonly tokens: readonly number[];
  readonly wanted: readonly number[];
  /** For each wanted row, the token whose log-probability is asked. */
  readonly labels?: readonly number[];
  readonly variant?: Variant;
}

/** The prompt part that scoring, generating and prefix caching share. */
export interface PromptGraph {
  readonly graph: Graph;
  readonly weights: Weights;
  readonly overlay: OverlayInputs | undefined;
  readonly rope: { readonly cos: Value; readonly sin: Value };
  readonly last: Value;
  readonly total: Value;
  readonly hidden: Value; // [T, E]
  readonly cache: Cache;
}

export function promptGraph(name: string, model: Model, shape: OverlayShape | undefined): PromptGraph {
  const graph = new Graph(name);
  const { decoder } = model;
  const weights = frozenWeights(graph, model);
  const ids = input(graph, 'ids', 'int32', ['T']);
  const pack = packInputs(graph);
  const rope = ropeInputs(graph, decoder.config);
  const overlay = shape && overlayInputs(graph, decoder, shape);
  const on: Switches | undefined = overlay && {
    rows: input(graph, 'rows_on', 'float32', ['T']),
    adapter: input(graph, 'adapter_on', 'float32', ['T']),
  };
  const last = input(graph, 'last', 'int32', ['B']);
  const total = input(graph, 'total', 'int32', []);
  const cache: Cache = [];
  const x = embed(decoder, weights, ids, overlay, on);
  const hidden = decoder.hidden(weights, x, promptAttention(decoder.config, pack, rope, last, total, cache));
  return { graph, weights, overlay, rope, last, total, hidden, cache };
}

/** Feeds of `promptGraph`. `extra` positions are room in the rotary tables for what is decoded later. */
export function promptFeeds(
  model: Model,
  overlay: Overlay | undefined,
  prompts: readonly (readonly number[])[],
  variants: readonly Variant[],
  extra = 0,
): { packed: Packed; feeds: Record<string, Feed> } {
  const packed = packLengths(prompts.map((prompt) => prompt.length));
  const { T, S, B } = packed;
  const rope = ropeTables(model.decoder.config, S + extra);
  const spread = (on: (variant: Variant) => boolean): Feed => {
    const data = new Float32Array(T);
    prompts.forEach((prompt, b) =>
      data.fill(on(variants[b]!) ? 1 : 0, packed.offsets[b]!, packed.offsets[b]! + prompt.length),
    );
    return { data, shape: [T] };
  };
  return {
    packed,
    feeds: {
      ids: { data: Int32Array.from(prompts.flat()), shape: [T] },
      ...packed.feeds,
      ...rope,
      last: { data: Int32Array.from(packed.lengths, (n) => n - 1), shape: [B] },
      total: { data: Int32Array.of(S), shape: [] },
      ...(overlay && {
        rows_on: spread((v) => v.rows),
        adapter_on: spread((v) => v.adapter),
        ...overlayFeeds(overlay, model.decoder),
      }),
    },
  };
}

/** The smallest batch and prompt a run may hold: a matrix product with one row takes another kernel, with other last bits. */
const AT_LEAST = 2;

export function padded<T>(requests: readonly T[]): T[] {
  return requests.length >= AT_LEAST
    ? [...requests]
    : [...requests, ...requests, ...requests].slice(0, AT_LEAST);
}

export interface Encoded {
  /** float32 [wanted, E] */
  readonly hidden: Float32Array;
  /** Natural log-probability of each label. */
  readonly logprobs: Float32Array;
  /** Whether each label is the most probable token. */
  readonly greedy: boolean[];
}

/** Compiled forward passes over one model (and overlay sizes). Dispose of it with `release`. */
export class Encoder {
  #programs = new Map<string, Promise<Program>>();
  constructor(
    readonly model: Model,
    readonly overlay: Overlay | undefined,
    readonly device: Device,
  ) {}

  #program(kind: 'hidden' | 'labels' | 'cache'): Promise<Program> {
    let program = this.#programs.get(kind);
    if (!program) this.#programs.set(kind, (program = this.#compile(kind)));
    return program;
  }

  async #compile(kind: 'hidden' | 'labels' | 'cache'): Promise<Program> {
    const { decoder } = this.model;
    const { graph, weights, overlay, hidden, cache } = promptGraph(
      `${decoder.model_type}_${kind}`,
      this.model,
      overlayShape(this.overlay),
    );
    if (kind === 'cache') {
      cache.forEach(([keys, values], layer) => {
        graph.output(`keys_${layer}`, keys);
        graph.output(`values_${layer}`, values);
      });
    } else {
      const h = gather(hidden, input(graph, 'wanted', 'int32', ['L'])); // [L, E]
      if (kind === 'hidden') graph.output('hidden', h);
      else {
        const on = overlay && input(graph, 'labels_on', 'float32', ['L']);
        const labels = input(graph, 'labels', 'int32', ['L']);
        const logits = headLogits(decoder, weights, h, overlay, on);
        graph.output('logprobs', takeLast(logSoftmax(logits), labels));
        graph.output('best', argmax(logits));
      }
    }
    return Program.compile(graph, this.model.folder, this.device);
  }

  /** Final hidden states [wanted, E] of each request. */
  async hidden(requests: readonly EncodeRequest[]): Promise<Float32Array[]> {
    const { out, split } = await this.#run('hidden', requests);
    return split(out.hidden!.data as Float32Array, this.model.decoder.config.hidden_size);
  }

  /** Log-probability of each label, and whether greedy decoding would choose it. */
  async labels(requests: readonly EncodeRequest[]): Promise<{ logprobs: Float32Array; greedy: boolean[] }[]> {
    const { out, split, columns } = await this.#run('labels', requests);
    const logprobs = split(out.logprobs!.data as Float32Array, 1);
    const best = out.best!.data as Int32Array;
    const hits = split(
      Float32Array.from(columns, (column, i) => (best[i] === column ? 1 : 0)),
      1,
    );
    return requests.map((_, i) => ({
      logprobs: logprobs[i]!,
      greedy: [...hits[i]!].map((hit) => hit === 1),
    }));
  }

  /** Keys and values of each prompt, per layer [K, length, D], in one run. */
  async caches(
    prompts: readonly (readonly number[])[],
  ): Promise<{ keys: Float32Array; values: Float32Array }[][]> {
    const { num_hidden_layers: layers, num_key_value_heads: K, head_dim: D } = this.model.decoder.config;
    const batch = padded(prompts);
    const { packed, feeds } = promptFeeds(
      this.model,
      this.overlay,
      batch,
      batch.map(() => VANILLA),
    );
    const out = await (await this.#program('cache')).run(feeds);
    return prompts.map(({ length }, b) => {
      const own = (name: string): Float32Array => {
        const data = out[name]!.data as Float32Array;
        const part = new Float32Array(K * length * D);
        for (let head = 0; head < K; head++) {
          const from = (b * K + head) * packed.S * D;
          part.set(data.subarray(from, from + length * D), head * length * D);
        }
        return part;
      };
      return Array.from({ length: layers }, (_, layer) => ({
        keys: own(`keys_${layer}`),
        values: own(`values_${layer}`),
      }));
    });
  }

  async #run(kind: 'hidden' | 'labels', requests: readonly EncodeRequest[]) {
    const program = await this.#program(kind);
    const batch = padded(requests);
    const variants = batch.map((request) => request.variant ?? VANILLA);
    const { packed, feeds } = promptFeeds(
      this.model,
      this.overlay,
      batch.map((request) => request.tokens),
      variants,
    );
    const rowOf = rowIndex(this.overlay);
    const wanted = batch.flatMap((request, b) => request.wanted.map((row) => packed.offsets[b]! + row));
    const columns =
      kind === 'labels'
        ? batch.flatMap((request, b) =>
            request.labels!.map((token) =>
              headColumn(this.model.decoder, this.overlay, rowOf, variants[b]!, token),
            ),
          )
        : [];
    const on = batch.flatMap((request, b) => request.wanted.map(() => (variants[b]!.rows ? 1 : 0)));
    const L = wanted.length;
    const out = await program.run({
      ...feeds,
      wanted: { data: Int32Array.from(wanted), shape: [L] },
      ...(kind === 'labels' && { labels: { data: Int32Array.from(columns), shape: [L] } }),
      ...(kind === 'labels' && this.overlay && { labels_on: { data: Float32Array.from(on), shape: [L] } }),
    });
    const split = (data: Float32Array, width: number): Float32Array[] => {
      let at = 0;
      return requests.map((request) => data.slice(at * width, (at += request.wanted.length) * width));
    };
    return { out, split, columns };
  }

  async release(): Promise<void> {
    for (const program of this.#programs.values()) await (await program).release();
    this.#programs.clear();
  }
}
