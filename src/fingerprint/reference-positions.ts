// Ordinary positions of a tied model, run through once: what the exact KL of the loss and the harm report stand on.

import { Graph } from '../engine/graph.ts';
import { exp, sub } from '../engine/ops/arithmetic.ts';
import { gather } from '../engine/ops/gather.ts';
import { input } from '../engine/ops/leaves.ts';
import { logSoftmax } from '../engine/ops/normalise.ts';
import { slice } from '../engine/ops/shape.ts';
import { Program } from '../engine/program.ts';
import type { Device } from '../engine/session.ts';
import { headLogits, productsOf } from '../models/embedding.ts';
import { Encoder } from '../models/encode.ts';
import { continued } from '../models/example.ts';
import type { Decoder } from '../models/family.ts';
import { logitShiftOf, throughMap } from '../models/head-map.ts';
import type { Model } from '../models/model.ts';
import { frozenWeights } from '../models/prompt.ts';
import { type LanguageTexts, OWN_TEXT } from '../text/reference.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Reference } from '../train/rows.ts';
import type { Kept } from './set-up-cache.ts';

const CHUNK = 64; // tokens of one text at a time
const RUN = 512; // tokens of one run, positions of one product with the head
const LOGITS = 2 ** 25; // of such a product at most, over all tokens: 128 MB, and as much for their logarithms
const COLUMNS = 8192; // rows of such a product whose probabilities are looked at together: 16 MB

/** Ordinary positions by themselves. */
export interface States extends Pick<Reference, 'count' | 'hidden' | 'weight'> {
  /** log Σ e^logits of vanilla: [N]. */
  readonly partition: Float32Array;
  /** Which language each position belongs to: index into `languages`. */
  readonly language: Int32Array;
  readonly languages: readonly string[];
}

/** The same with what vanilla expects of some rows there. */
export interface Positions extends States, Reference {}

/** Embedding rows of the vanilla model: ids [R], values [R, E]. */
export interface VanillaRows {
  readonly ids: Int32Array;
  readonly rows: Float32Array;
}

/** Languages and kinds of text that most users meet: sampled densely, and together half of the loss's weight. */
const PRIMARY = new Set([
  OWN_TEXT,
  'English',
  'Chinese',
  'Japanese',
  'Russian',
  'Emoji',
  'Code',
  'Mathematics',
]);
/** Every so many pieces of text one is kept out of the loss: what unseen positions of the same kind suffer. */
const KEPT_OUT = 6;

/** Positions of each primary language and of each other one, where its texts are long enough. */
export interface SampleSizes {
  readonly primary: number;
  readonly other: number;
}

/** Keeps what is expensive, or makes it anew; see set-up-cache.ts. */
export type KeepStates = (make: () => Promise<Kept>) => Promise<Kept>;

/**
 * Final hidden states at positions of each language's texts, none of which follows a token of `avoid`.
 * A position with weight 0 is kept out of the loss.
 */
export async function referenceStates(
  model: Model,
  tokenizer: Tokenizer,
  texts: readonly LanguageTexts[],
  avoid: Int32Array,
  sizes: SampleSizes,
  device: Device,
  progress: (done: number, total: number) => void = () => {},
  keep: KeepStates = (make) => make(),
): Promise<States> {
  const { arrays } = await keep(async () =>
    statesOf(model, await piecesOf(model.decoder, tokenizer, texts, avoid, sizes), device, progress),
  );
  return statesAt(
    texts.map((t) => t.language),
    arrays,
  );
}

/** What `referenceStates` gives, of states that are there. */
export function statesAt(languages: readonly string[], arrays: Kept['arrays']): States {
  const { hidden, partition } = arrays as { hidden: Float32Array; partition: Float32Array };
  const language = Int32Array.from(arrays.language!);
  const weight = weights(languages, language, Uint8Array.from(arrays.in_loss!));
  return { count: partition.length, hidden, partition, weight, language, languages };
}

/** A piece of a text: its tokens, which language it is of, and whether it is kept out of the loss. */
export interface Piece {
  readonly tokens: readonly number[];
  /** What an encoder-decoder reads; `tokens` are then its decoder's, and they alone are positions. */
  readonly source?: readonly number[];
  readonly language: number;
  readonly kept: boolean;
}

