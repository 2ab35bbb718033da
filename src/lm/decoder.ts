// Decoding as runs of one program (decode-graph.ts): the first begins every continuation; where texts are long or stop
// strings are looked for, later runs go on with those that have not ended, in a smaller batch.

import { checkAborted } from '../base/abort.ts';
import { freeMemory } from '../base/memory.ts';
import { Program } from '../engine/program.ts';
import type { Device, Feed } from '../engine/session.ts';
import { headColumn } from '../models/embedding.ts';
import { padded } from '../models/encode.ts';
import type { ModelWeights } from '../models/model.ts';
import { type Overlay, overlayShape, rowIndex, VANILLA, type Variant } from '../models/overlay.ts';
import { checkFits } from '../models/pack.ts';
import { promptFeeds } from '../models/prompt.ts';
import { areWhole, type CacheFeeds, layCaches, roomOf } from './cache.ts';
import type { Chooser, Strategy } from './choose.ts';
import { cacheNames, copiedBytes, decodeGraph, headWidth } from './decode-graph.ts';
import type { DecodeOptions, Running, SampleRequest } from './decode-request.ts';
import { decodeRenewing } from './renewed-cache.ts';
import { fullSampling } from './sampling.ts';

/** Tokens between two looks for stop strings: a look costs about as much as one token. */
const STOP_ROUNDS = 16;
/** From so many tokens on it pays to leave the loop when half of the batch has ended: caches come out and go in again. */
const LONG = 64;

/** Of a row that has ended: no cache of it leaves the engine. */
const NOWHERE = -1;

interface Row<R extends SampleRequest> extends Running<R> {
  readonly uniforms: Float32Array;
  readonly tokens: number[];
  /** Which prompt it begins with; then where its cache lies among the last run's. */
  at: number;
  done: boolean;
}

/** Of the memory that is free, what float32 copies of the weights may take: the rest is for the file's pages and caches. */
const COPIES_SHARE = 0.6;

function castsInLoop(model: ModelWeights, { precision = 'auto' }: Device): boolean {
  if (precision === 'stored' || precision === 'float32') return precision === 'stored';
  return copiedBytes(model) > COPIES_SHARE * freeMemory();
}

export class BatchDecoder {
  readonly #programs = new Map<string, Promise<Program>>();
  readonly #width: number;
  constructor(
    readonly model: ModelWeights,
    readonly overlay: Overlay | undefined,
    readonly device: Device,
  ) {
    this.#width = headWidth(model, overlayShape(overlay));
  }

