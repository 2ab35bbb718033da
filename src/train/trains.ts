// What of a model trains, as a value: whole tensors by name, embedding rows by id, low-rank maps on linear layers.
// Everything else stays where it lies in the checkpoint's file and is cast on use; what trains is kept in float32.

import { assert, WhorlError } from '../base/error.ts';
import { normal, type RandomSource, seededRandom } from '../base/random-source.ts';
import type { Graph, Value } from '../engine/graph.ts';
import { cast, stopGradient } from '../engine/ops/arithmetic.ts';
import { weight } from '../engine/ops/leaves.ts';
import { lowRankSum } from '../engine/ops/matmul.ts';
import type { Decoder, Modules, Weights } from '../models/family.ts';
import { addLowRank } from '../models/merged-tensor.ts';
import type { ModelWeights } from '../models/model.ts';
import type { Overlay } from '../models/overlay.ts';
import { readTensor, readTensorRows } from '../sources/checkpoints/read.ts';
import { elements, type FloatDtype } from '../tensor/tensor.ts';
import { freshState, type TrainState } from './step.ts';

export type Trains =
  /** Tensors by Hugging Face's name; `*` stands for any characters. `['*']` is full fine-tuning. */
  | { readonly kind: 'tensors'; readonly names: readonly string[] }
  /**
   * The input embedding by what is looked up in it. A tied head is the same matrix and moves with it, but teaches it
   * nothing: its gradient reaches every row of the vocabulary, and AdamW would move them all at the full rate.
   */
  | { readonly kind: 'lookups' }
  /** Rows of the input embedding; with a tied head they are the head's too. */
  | { readonly kind: 'rows'; readonly ids: readonly number[] }
  /** W + (alpha / rank)·B·A on each matrix named (Hu et al. 2022). */
  | {
      readonly kind: 'low-rank';
      /**
       * Patterns of tensors, or words of `GROUPS`. Through a tied head the embedding's map acts and learns nothing, as with
       * `lookups`.
       */
      readonly names: readonly string[] | Group;
      readonly rank: number;
      readonly alpha: number;
    };

export const EVERYTHING: Trains = { kind: 'tensors', names: ['*'] };
/** The input embedding and nothing else, the paper's `emb`. */
export const EMBEDDING: Trains = { kind: 'lookups' };
/** Matrices that a family calls as it likes: patterns of them. */
const GROUPS = {
  /** Those that PEFT adapts if nobody says otherwise. */
  auto: ({ modules: { lora } }: Decoder) => lora.map((name) => `*.${name}.weight`),
  /** Every linear layer of the blocks. */
  body: (decoder: Decoder) => [...linearLayers(decoder)],
  /** The input embedding; a tied head is the same matrix. */
  embedding: ({ embedding }: Decoder) => [embedding],
};
export type Group = keyof typeof GROUPS;
export const isGroup = (word: string): word is Group => Object.hasOwn(GROUPS, word);

/** Low-rank maps by words of `GROUPS` and last parts of names; the paper's `lora` has q_proj and v_proj. */
export const lowRank = (modules: readonly string[], rank: number, alpha: number): Trains => ({
  kind: 'low-rank',
  names: modules.map((name) => (isGroup(name) ? name : `*.${name}.weight`)),
  rank,
  alpha,
});
/** Low-rank maps on every linear layer of the body. */
export const lowRankEverywhere = (rank: number, alpha: number): Trains => ({
  kind: 'low-rank',
  names: 'body',
  rank,
  alpha,
});

/** In what precision the trained weights act: `float32`, or rounded to what will be published (straight-through). */
export type ActingPrecision = 'float32' | FloatDtype;

/** A `Trains` bound to a model. */
export interface Trained {
  /** The tensors an optimiser sees, by name. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** Tensors of the checkpoint that are other ones afterwards. */
  readonly changed: ReadonlySet<string>;
  /** Rows that examples see in place of the checkpoint's. */
  readonly overlay?: Overlay;
  weights(graph: Graph, parameters: ReadonlyMap<string, Value>, precision: ActingPrecision): Weights;
  /** The weights as the head sees them, where that is otherwise. */
  readonly ofHead?: (weights: Weights) => Weights;
  /** Nothing learnt yet. @param seed decides what starts at random */
  start(seed: bigint): TrainState;
  /** One of `changed` as it is now. */
  tensor(name: string, state: TrainState): Float32Array;
}

type Binder<K extends Trains['kind']> = (
  trains: Extract<Trains, { kind: K }>,
  model: ModelWeights,
) => Trained;