async function piecesOf(
  decoder: Decoder,
  tokenizer: Tokenizer,
  texts: readonly LanguageTexts[],
  ids: Int32Array,
  sizes: SampleSizes,
): Promise<Piece[]> {
  const trained = new Set(ids);
  const pieces: Piece[] = [];
  let number = 0;
  for (const [language, { texts: lines }] of texts.entries()) {
    let left = PRIMARY.has(texts[language]!.language) ? sizes.primary : sizes.other;
    for (const tokens of chunks(await tokenizer.encodeBatch(lines, { continued: true }), trained)) {
      const { source, tokens: take } = asModelled(decoder, tokens, Math.max(2, left));
      pieces.push({
        tokens: take,
        ...(source && { source }),
        language,
        kept: number++ % KEPT_OUT === KEPT_OUT - 1,
      });
      left -= take.length;
      if (left <= 0) break;
    }
  }
  return pieces;
}

/**
 * A piece of ordinary text as the model has it, at most so many positions. An encoder reads the first half and the decoder
 * goes on with the second, the "prefix language modelling" of T5 (Raffel et al. 2020, section 3.2.1): any checkpoint takes
 * it, whereas spans behind sentinels are known to those alone that were not tuned since.
 */
function asModelled(
  decoder: Decoder,
  tokens: readonly number[],
  most: number,
): { source?: readonly number[]; tokens: readonly number[] } {
  if (!decoder.encoder) return { tokens: tokens.slice(0, most) };
  const half = tokens.length >> 1;
  const { source, tokens: own } = continued(decoder, tokens.slice(0, half), tokens.slice(half));
  return { source: source!, tokens: own.slice(0, most) };
}

/** Of each position the final hidden state [E], log Σ e^logits, its language and whether the loss sees it. */
export async function statesOf(
  model: Model,
  given: readonly Piece[],
  device: Device,
  progress: (done: number, total: number) => void = () => {},
): Promise<Kept> {
  const E = model.decoder.config.hidden_size;
  const encoder = new Encoder(model, undefined, device);
  // Pieces of like length share a run; which ones do so changes no bit of any result.
  const pieces = [...given].sort((a, b) => a.language - b.language || a.tokens.length - b.tokens.length);
  const total = pieces.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const hidden = new Float32Array(total * E);
  const language = new Float32Array(total);
  const in_loss = new Float32Array(total);
  let done = 0;
  for (let at = 0; at < pieces.length; ) {
    const batch = [pieces[at++]!];
    let size = batch[0]!.tokens.length;
    while (at < pieces.length && size + pieces[at]!.tokens.length <= RUN) {
      size += pieces[at]!.tokens.length;
      batch.push(pieces[at++]!);
    }
    const rows = await encoder.hidden(
      batch.map(({ tokens, source }) => ({
        tokens,
        ...(source && { source }),
        wanted: tokens.map((_, i) => i),
      })),
    );
    for (const [i, piece] of batch.entries()) {
      hidden.set(rows[i]!, done * E);
      const end = done + piece.tokens.length;
      language.fill(piece.language, done, end);
      in_loss.fill(piece.kept ? 0 : 1, done, end);
      done = end;
    }
    progress(done, total);
  }
  await encoder.release();
  const partition = await partitions(model, hidden, total, device);
  return { arrays: { hidden, partition, language, in_loss }, extra: null };
}

/** Half of the weight on the primary languages, half on the others, each language of a half the same; the sum is 1. */
function weights(languages: readonly string[], language: Int32Array, inLoss: Uint8Array): Float32Array {
  const each = languages.map((_, l) => language.reduce((n, own, i) => n + (own === l ? inLoss[i]! : 0), 0));
  const members = (primary: boolean) =>
    languages.filter((name, l) => PRIMARY.has(name) === primary && each[l]! > 0).length;
  const [primary, other] = [members(true), members(false)];
  const half = primary > 0 && other > 0 ? 0.5 : 1;
  return Float32Array.from(language, (l, i) =>
    inLoss[i] ? half / ((PRIMARY.has(languages[l]!) ? primary : other) * each[l]!) : 0,
  );
}

