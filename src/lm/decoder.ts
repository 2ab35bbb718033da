// Decoding as two programs: the prompts' pass, which leaves caches and first tokens, and a loop that carries the caches
// inside the session for many tokens. Between two loops finished sequences are taken out of the batch.

import { Graph, type Value } from '../engine/graph.ts';
import { add, cast, equal, greaterEqual, max, sub } from '../engine/ops/arithmetic.ts';
import { gather } from '../engine/ops/gather.ts';
import { input, scalar } from '../engine/ops/leaves.ts';
import { loop } from '../engine/ops/loop.ts';
import { concat, iota, reduceSum, reshape, sumAll } from '../engine/ops/shape.ts';
import { Program } from '../engine/program.ts';
import type { Device, Feed } from '../engine/session.ts';
import { type Cache, ropeInputs, stepAttention } from '../models/blocks/attention.ts';
import { ropeTables } from '../models/blocks/rope.ts';
import { frozenWeights, type Model, padded, promptFeeds, promptGraph } from '../models/encode.ts';
import {
  embed,
  headColumn,
  headLogits,
  type Overlay,
  overlayFeeds,
  overlayInputs,
  overlayShape,
  rowIndex,
  type Variant,
} from '../models/overlay.ts';
import { type CacheFeeds, layCaches } from './cache.ts';
import { type Chooser, GREEDY, type Strategy } from './choose.ts';
import { type FullSampling, fullSampling } from './sampling.ts';

export interface DecodeRequest {
  readonly tokens: readonly number[];
  readonly variant: Variant;
}

/** A prompt and how many continuations it gets. Requests decoded together share one strategy. */
export interface SampleRequest extends DecodeRequest {
  readonly sampling: FullSampling;
  /** Uniform numbers of each sample; their count is the number of samples. */
  readonly uniforms: readonly Float32Array[];
}

export interface DecodeOptions {
  readonly maxNewTokens: number;
  /** Tokens that end a continuation and are not part of it. */
  readonly ends: readonly number[];
  /** May have other rows than the one compiled for, of the same sizes. */
  readonly overlay?: Overlay | undefined;
  /** Asked every `STOP_ROUNDS` tokens about the continuations that still run: which of them have ended otherwise. */
  readonly stopped?: (continuations: readonly (readonly number[])[]) => Promise<boolean[]>;
}

/** Tokens between two looks for stop strings: a look costs about as much as one token. */
const STOP_ROUNDS = 16;

/** A continuation on its way. */
interface Row {
  readonly request: SampleRequest;
  readonly uniforms: Float32Array;
  readonly tokens: number[];
  /** Where its cache lies in the last run's. */
  at: number;
  done: boolean;
}

export class BatchDecoder {
  readonly #programs = new Map<string, Promise<Program>>();
  readonly #width: number;
  constructor(
    readonly model: Model,
    readonly overlay: Overlay | undefined,
    readonly device: Device,
  ) {
    const { config } = model.decoder;
    this.#width = config.vocab_size + (config.tie_word_embeddings ? (overlay?.ids.length ?? 0) : 0);
  }