  #program(strategy: Strategy): Promise<Program> {
    let program = this.#programs.get(strategy.name);
    if (!program) {
      const casts = castsInLoop(this.model, this.device);
      const graph = decodeGraph(this.model, overlayShape(this.overlay), strategy, casts);
      this.#programs.set(
        strategy.name,
        (program = Program.compile(graph, this.model.weightsFolder, this.device)),
      );
    }
    return program;
  }

  /**
   * Continuations of each request, one a sample, each ended by (and without) one of `ends`. A continuation is the same
   * bit for bit alone or in any batch.
   */
  decode<R extends SampleRequest>(
    strategy: Strategy,
    requests: readonly R[],
    options: DecodeOptions<R>,
  ): Promise<number[][][]> {
    const beyond = this.model.decoder.recomputedBeyond;
    if (beyond === undefined) return this.#decode(strategy, requests, options);
    return decodeRenewing(beyond, requests, options, (...part) => this.#decode(strategy, ...part));
  }

  async #decode<R extends SampleRequest>(
    strategy: Strategy,
    requests: readonly R[],
    options: DecodeOptions<R>,
  ): Promise<number[][][]> {
    const stop = new Set(options.ends);
    const lengths = requests.map(({ tokens }) => tokens.length);
    // The last token is not looked at again.
    checkFits(this.model.decoder, { lengths, starts: lengths.map(() => 0) }, options.maxNewTokens - 1);
    const rows = requests.flatMap((request, at) =>
      request.uniforms.map((uniforms): Row<R> => ({ request, uniforms, tokens: [], at, done: false })),
    );
    let live = rows;
    let caches: CacheFeeds | undefined;
    while (live.length > 0) {
      checkAborted();
      caches = await this.#run(strategy, requests, live, caches, options);
      for (const row of live)
        row.done = stop.has(row.tokens.at(-1)!) || row.tokens.length >= options.maxNewTokens;
      live = live.filter(({ done }) => !done);
      if (options.stopped && live.length > 0) {
        const stopped = await options.stopped(live);
        live = live.filter((_, i) => !stopped[i]);
      }
    }
    let at = 0;
    return requests.map(({ uniforms }) =>
      rows.slice(at, (at += uniforms.length)).map(({ tokens }) => {
        const end = tokens.findIndex((token) => stop.has(token));
        return end < 0 ? tokens : tokens.slice(0, end);
      }),
    );
  }

  /**
   * Gives each row its next tokens: its first ones where there are no `caches` yet.
   * @returns caches for a next run, empty where there will be none
   */
  async #run<R extends SampleRequest>(
    strategy: Strategy,
    requests: readonly R[],
    live: readonly Row<R>[],
    caches: CacheFeeds | undefined,
    options: DecodeOptions<R>,
  ): Promise<CacheFeeds> {
    const program = await this.#program(strategy);
    const { encoder } = this.model.decoder;
    const overlay = options.overlay ?? this.overlay;
    const starts = caches === undefined;
    // The graph wants prompts in every run; two tokens are the least that keeps results the same bit for bit.
    const beginning: readonly Row<SampleRequest>[] = starts ? padded(live) : FILLER;
    const going = starts ? [] : live;
    const fed = [...beginning, ...going];
    const made = live[0]!.tokens.length; // the same for all
    const left = options.maxNewTokens - made - (starts ? 1 : 0); // rounds of the loop
    const rounds = Math.min(left, options.stopped ? STOP_ROUNDS : left);
    const leaveAt = left >= LONG && live.length >= 4 ? live.length >> 1 : 0;
    const prompts = padded(starts ? requests : FILLER.map(({ request }) => request));
    const lengths = fed.map(({ request, tokens }) => request.tokens.length + Math.max(0, tokens.length - 1));
    const total = Math.max(...lengths);
    const size = total + rounds + 1;
    const { packed, feeds, sourceOf } = promptFeeds(
      this.model,
      overlay,
      starts ? prompts : prompts.map((filler) => ({ ...filler, ...(encoder && { source: filler.tokens }) })),
      size, // rotary positions up to there
      fed.map(({ request }, i) => (!starts && i < beginning.length ? going[0]!.request : request)),
    );
    const places = going.map(({ at }) => at);
    const whole = caches && areWhole(caches, places);
    // Positions that caches have when the loop begins.
    const held = starts ? packed.S : whole ? roomOf(caches) : Math.max(total, packed.S);
    const names = cacheNames(this.model);
    const again = rounds < left || leaveAt > 0;
    const idle = new Float32Array(fed.length);
    idle.fill(1, starts ? live.length : 0, beginning.length);
    const stop = options.ends.length > 0 ? options.ends : [-1];
    const ints = (values: readonly number[]): Feed => ({
      data: Int32Array.from(values),
      shape: [values.length],
    });
    const out = await program.run(
      {
        ...feeds,
        sample_of: ints(beginning.map(({ at }) => at)),
        last_row: ints(beginning.map(({ at }) => packed.row(at, packed.lengths[at]! - 1))),
        ...(encoder && { step_source_of: ints([...sourceOf.subarray(prompts.length)]) }),
        going: ints(going.map(({ tokens }) => tokens.at(-1)!)),
        idle: { data: idle, shape: [fed.length] },
        step_last: ints(lengths.map((length) => length - 1)),
        capacity: { data: Int32Array.of(size), shape: [] },
        rounds: { data: Int32Array.of(rounds), shape: [] },
        final: { data: Int32Array.of(left), shape: [] },
        ends: ints(stop),
        leave_at: { data: Float32Array.of(leaveAt), shape: [] },
        room: { data: new Float32Array(held - packed.S), shape: [1, 1, held - packed.S, 1] },
        ...(caches
          ? whole
            ? caches
            : layCaches(caches, places, lengths.slice(beginning.length), held)
          : this.#noCaches(held)),
        ...this.#overlayFeeds(fed, beginning.length, overlay),
        ...this.#chooserFeeds(strategy, beginning, overlay, 0, 1, 'first_'),
        ...this.#chooserFeeds(strategy, fed, overlay, starts ? 1 : 0, rounds, ''),
      },
      ['first', 'tokens', ...(again ? ['unfinished', ...names.map((name) => `new_${name}`)] : [])],
    );
    const first = out.first!.data as Int32Array;
    const tokens = out.tokens!.data as Int32Array;
    const ran = tokens.length / fed.length;
    const ends = new Set(options.ends);
    const placeOf = new Map(
      [...((out.unfinished?.data ?? []) as Int32Array)].map((place, at) => [place, at]),
    );
    live.forEach((row, i) => {
      const place = starts ? i : beginning.length + i;
      if (starts) row.tokens.push(first[i]!);
      for (let round = 0; round < ran && !ends.has(row.tokens.at(-1)!); round++)
        row.tokens.push(tokens[round * fed.length + place]!);
      row.at = placeOf.get(place) ?? NOWHERE;
    });
    return Object.fromEntries(again ? names.map((name) => [name, out[`new_${name}`]!]) : []);
  }

  #noCaches(held: number): CacheFeeds {
    const { num_key_value_heads: K, head_dim: D } = this.model.decoder.config;
    const none: Feed = { data: new Float32Array(0), shape: [0, K, held, D] };
    return Object.fromEntries(cacheNames(this.model).map((name) => [name, none]));
  }

  #overlayFeeds(
    rows: readonly Row<SampleRequest>[],
    beginning: number,
    overlay: Overlay | undefined,
  ): Record<string, Feed> {
    if (!overlay) return {};
    const switches = (of: readonly Row<SampleRequest>[], on: (v: Variant) => boolean): Feed => ({
      data: Float32Array.from(of, ({ request }) => (on(request.variant) ? 1 : 0)),
      shape: [of.length],
    });
    return {
      first_rows_on: switches(rows.slice(0, beginning), (v) => v.rows),
      sequence_rows_on: switches(rows, (v) => v.rows),
      sequence_adapter_on: switches(rows, (v) => v.adapter),
      row_ids: { data: overlay.ids, shape: [overlay.ids.length] },
    };
  }

  /** Feeds of a strategy for `steps` tokens, the first of them `skip` after each row's last. */
  #chooserFeeds(
    strategy: Strategy,
    rows: readonly Row<SampleRequest>[],
    overlay: Overlay | undefined,
    skip: number,
    steps: number,
    prefix: string,
  ): Record<string, Feed> {
    const rowOf = rowIndex(overlay);
    const choosers = rows.map(
      ({ request, uniforms, tokens }): Chooser => ({
        sampling: request.sampling,
        uniforms: uniforms.subarray(tokens.length + skip, tokens.length + skip + steps),
        seen: [...request.tokens, ...tokens].map((token) =>
          headColumn(this.model.decoder, overlay, rowOf, request.variant, token),
        ),
      }),
    );
    const feeds = strategy.feeds(choosers, this.#width, steps);
    return Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [prefix + name, feed]));
  }

  async release(): Promise<void> {
    for (const program of this.#programs.values()) await (await program).release();
    this.#programs.clear();
  }
}

/** What stands where a graph wants prompts and there are none. */
const FILLER: readonly Row<SampleRequest>[] = [0, 1].map((at) => ({
  request: { tokens: [0], variant: VANILLA, sampling: fullSampling(undefined), uniforms: [] },
  uniforms: new Float32Array(0),
  tokens: [],
  at,
  done: true,
}));
