// Greedy decoding as one program: the prompts' pass, then a loop that carries the key-value cache inside the session.

import type { Value } from '../engine/graph.ts';
import { add, cast, equal, greaterEqual, max, sub } from '../engine/ops/arithmetic.ts';
import { gather } from '../engine/ops/gather.ts';
import { input } from '../engine/ops/leaves.ts';
import { loop } from '../engine/ops/loop.ts';
import { argmax, concat, iota, reduceSum, reshape, sumAll } from '../engine/ops/shape.ts';
import { Program } from '../engine/program.ts';
import type { Device } from '../engine/session.ts';
import { type Cache, stepAttention } from '../models/blocks/attention.ts';
import { type Model, padded, promptFeeds, promptGraph } from '../models/encode.ts';
import { embed, headLogits, type Overlay, overlayShape, type Variant } from '../models/overlay.ts';

export interface DecodeRequest {
  readonly tokens: readonly number[];
  readonly variant: Variant;
}

export class GreedyDecoder {
  #program: Promise<Program> | undefined;
  constructor(
    readonly model: Model,
    readonly overlay: Overlay | undefined,
    readonly device: Device,
  ) {}

  async #compile(): Promise<Program> {
    const { decoder } = this.model;
    const { config } = decoder;
    const V = config.vocab_size;
    const { graph, weights, overlay, rope, last, total, hidden, cache } = promptGraph(
      `${decoder.model_type}_greedy`,
      this.model,
      overlayShape(this.overlay),
    );
    const ends = input(graph, 'ends', 'int32', ['N']);
    const lastRow = input(graph, 'last_row', 'int32', ['B']); // each prompt's last row among the packed ones
    const rounds = input(graph, 'rounds', 'int32', []);
    const on = overlay && {
      rows: input(graph, 'sequence_rows_on', 'float32', ['B']),
      adapter: input(graph, 'sequence_adapter_on', 'float32', ['B']),
    };
    const rowIds = overlay && input(graph, 'row_ids', 'int32', [overlay.shape.rows]);

    const choose = (h: Value): Value => {
      const logits = headLogits(decoder, weights, h, overlay, on?.rows);
      const best = argmax(logits);
      if (!rowIds || logits.shape[1] === V) return best;
      return gather(concat([iota(best, V), rowIds], 0), best); // column V + r is the token of row r
    };
    const ended = (token: Value): Value =>
      cast(
        greaterEqual(reduceSum(cast(equal(reshape(token, ['B', 1]), ends), 'float32'), [1]), 0.5),
        'float32',
      );
    const running = (done: Value): Value => greaterEqual(sumAll(sub(1, done)), 0.5);

    const first = choose(gather(hidden, lastRow));
    const done = ended(first);
    const layers = config.num_hidden_layers;
    const row = { dtype: 'int32', shape: ['B'] } as const;
    const buffer = {
      dtype: 'float32',
      shape: ['B', config.num_key_value_heads, 'P', config.head_dim],
    } as const;
    const start = [first, done, last, total, ...cache.flat()];
    const types = [
      row,
      { dtype: 'float32', shape: ['B'] } as const,
      row,
      { dtype: 'int32', shape: [] } as const,
      ...cache.flat().map(() => buffer),
    ];
    const result = loop(
      rounds,
      running(done),
      start,
      types,
      ([token, doneBefore, lastBefore, totalBefore, ...flat]) => {
        const past: Cache = Array.from({ length: layers }, (_, i) => [flat[2 * i]!, flat[2 * i + 1]!]);
        const present: Cache = [];
        const lastNow = add(lastBefore!, 1);
        const totalNow = add(totalBefore!, 1);
        const x = embed(decoder, weights, token!, overlay, on);
        const h = decoder.hidden(
          weights,
          x,
          stepAttention(config, lastNow, rope, lastNow, totalNow, past, present),
        );
        const next = choose(h);
        const doneNow = max(doneBefore!, ended(next));
        return {
          more: running(doneNow),
          carried: [next, doneNow, lastNow, totalNow, ...present.flat()],
          collected: [next],
        };
      },
    );
    graph.output('first', first);
    graph.output('rest', result.at(-1)!); // [rounds run, B]
    return Program.compile(graph, this.model.folder, this.device);
  }

  /**
   * Greedy continuations of up to `maxNewTokens`, each ended by (and without) one of `ends`. A request's result is the
   * same bit for bit alone or in any batch. `overlay` may have other rows than the one compiled for, of the same sizes.
   */
  async decode(
    requests: readonly DecodeRequest[],
    maxNewTokens: number,
    ends: readonly number[],
    overlay = this.overlay,
  ): Promise<number[][]> {
    const program = await (this.#program ??= this.#compile());
    const batch = padded(requests);
    const variants = batch.map((request) => request.variant);
    const { packed, feeds } = promptFeeds(
      this.model,
      overlay,
      batch.map((request) => request.tokens),
      variants,
      maxNewTokens,
    );
    const B = batch.length;
    const switches = (on: (v: Variant) => boolean) => ({
      data: Float32Array.from(variants, (v) => (on(v) ? 1 : 0)),
      shape: [B],
    });
    const out = await program.run({
      ...feeds,
      ends: { data: Int32Array.from(ends.length > 0 ? ends : [-1]), shape: [Math.max(1, ends.length)] },
      last_row: {
        data: Int32Array.from(packed.offsets, (offset, b) => offset + packed.lengths[b]! - 1),
        shape: [B],
      },
      rounds: { data: Int32Array.of(maxNewTokens - 1), shape: [] },
      ...(overlay && {
        sequence_rows_on: switches((v) => v.rows),
        sequence_adapter_on: switches((v) => v.adapter),
        row_ids: { data: overlay.ids, shape: [overlay.ids.length] },
      }),
    });
    const [first, rest] = [out.first!.data as Int32Array, out.rest!.data as Int32Array];
    const stop = new Set(ends);
    return requests.map((_, b) => {
      const tokens = [
        first[b]!,
        ...Array.from({ length: rest.length / B }, (_, round) => rest[round * B + b]!),
      ];
      const end = tokens.findIndex((token) => stop.has(token));
      return end < 0 ? tokens : tokens.slice(0, end);
    });
  }

  async release(): Promise<void> {
    await (await this.#program)?.release();
    this.#program = undefined;
  }
}
