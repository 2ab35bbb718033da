// Decoding as two programs: the prompts' pass, which leaves caches and first tokens, and a loop that carries the caches
// inside the session for many tokens. Between two loops finished sequences are taken out of the batch.

import { Program } from '../engine/program.ts';
import type { Device, Feed } from '../engine/session.ts';
import { ropeTables } from '../models/blocks/rope.ts';
import { type Model, padded, promptFeeds } from '../models/encode.ts';
import {
  headColumn,
  type Overlay,
  overlayFeeds,
  overlayShape,
  rowIndex,
  type Variant,
} from '../models/overlay.ts';
import { type CacheFeeds, layCaches } from './cache.ts';
import { type Chooser, GREEDY, type Strategy } from './choose.ts';
import { firstTokenGraph, headWidth, stepsGraph } from './decode-graphs.ts';
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

export interface DecodeOptions<R extends SampleRequest> {
  readonly maxNewTokens: number;
  /** Tokens that end a continuation and are not part of it. */
  readonly ends: readonly number[];
  /** May have other rows than the one compiled for, of the same sizes. */
  readonly overlay?: Overlay | undefined;
  /** Asked every `STOP_ROUNDS` tokens about the continuations that still run: which of them have ended otherwise. */
  readonly stopped?: ((running: readonly Running<R>[]) => Promise<boolean[]>) | undefined;
}

/** Tokens between two looks for stop strings: a look costs about as much as one token. */
const STOP_ROUNDS = 16;

/** A continuation on its way. */
export interface Running<R extends SampleRequest> {
  readonly request: R;
  readonly tokens: readonly number[];
}

interface Row<R extends SampleRequest> extends Running<R> {
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
    this.#width = headWidth(model, overlayShape(overlay));
  }

  #program(kind: 'prompt' | 'steps', strategy: Strategy): Promise<Program> {
    const key = `${kind}_${strategy.name}`;
    let program = this.#programs.get(key);
    if (!program) {
      const make = kind === 'prompt' ? firstTokenGraph : stepsGraph;
      const graph = make(this.model, overlayShape(this.overlay), strategy);
      this.#programs.set(key, (program = Program.compile(graph, this.model.folder, this.device)));
    }
    return program;
  }

  /**
   * Continuations of each request, one a sample, each ended by (and without) one of `ends`. A continuation is the same
   * bit for bit alone or in any batch.
   */
  async decode<R extends SampleRequest>(
    strategy: Strategy,
    requests: readonly R[],
    options: DecodeOptions<R>,
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
        const stopped = await options.stopped(live);
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

  async #prompts<R extends SampleRequest>(
    strategy: Strategy,
    requests: readonly R[],
    overlay: Overlay | undefined,
  ): Promise<{ rows: Row<R>[]; caches: CacheFeeds }> {
    const program = await this.#program('prompt', strategy);
    const batch = padded(requests);
    const { packed, feeds } = promptFeeds(
      this.model,
      overlay,
      batch.map(({ tokens }) => tokens),
      batch.map(({ variant }) => variant),
    );
    const rows = requests.flatMap((request, at) =>
      request.uniforms.map((uniforms): Row<R> => ({ request, uniforms, tokens: [], at, done: false })),
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
  async #steps<R extends SampleRequest>(
    strategy: Strategy,
    live: readonly Row<R>[],
    caches: CacheFeeds,
    overlay: Overlay | undefined,
    { maxNewTokens, ends, stopped }: DecodeOptions<R>,
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
    rows: readonly Row<SampleRequest>[],
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
    rows: readonly Row<SampleRequest>[],
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