  #program(kind: 'prompt' | 'steps', strategy: Strategy): Promise<Program> {
    const key = `${kind}_${strategy.name}`;
    let program = this.#programs.get(key);
    if (!program) {
      const graph = kind === 'prompt' ? this.#promptGraph(strategy) : this.#stepsGraph(strategy);
      this.#programs.set(key, (program = Program.compile(graph, this.model.folder, this.device)));
    }
    return program;
  }

  /** The token that a column of the head stands for. */
  #token(column: Value, rowIds: Value | undefined): Value {
    const V = this.model.decoder.config.vocab_size;
    if (!rowIds || this.#width === V) return column;
    return gather(concat([iota(column, V), rowIds], 0), column); // column V + r is the token of row r
  }

  #promptGraph(strategy: Strategy): Graph {
    const { decoder } = this.model;
    const { graph, weights, overlay, hidden, cache } = promptGraph(
      `${decoder.model_type}_prompt_${strategy.name}`,
      this.model,
      overlayShape(this.overlay),
    );
    const lastRow = input(graph, 'last_row', 'int32', ['N']); // each continuation's last prompt row
    const on = overlay && input(graph, 'sequence_rows_on', 'float32', ['N']);
    const rowIds = overlay && input(graph, 'row_ids', 'int32', [overlay.shape.rows]);
    const { start, choose } = strategy.build(graph, 'N', this.#width);
    const logits = headLogits(decoder, weights, gather(hidden, lastRow), overlay, on);
    graph.output('tokens', this.#token(choose(logits, scalar(graph, 0, 'int32'), start).column, rowIds));
    cache.forEach(([keys, values], layer) => {
      graph.output(`keys_${layer}`, keys);
      graph.output(`values_${layer}`, values);
    });
    return graph;
  }

  #stepsGraph(strategy: Strategy): Graph {
    const { decoder } = this.model;
    const { config } = decoder;
    const { num_hidden_layers: layers, num_key_value_heads: K, head_dim: D } = config;
    const graph = new Graph(`${decoder.model_type}_steps_${strategy.name}`);
    const weights = frozenWeights(graph, this.model);
    const row = (name: string, dtype: 'int32' | 'float32') => input(graph, name, dtype, ['B']);
    const [token, last] = [row('token', 'int32'), row('last', 'int32')];
    const total = input(graph, 'total', 'int32', []);
    const rounds = input(graph, 'rounds', 'int32', []);
    const ends = input(graph, 'ends', 'int32', ['N']);
    const leaveAt = input(graph, 'leave_at', 'float32', []); // the loop ends when no more than this many run
    const rope = ropeInputs(graph, config);
    const shape = overlayShape(this.overlay);
    const overlay = shape && overlayInputs(graph, decoder, shape);
    const on = overlay && {
      rows: row('sequence_rows_on', 'float32'),
      adapter: row('sequence_adapter_on', 'float32'),
    };
    const rowIds = shape && input(graph, 'row_ids', 'int32', [shape.rows]);
    const buffer = { dtype: 'float32', shape: ['B', K, 'P', D] } as const;
    const caches = Array.from({ length: layers }, (_, layer) =>
      ['keys', 'values'].map((kind) => input(graph, `${kind}_${layer}`, 'float32', buffer.shape)),
    ).flat();
    const { start, types, choose } = strategy.build(graph, 'B', this.#width);
    const ended = (next: Value): Value =>
      cast(
        greaterEqual(reduceSum(cast(equal(reshape(next, ['B', 1]), ends), 'float32'), [1]), 0.5),
        'float32',
      );
    const running = (done: Value): Value => greaterEqual(sub(sumAll(sub(1, done)), leaveAt), 0.5);
    const done = row('done', 'float32');
    const carriedTypes = [token, done, last, total, scalar(graph, 0, 'int32'), ...caches].map(
      ({ type }) => type,
    );
    const result = loop(
      rounds,
      running(done),
      [token, done, last, total, scalar(graph, 0, 'int32'), ...caches, ...start],
      [...carriedTypes, ...types],
      ([now, doneBefore, lastBefore, totalBefore, step, ...rest]) => {
        const [flat, state] = [rest.slice(0, 2 * layers), rest.slice(2 * layers)];
        const past: Cache = Array.from({ length: layers }, (_, i) => [flat[2 * i]!, flat[2 * i + 1]!]);
        const present: Cache = [];
        const lastNow = add(lastBefore!, 1);
        const totalNow = add(totalBefore!, 1);
        const x = embed(decoder, weights, now!, overlay, on);
        const h = decoder.hidden(
          weights,
          x,
          stepAttention(config, lastNow, rope, lastNow, totalNow, past, present),
        );
        const chosen = choose(headLogits(decoder, weights, h, overlay, on?.rows), step!, state);
        const next = this.#token(chosen.column, rowIds);
        const doneNow = max(doneBefore!, ended(next));
        return {
          more: running(doneNow),
          carried: [next, doneNow, lastNow, totalNow, add(step!, 1), ...present.flat(), ...chosen.state],
          collected: [next],
        };
      },
    );
    graph.output('tokens', result.at(-1)!); // [rounds run, B]
    caches.forEach((_, i) =>
      graph.output(`${i % 2 === 0 ? 'new_keys' : 'new_values'}_${i >> 1}`, result[5 + i]!),
    );
    return graph;
  }

  /**
   * Continuations of each request, one a sample, each ended by (and without) one of `ends`. A continuation is the same
   * bit for bit alone or in any batch.
   */
  async decode(
    strategy: Strategy,
    requests: readonly SampleRequest[],
    options: DecodeOptions,
  ): Promise<number[][][]> {
    const overlay = options.overlay ?? this.overlay;
    const stop = new Set(options.ends);
    const { rows, caches: first } = await this.#prompts(strategy, requests, overlay);
    let caches = first;
    for (;;) {
      for (const row of rows)
        row.done ||= stop.has(row.tokens.at(-1)!) || row.tokens.length >= options.maxNewTokens;
      let live = rows.filter(({ done }) => !done);
      if (options.stopped && live.length > 0) {
        const stopped = await options.stopped(live.map(({ tokens }) => tokens));
        live.forEach((row, i) => {
          row.done = stopped[i]!;
        });
        live = live.filter(({ done }) => !done);
      }
      if (live.length === 0) break;
      caches = await this.#steps(strategy, live, caches, overlay, options);
    }
    let at = 0;
    return requests.map(({ uniforms }) =>
      rows.slice(at, (at += uniforms.length)).map(({ tokens }) => {
        const end = tokens.findIndex((token) => stop.has(token));
        return end < 0 ? tokens : tokens.slice(0, end);
      }),
    );
  }

  async #prompts(
    strategy: Strategy,
    requests: readonly SampleRequest[],
    overlay: Overlay | undefined,
  ): Promise<{ rows: Row[]; caches: CacheFeeds }> {
    const program = await this.#program('prompt', strategy);
    const batch = padded(requests);
    const { packed, feeds } = promptFeeds(
      this.model,
      overlay,
      batch.map(({ tokens }) => tokens),
      batch.map(({ variant }) => variant),
    );
    const rows = requests.flatMap((request, at) =>
      request.uniforms.map((uniforms): Row => ({ request, uniforms, tokens: [], at, done: false })),
    );
    const fed = padded(rows);
    const { tokens, ...caches } = await program.run({
      ...feeds,
      last_row: {
        data: Int32Array.from(fed, ({ at }) => packed.row(at, packed.lengths[at]! - 1)),
        shape: [fed.length],
      },
      ...this.#overlayFeeds(fed, overlay, false),
      ...this.#chooserFeeds(strategy, fed, overlay, 1),
    });
    rows.forEach((row, i) => {
      row.tokens.push((tokens!.data as Int32Array)[i]!);
    });
    return { rows, caches };
  }

  /** Runs the loop over `live` and gives each its new tokens. */
  async #steps(
    strategy: Strategy,
    live: readonly Row[],
    caches: CacheFeeds,
    overlay: Overlay | undefined,
    { maxNewTokens, ends, stopped }: DecodeOptions,
  ): Promise<CacheFeeds> {
    const program = await this.#program('steps', strategy);
    const left = maxNewTokens - live[0]!.tokens.length; // all have been given as many
    const rounds = Math.min(left, stopped ? STOP_ROUNDS : left);
    const fed = padded(live);
    const lengths = fed.map(({ request, tokens }) => request.tokens.length + tokens.length - 1);
    const total = Math.max(...lengths);
    const stop = ends.length > 0 ? ends : [-1];
    const B = fed.length;
    // With half of them ended, a smaller batch pays for the copy. Repeated rows (a batch of one) end together.
    const leaveAt = live.length < 4 ? 0 : Math.floor(B / 2);
    const feeds: Record<string, Feed> = {
      ...layCaches(
        caches,
        fed.map(({ at }) => at),
        lengths,
        total + rounds,
      ),
      token: { data: Int32Array.from(fed, ({ tokens }) => tokens.at(-1)!), shape: [B] },
      done: { data: new Float32Array(B), shape: [B] },
      last: { data: Int32Array.from(lengths, (length) => length - 1), shape: [B] },
      total: { data: Int32Array.of(total), shape: [] },
      rounds: { data: Int32Array.of(rounds), shape: [] },
      ends: { data: Int32Array.from(stop), shape: [stop.length] },
      leave_at: { data: Float32Array.of(leaveAt), shape: [] },
      ...ropeTables(this.model.decoder.config, total + rounds),
      ...(overlay && overlayFeeds(overlay, this.model.decoder)),
      ...this.#overlayFeeds(fed, overlay, true),
      ...this.#chooserFeeds(strategy, fed, overlay, rounds),
    };
    const again = rounds < left || leaveAt > 0;
    const names = Array.from({ length: this.model.decoder.config.num_hidden_layers }, (_, layer) => [
      `keys_${layer}`,
      `values_${layer}`,
    ]).flat();
    const out = await program.run(feeds, ['tokens', ...(again ? names.map((name) => `new_${name}`) : [])]);
    const tokens = out.tokens!.data as Int32Array;
    const ran = tokens.length / B;
    const stopSet = new Set(ends);
    live.forEach((row, i) => {
      row.at = i;
      for (let round = 0; round < ran && !stopSet.has(row.tokens.at(-1)!); round++)
        row.tokens.push(tokens[round * B + i]!);
    });
    return Object.fromEntries(again ? names.map((name) => [name, out[`new_${name}`]!]) : []);
  }

  #overlayFeeds(
    rows: readonly Row[],
    overlay: Overlay | undefined,
    adapter: boolean,
  ): Record<string, Feed> {
    if (!overlay) return {};
    const switches = (on: (v: Variant) => boolean): Feed => ({
      data: Float32Array.from(rows, ({ request }) => (on(request.variant) ? 1 : 0)),
      shape: [rows.length],
    });
    return {
      sequence_rows_on: switches((v) => v.rows),
      ...(adapter && { sequence_adapter_on: switches((v) => v.adapter) }),
      row_ids: { data: overlay.ids, shape: [overlay.ids.length] },
    };
  }

  #chooserFeeds(
    strategy: Strategy,
    rows: readonly Row[],
    overlay: Overlay | undefined,
    steps: number,
  ): Record<string, Feed> {
    const rowOf = rowIndex(overlay);
    const choosers = rows.map(
      ({ request, uniforms, tokens }): Chooser => ({
        sampling: request.sampling,
        uniforms: uniforms.subarray(tokens.length, tokens.length + steps),
        seen: [...request.tokens, ...tokens].map((token) =>
          headColumn(this.model.decoder, overlay, rowOf, request.variant, token),
        ),
      }),
    );
    return strategy.feeds(choosers, this.#width, steps);
  }

  async release(): Promise<void> {
    for (const program of this.#programs.values()) await (await program).release();
    this.#programs.clear();
  }
}

const ONE_GREEDY = { sampling: fullSampling(undefined), uniforms: [new Float32Array(0)] };

/** Greedy continuations alone: what training and its cells ask for. */
export class GreedyDecoder {
  readonly #decoder: BatchDecoder;
  constructor(
    model: Model,
    readonly overlay: Overlay | undefined,
    device: Device,
  ) {
    this.#decoder = new BatchDecoder(model, overlay, device);
  }

  /** `overlay` may have other rows than the one compiled for, of the same sizes. */
  async decode(
    requests: readonly DecodeRequest[],
    maxNewTokens: number,
    ends: readonly number[],
    overlay = this.overlay,
  ): Promise<number[][]> {
    const all = requests.map((request) => ({ ...request, ...ONE_GREEDY }));
    const decoded = await this.#decoder.decode(GREEDY, all, { maxNewTokens, ends, overlay });
    return decoded.map(([tokens]) => tokens!);
  }

  release(): Promise<void> {
    return this.#decoder.release();
  }
}