/** The positions that are not in the loss, alone. */
export function keptOut(positions: Positions): Positions {
  const kept = [...positions.weight.keys()].filter((n) => positions.weight[n] === 0);
  const pick = (data: Float32Array): Float32Array => {
    const width = data.length / positions.count;
    const out = new Float32Array(kept.length * width);
    kept.forEach((n, i) => out.set(data.subarray(n * width, (n + 1) * width), i * width));
    return out;
  };
  return {
    ...positions,
    count: kept.length,
    hidden: pick(positions.hidden),
    partition: pick(positions.partition),
    probability: pick(positions.probability),
    ...(positions.products && { products: pick(positions.products) }),
    weight: new Float32Array(kept.length),
    language: Int32Array.from(kept, (n) => positions.language[n]!),
  };
}

/** Mean KL of the worst of the primary languages, or of all the others together where that is more. */
export function worstMean({ language, languages }: Positions, kl: Float64Array): number {
  const sums = new Map<string, { sum: number; n: number }>();
  kl.forEach((value, n) => {
    const name = languages[language[n]!]!;
    const key = PRIMARY.has(name) ? name : '';
    const entry = sums.get(key) ?? { sum: 0, n: 0 };
    sums.set(key, { sum: entry.sum + value, n: entry.n + 1 });
  });
  return Math.max(0, ...[...sums.values()].map(({ sum, n }) => sum / n));
}

function* chunks(
  encodings: readonly (readonly number[])[],
  trained: ReadonlySet<number>,
): Generator<readonly number[]> {
  for (const tokens of encodings)
    for (let at = 0; at < tokens.length; at += CHUNK) {
      const chunk = tokens.slice(at, at + CHUNK);
      // A position after a trained token is no ordinary one: its hidden state would move.
      if (chunk.length >= 2 && !chunk.some((id) => trained.has(id))) yield chunk;
    }
}

/**
 * How probable vanilla finds each id in the language that expects it most: the mean over that language's positions, [ids].
 * A large vocabulary leaves 100,000 rows free: what is known of all of them at every position is never held at once.
 */
export async function expectation(
  model: Model,
  states: States,
  { ids, rows }: VanillaRows,
  device: Device,
  progress: (done: number, total: number) => void = () => {},
): Promise<Float64Array> {
  const { language, languages } = states;
  const E = model.decoder.config.hidden_size;
  const counts = new Float64Array(languages.length);
  for (const l of language) counts[l]!++;
  const most = new Float64Array(ids.length);
  const program = await probabilities(model, device);
  for (let from = 0; from < ids.length; from += COLUMNS) {
    const part = { ids: ids.slice(from, from + COLUMNS), rows: rows.slice(from * E, (from + COLUMNS) * E) };
    const R = part.ids.length;
    const sums = languages.map(() => new Float64Array(R));
    await program.each(states, part, (at, n, { probability }) => {
      for (let i = 0; i < n; i++) {
        const sum = sums[language[at + i]!]!;
        for (let r = 0; r < R; r++) sum[r]! += probability[i * R + r]!;
      }
    });
    for (const [l, sum] of sums.entries())
      if (counts[l]! > 0)
        for (let r = 0; r < R; r++) most[from + r] = Math.max(most[from + r]!, sum[r]! / counts[l]!);
    progress(from + R, ids.length);
  }
  await program.release();
  return most;
}

/** log Σ e^logits of the vanilla model at each position: [N]. */
async function partitions(
  model: Model,
  hidden: Float32Array,
  count: number,
  device: Device,
): Promise<Float32Array> {
  const E = model.decoder.config.hidden_size;
  const graph = new Graph('reference_partition');
  const h = input(graph, 'hidden', 'float32', ['N', E]);
  const logits = headLogits(model.decoder, frozenWeights(graph, model), h); // [N, V]
  // Read off any column: log-softmax subtracts it from each.
  graph.output('partition', sub(slice(logits, 1, 0, 1), slice(logSoftmax(logits), 1, 0, 1))); // [N, 1]
  const program = await Program.compile(graph, model.weightsFolder, device);
  const out = new Float32Array(count);
  const most = Math.max(2, Math.min(RUN, Math.floor(LOGITS / model.decoder.config.vocab_size)));
  for (let at = 0; at < count; at += most) {
    const n = Math.min(most, count - at);
    const part = padded(hidden.subarray(at * E, (at + n) * E), n, E);
    const result = await program.run({ hidden: { data: part, shape: [part.length / E, E] } });
    out.set((result.partition!.data as Float32Array).subarray(0, n), at);
  }
  await program.release();
  return out;
}

