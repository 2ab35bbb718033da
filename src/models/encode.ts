// The forward pass without gradients over packed prompts: hidden states, label log-probabilities, key-value caches.

import { checkAborted } from '../base/abort.ts';
import { gather } from '../engine/ops/gather.ts';
import { input } from '../engine/ops/leaves.ts';
import { logSoftmax } from '../engine/ops/normalise.ts';
import { argmax, reshape } from '../engine/ops/shape.ts';
import { Program } from '../engine/program.ts';
import type { Device, Feed } from '../engine/session.ts';
import { headColumn, headLogits } from './embedding.ts';
import type { ModelWeights } from './model.ts';
import { headRows, type Overlay, overlayShape, rowIndex, VANILLA, type Variant } from './overlay.ts';
import { HIDDEN_PASS, promptFeeds, promptGraph } from './prompt.ts';

/** One sequence to run. `wanted` are the rows (indices into tokens) whose hidden states matter. */
export interface EncodeRequest {
  readonly tokens: readonly number[];
  /** What an encoder-decoder reads; `tokens` are the decoder's. */
  readonly source?: readonly number[];
  readonly wanted: readonly number[];
  /** For each wanted row, the token whose log-probability is asked. */
  readonly labels?: readonly number[];
  readonly variant?: Variant;
}

/** The smallest batch and prompt a run may hold: a matrix product with one row takes another kernel, with other last bits. */
const AT_LEAST = 2;

export function padded<T>(requests: readonly T[]): T[] {
  return requests.length >= AT_LEAST
    ? [...requests]
    : [...requests, ...requests, ...requests].slice(0, AT_LEAST);
}

/** Compiled forward passes over one model (and overlay sizes). Dispose of it with `release`. */
export class Encoder {
  #programs = new Map<string, Promise<Program>>();
  constructor(
    readonly model: ModelWeights,
    readonly overlay: Overlay | undefined,
    readonly device: Device,
  ) {}

  get #pass() {
    return HIDDEN_PASS[this.device.provider];
  }

  #program(kind: 'hidden' | 'labels' | 'cache'): Promise<Program> {
    let program = this.#programs.get(kind);
    if (!program) this.#programs.set(kind, (program = this.#compile(kind)));
    return program;
  }

  async #compile(kind: 'hidden' | 'labels' | 'cache'): Promise<Program> {
    const { decoder } = this.model;
    const name = `${decoder.model_type}_${kind}`;
    const shape = overlayShape(this.overlay);
    if (kind === 'cache') {
      const { graph, cache } = promptGraph(name, this.model, shape);
      cache.forEach(([keys, values], layer) => {
        graph.output(`keys_${layer}`, keys);
        graph.output(`values_${layer}`, values);
      });
      return Program.compile(graph, this.model.weightsFolder, this.device);
    }
    const { graph, weights, overlay, hidden } = this.#pass.graph(name, this.model, shape);
    const h = gather(hidden, input(graph, 'wanted', 'int32', ['L'])); // [L, E]
    if (kind === 'hidden') graph.output('hidden', h);
    else {
      const on = overlay && input(graph, 'labels_on', 'float32', ['L']);
      // A row that several labels are asked of (the choices after one context) has its logits computed once.
      const cells = input(graph, 'cells', 'int32', ['N']); // row · width + column
      const logits = headLogits(decoder, weights, h, overlay, on);
      const flat = reshape(logSoftmax(logits), [`L*${logits.shape[1]}`]);
      graph.output('logprobs', gather(flat, cells));
      graph.output('best', argmax(logits));
    }
    return Program.compile(graph, this.model.weightsFolder, this.device);
  }

  /** Final hidden states [wanted, E] of each request. */
  async hidden(requests: readonly EncodeRequest[]): Promise<Float32Array[]> {
    checkAborted();
    const { feeds, places } = this.#wanted(padded(requests));
    const out = await (await this.#program('hidden')).run(feeds);
    const hidden = out.hidden!.data as Float32Array;
    const E = this.model.decoder.config.hidden_size;
    return requests.map((_, b) => {
      const own = new Float32Array(places[b]!.length * E);
      places[b]!.forEach((place, i) => own.set(hidden.subarray(place * E, (place + 1) * E), i * E));
      return own;
    });
  }

  /** Log-probability of each label, and whether greedy decoding would choose it. */
  async labels(requests: readonly EncodeRequest[]): Promise<{ logprobs: Float32Array; greedy: boolean[] }[]> {
    checkAborted();
    const batch = padded(requests);
    const { feeds, places, on } = this.#wanted(batch);
    const { config } = this.model.decoder;
    const width = config.vocab_size + headRows(this.model.decoder, overlayShape(this.overlay));
    const rowOf = rowIndex(this.overlay);
    const columns = batch.map(({ labels, variant = VANILLA }) =>
      labels!.map((token) => headColumn(this.model.decoder, this.overlay, rowOf, variant, token)),
    );
    const cells = columns.flatMap((own, b) => own.map((column, i) => places[b]![i]! * width + column));
    const out = await (await this.#program('labels')).run({
      ...feeds,
      cells: { data: Int32Array.from(cells), shape: [cells.length] },
      ...(this.overlay && { labels_on: on }),
    });
    const logprobs = out.logprobs!.data as Float32Array;
    const best = out.best!.data as Int32Array;
    let at = 0;
    return requests.map((_, b) => ({
      logprobs: logprobs.slice(at, (at += columns[b]!.length)),
      greedy: columns[b]!.map((column, i) => best[places[b]![i]!] === column),
    }));
  }

  /** Keys and values of each prompt, per layer [K, length, D], in one run. */
  async caches(
    prompts: readonly (readonly number[])[],
  ): Promise<{ keys: Float32Array; values: Float32Array }[][]> {
    checkAborted();
    const { num_hidden_layers: layers, num_key_value_heads: K, head_dim: D } = this.model.decoder.config;
    const batch = padded(prompts);
    const { packed, feeds } = promptFeeds(
      this.model,
      this.overlay,
      batch.map((tokens) => ({ tokens, variant: VANILLA })),
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

  /** Feeds for the wanted rows, each distinct one once, and where each request finds its own among them. */
  #wanted(batch: readonly EncodeRequest[]) {
    const prompts = batch.map((request) => ({ ...request, variant: request.variant ?? VANILLA }));
    const { packed, feeds } = this.#pass.feeds(this.model, this.overlay, prompts);
    const place = new Map<number, number>();
    const rows: number[] = [];
    const places = batch.map((request, b) =>
      request.wanted.map((at) => {
        const row = packed.row(b, at);
        let known = place.get(row);
        if (known === undefined) {
          place.set(row, (known = rows.length));
          rows.push(row);
        }
        return known;
      }),
    );
    const fed = padded(rows);
    const L = fed.length;
    const on: Feed = {
      data: Float32Array.from(fed, (row) => (prompts[packed.owner[row]!]!.variant.rows ? 1 : 0)),
      shape: [L],
    };
    return { feeds: { ...feeds, wanted: { data: Int32Array.from(fed), shape: [L] } }, places, on };
  }

  async release(): Promise<void> {
    for (const program of this.#programs.values()) await (await program).release();
    this.#programs.clear();
  }
}