const BINDERS: { readonly [K in Trains['kind']]: Binder<K> } = {
  tensors: bindTensors,
  lookups: (_, model) => ({
    ...bindTensors({ kind: 'tensors', names: [model.decoder.embedding] }, model),
    ofHead: (weights) => (name) => stopGradient(weights(name)),
  }),
  rows: bindRows,
  'low-rank': bindLowRank,
};

/** @throws WhorlError `usage` for a pattern that names nothing, a row or a rank that cannot be */
export const bindTrains = <K extends Trains['kind']>(
  trains: Extract<Trains, { kind: K }>,
  model: ModelWeights,
): Trained => (BINDERS[trains.kind as K] as Binder<K>)(trains, model);

const rounded = (value: Value, precision: ActingPrecision): Value =>
  precision === 'float32' ? value : cast(cast(value, precision), 'float32');

const frozen = (graph: Graph, model: ModelWeights, name: string): Value => {
  const ref = model.tensors.get(name);
  assert(ref, `no tensor ${name}`);
  return weight(graph, ref);
};

function bindTensors({ names }: Extract<Trains, { kind: 'tensors' }>, model: ModelWeights): Trained {
  const shapes = matching(model, names, () => true);
  return {
    shapes,
    changed: new Set(shapes.keys()),
    weights: (graph, parameters, precision) => (name) => {
      const own = parameters.get(name);
      return own ? rounded(own, precision) : frozen(graph, model, name);
    },
    start: () => freshState(new Map([...shapes.keys()].map((n) => [n, readTensor(model.tensors.get(n)!)]))),
    tensor: (name, state) => state.slots.get(name)!.value,
  };
}

/** The one parameter of `rows`; `overlayInputs` calls it so. */
const ROWS = 'rows';

function bindRows({ ids }: Extract<Trains, { kind: 'rows' }>, model: ModelWeights): Trained {
  const { embedding, config } = model.decoder;
  const { vocab_size: V, hidden_size: E } = config;
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= V);
  if (wrong !== undefined || ids.length === 0 || new Set(ids).size !== ids.length)
    throw new WhorlError(
      'usage',
      wrong === undefined
        ? 'the rows to train are none, or one twice'
        : `there is no row ${wrong} to train: the vocabulary has ${V}`,
      `name different rows from 0 to ${V - 1}`,
    );
  const table = model.tensors.get(embedding)!;
  const overlay: Overlay = { ids: Int32Array.from(ids), rows: readTensorRows(table, ids) };
  const shape = [ids.length, E];
  return {
    shapes: new Map([[ROWS, shape]]),
    changed: new Set([embedding]),
    overlay,
    weights: (graph) => (name) => frozen(graph, model, name),
    start: () => freshState(new Map([[ROWS, { shape, data: overlay.rows.slice() }]])),
    tensor(_name, state) {
      const { data } = readTensor(table);
      const rows = state.slots.get(ROWS)!.value;
      ids.forEach((id, r) => {
        data.set(rows.subarray(r * E, (r + 1) * E), id * E);
      });
      return data;
    },
  };
}