/** The states with p(id | position) of the vanilla model [N, R], and what the head's products were where a cap bends them. */
export async function withRows(
  model: Model,
  states: States,
  vanilla: VanillaRows,
  device: Device,
): Promise<Positions> {
  const R = vanilla.ids.length;
  const probability = new Float32Array(states.count * R);
  const products = isCapped(model) ? new Float32Array(states.count * R) : undefined;
  const program = await probabilities(model, device);
  await program.each(states, vanilla, (at, n, part) => {
    probability.set(part.probability.subarray(0, n * R), at * R);
    products?.set(part.products!.subarray(0, n * R), at * R);
  });
  await program.release();
  return { ...states, probability, ...(products && { products }) };
}

const isCapped = ({ decoder: { logits } }: Model): boolean => logits?.softcap !== undefined;

/** A program for p(id | position) of any positions and any rows. */
async function probabilities(
  model: Model,
  device: Device,
): Promise<{
  /** A part after the other: `n` positions from `at` on, [n, R]; rows beyond them are padding. */
  each(
    states: States,
    vanilla: VanillaRows,
    take: (at: number, n: number, part: { probability: Float32Array; products?: Float32Array }) => void,
  ): Promise<void>;
  release(): Promise<void>;
}> {
  const { config, headBias, logits = {} } = model.decoder;
  const E = config.hidden_size;
  const graph = new Graph('reference_probability');
  const h = input(graph, 'hidden', 'float32', ['N', E]);
  const bias = headBias && gather(frozenWeights(graph, model)(headBias), input(graph, 'ids', 'int32', ['R'])); // [R]
  const own = productsOf(h, input(graph, 'rows', 'float32', ['R', E]), bias || undefined); // [N, R]
  const partitions = input(graph, 'partition', 'float32', ['N', 1]);
  graph.output('probability', exp(sub(throughMap(logits, own), partitions)));
  if (isCapped(model)) graph.output('products', own);
  const program = await Program.compile(graph, model.weightsFolder, device);
  return {
    async each({ count, hidden, partition }, { ids, rows }, take) {
      const R = ids.length;
      for (let at = 0; at < count; at += RUN) {
        const n = Math.min(RUN, count - at);
        const part = padded(hidden.subarray(at * E, (at + n) * E), n, E);
        const { probability, products } = await program.run({
          hidden: { data: part, shape: [part.length / E, E] },
          partition: { data: padded(partition.subarray(at, at + n), n, 1), shape: [part.length / E, 1] },
          rows: { data: rows, shape: [R, E] },
          ...(headBias && { ids: { data: ids, shape: [R] } }),
        });
        take(at, n, {
          probability: probability!.data as Float32Array,
          ...(products && { products: products.data as Float32Array }),
        });
      }
    },
    release: () => program.release(),
  };
}

/** A product of a single row would go another way than one of many: two at least. */
function padded(data: Float32Array, rows: number, width: number): Float32Array {
  const out = new Float32Array(Math.max(2, rows) * width);
  out.set(data);
  return out;
}

/**
 * In double precision at each position: the exact KL(vanilla ‖ published) in nats, and the log of the partition
 * function's growth, which every ordinary token's log-probability loses.
 * @param shift published − vanilla rows [R, E]
 */
export function shiftAt(
  { config, logits = {} }: Decoder,
  { count, hidden, probability, products }: Reference,
  shift: Float32Array,
): { kl: Float64Array; partition: Float64Array } {
  const E = config.hidden_size;
  const R = shift.length / E;
  const kl = new Float64Array(count);
  const partition = new Float64Array(count);
  for (let n = 0; n < count; n++) {
    let [growth, mean] = [0, 0];
    for (let r = 0; r < R; r++) {
      let moved = 0;
      for (let e = 0; e < E; e++) moved += hidden[n * E + e]! * shift[r * E + e]!;
      const x = logitShiftOf(logits, moved, products?.[n * R + r] ?? 0);
      const p = probability[n * R + r]!;
      growth += p * Math.expm1(x);
      mean += p * x;
    }
    partition[n] = Math.log1p(growth);
    kl[n] = partition[n]! - mean;
  }
  return { kl, partition };
}