function bindLowRank(
  { names, rank, alpha }: Extract<Trains, { kind: 'low-rank' }>,
  model: ModelWeights,
): Trained {
  const { decoder } = model;
  const body = linearLayers(decoder);
  const { embedding, head } = decoder;
  const adapted = matching(
    model,
    [names].flat().flatMap((word) => (isGroup(word) ? GROUPS[word](decoder) : [word])),
    (name) => body.has(name) || name === embedding,
    'linear layer',
  );
  // An embedding [V, E] is a linear layer of one-hot rows, stored [in, out].
  const turned = (name: string): boolean => name === embedding || (decoder.transposed?.(name) ?? false);
  const scale = alpha / rank;
  const widest = Math.min(...[...adapted.values()].flat());
  if (!Number.isInteger(rank) || rank < 1 || rank > widest || !Number.isFinite(scale))
    throw new WhorlError('usage', `a low-rank map of rank ${rank} and alpha ${alpha}`, `rank 1 to ${widest}`);
  const part = (name: string, which: 'A' | 'B') => lowRankPart(name, which, name === embedding);
  const shapes = new Map<string, readonly number[]>();
  for (const [name, shape] of adapted) {
    const [out, width] = turned(name) ? [shape[1], shape[0]] : shape;
    shapes.set(part(name, 'A'), [rank, width!]);
    shapes.set(part(name, 'B'), [out!, rank]);
  }
  const isTied = head === embedding && adapted.has(embedding);
  return {
    shapes,
    changed: new Set(adapted.keys()),
    weights: (graph, parameters, precision) => (name) => {
      const base = frozen(graph, model, name);
      if (!adapted.has(name)) return base;
      const [a, b] = [parameters.get(part(name, 'A'))!, parameters.get(part(name, 'B'))!];
      return lowRankSum(base, rounded(a, precision), rounded(b, precision), scale, turned(name));
    },
    ...(isTied && { ofHead: (weights: Weights) => (name: string) => withoutGradient(weights(name)) }),
    // As peft: A uniform within ±1/√in, B zero (of an embedding A zero, B normal), so that training starts from the
    // checkpoint's own function.
    start: (seed) =>
      freshState(
        new Map(
          [...shapes].map(([name, shape]) => {
            const random = seededRandom(`low-rank/${seed}/${name}`);
            const bound = 1 / Math.sqrt(shape[1]!);
            const beginning = STARTS[name.replace(/^.*[.]/, '')];
            const data = new Float32Array(elements(shape));
            if (beginning) data.forEach((_, i) => void (data[i] = beginning(random, bound)));
            return [name, { shape, data }];
          }),
        ),
      ),
    tensor(name, state) {
      const [a, b] = [state.slots.get(part(name, 'A'))!.value, state.slots.get(part(name, 'B'))!.value];
      return addLowRank(readTensor(model.tensors.get(name)!).data, a, b, rank, scale, turned(name));
    },
  };
}

/** What a parameter is called: as PEFT calls it, an embedding's otherwise than a linear layer's. */
export const lowRankPart = (tensor: string, which: 'A' | 'B', isEmbedding: boolean): string =>
  `${tensor.replace(/\.weight$/, '')}.lora_${isEmbedding ? 'embedding_' : ''}${which}`;

/** What does not begin at zero, by the parameter's last part. */
const STARTS: Readonly<Record<string, (random: RandomSource, bound: number) => number>> = {
  lora_A: (random, bound) => bound * (random.int(2 ** 24) / 2 ** 23 - 1),
  lora_embedding_B: (random) => normal(random),
};

/** The sum as a constant of the backward pass, still unformed. */
function withoutGradient(sum: Value): Value {
  if (sum.node.op.name !== 'low_rank_sum') return sum;
  const [base, a, b] = sum.node.inputs;
  const { scale, transposed } = sum.node.attrs as { scale: number; transposed: boolean };
  return lowRankSum(base!, stopGradient(a!), stopGradient(b!), scale, transposed);
}

/** What the names of matrices in some layers' modules begin with. */
const within = (layers: number, layer: (i: number) => string, { attention, mlp }: Omit<Modules, 'lora'>) =>
  Array.from({ length: layers }, (_, i) =>
    [...attention, ...mlp].map((name) => `${layer(i)}${name}.`),
  ).flat();

/** The matrices of a model's blocks, those within a module (experts) too. A table of positions is none of them. */
function linearLayers({ config, layer, modules, shapes, encoder }: Decoder): ReadonlySet<string> {
  const beginnings = [
    ...within(config.num_hidden_layers, layer, modules),
    ...(encoder ? within(encoder.layers, encoder.layer, encoder.modules) : []),
  ];
  const found = [...shapes].filter(
    ([name, { length }]) =>
      length === 2 && name.endsWith('.weight') && beginnings.some((module) => name.startsWith(module)),
  );
  return new Set(found.map(([name]) => name));
}

/** The model's tensors that one of the patterns names. @param what they are called in a message */
function matching(
  { decoder }: ModelWeights,
  patterns: readonly string[],
  fits: (name: string) => boolean,
  what = 'tensor',
): Map<string, readonly number[]> {
  const out = new Map<string, readonly number[]>();
  for (const pattern of patterns) {
    const parts = pattern.split('*').map((part) => part.replace(/[^\w]/g, '\\$&'));
    const regex = new RegExp(`^${parts.join('.*')}$`);
    const found = [...decoder.shapes].filter(([name]) => regex.test(name) && fits(name));
    if (found.length === 0)
      throw new WhorlError(
        'usage',
        `no ${what} of this model is named ${pattern}`,
        `names are like ${[...decoder.shapes.keys()][1] ?? decoder.embedding}; * stands for any characters`,
      );
    for (const [name] of found) out.set(name, decoder.shapes.get(name)!);
  }
  // In the family's order, so that the state's order does not hang on how the patterns were written.
  return new Map([...decoder.shapes].filter(([name]) => out.has(name)));
}
