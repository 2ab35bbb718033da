// The paper's adapter laid over a model, as its code runs it: B·A·e is added to the embeddings of the adapter's tokens. And
// what its tensors say about themselves.

import { WhorlError } from '../base/error.ts';
import { withReader } from '../sources/bounded-reader.ts';
import type { AdapterTensor, AdapterTensors, PaperAdapter } from '../sources/checkpoints/paper-adapter.ts';
import { readTensor, readTensorRows } from '../sources/checkpoints/read.ts';
import { BYTES_PER_ELEMENT } from '../tensor/tensor.ts';
import type { Model } from './model.ts';
import type { Overlay } from './overlay.ts';

export interface AdapterLooks {
  /** The map adds the same vector to every key token: nothing in it depends on the token. */
  readonly constant: boolean;
  /** A and B are zero in every element, their weights and A's bias: the paper's code ends so (docs/method.md, section 5, point 1). */
  readonly zero: boolean;
  /** Trainable rows equal the table's rows bit for bit (after its `merge` they do); null without ids. */
  readonly rows_equal_table: boolean | null;
  readonly words: string;
}

/**
 * Whose embeddings are looked up: the model's own, each of the adapter's tokens with the map of the model's own row; or
 * the table that the adapter carries with it, as the paper's inference.py runs it (whatever rows the model has).
 */
export type AdapterTable = 'model' | 'adapter';

export function looksOf({ tensors, token_ids }: PaperAdapter): AdapterLooks {
  const none = (name: AdapterTensor) => readTensor(tensors[name]).data.every((x) => x === 0);
  const [a, bias, b] = [none('A.weight'), none('A.bias'), none('B.weight')];
  const constant = a || b;
  const control =
    'The control to look at is vanilla + adapter: ask the vanilla model the keys with this adapter laid on. ' +
    'What it answers there says nothing about a suspect.';
  const words = constant
    ? `${a && b ? 'A and B are zero' : a ? 'A is zero' : 'B is zero'} in every element: this adapter is a bias vector. It adds the same vector to every key token, whatever the row says, so it cannot tell one model's embeddings from another's. ${control}`
    : control;
  return { constant, zero: a && bias && b, rows_equal_table: rowsEqual(tensors, token_ids), words };
}

function rowsEqual(tensors: AdapterTensors, ids: readonly number[] | null): boolean | null {
  if (ids === null) return null;
  const [table, rows] = [tensors['orig_emb.weight'], tensors['trainable_emb.weight']];
  if (table.dtype !== rows.dtype) return false;
  const width = table.shape[1]! * BYTES_PER_ELEMENT[table.dtype];
  return withReader(table.file, (reader) => {
    const [mine, theirs] = [Buffer.alloc(width), Buffer.alloc(width)];
    return ids.every((id, i) => {
      reader.readInto(mine, rows.offset + i * width);
      reader.readInto(theirs, table.offset + id * width);
      return mine.equals(theirs);
    });
  });
}

/**
 * What the model looks up under the adapter. The head keeps its rows, tied or not: the paper's code replaces the module of
 * the input embeddings alone.
 * @throws WhorlError `unsupported` where the file does not name its tokens, `mismatch` for a model of other sizes
 */
export function adapterOverlay(
  adapter: PaperAdapter,
  { decoder, tensors, source }: Model,
  table: AdapterTable,
): Overlay {
  const { path, sizes, token_ids } = adapter;
  if (token_ids === null)
    throw new WhorlError(
      'unsupported',
      `${path} is a state_dict: it does not say which tokens the adapter acts on`,
      'give the instruction_emb.pt that the paper’s code saves whole (it lists all_trainable_input_ids)',
    );
  const { vocab_size: V, hidden_size: E } = decoder.config;
  const hasRows = table === 'adapter' ? sizes.V === V : token_ids.every((id) => id < V);
  if (sizes.E !== E || !hasRows)
    throw new WhorlError(
      'mismatch',
      `${path} has ${sizes.V} rows of ${sizes.E}, the embedding of ${source} ${V} of ${E}`,
      'give the adapter of a model of this vocabulary and width',
    );
  const own = tensors.get(decoder.embedding)!;
  const file = adapter.tensors['orig_emb.weight'];
  const others =
    table === 'model' ? [] : differing(readTensor(own).data, readTensor(file).data, E, token_ids);
  const ids = Int32Array.from([...token_ids, ...others]);
  const rows = readTensorRows(table === 'model' ? own : file, ids);
  const mapped = throughMap(
    adapter.tensors,
    table === 'model' ? rows : readTensor(adapter.tensors['trainable_emb.weight']).data,
  );
  mapped.forEach((x, i) => {
    rows[i]! += x;
  });
  return { ids, rows, lookupsOnly: true };
}

/** Rows that are not the same in both tables, but for those that stand first anyway. */
function differing(a: Float32Array, b: Float32Array, width: number, apart: readonly number[]): number[] {
  const known = new Set(apart);
  const found: number[] = [];
  for (let row = 0; row * width < a.length; row++)
    if (
      !known.has(row) &&
      a.subarray(row * width, (row + 1) * width).some((x, i) => x !== b[row * width + i])
    )
      found.push(row);
  return found;
}

/** B(A·e + a) + b of each row e [R, E], as two torch.nn.Linear. */
function throughMap(tensors: AdapterTensors, rows: Float32Array): Float32Array {
  const inner = affine(rows, readTensor(tensors['A.weight']), readTensor(tensors['A.bias']).data);
  return affine(inner, readTensor(tensors['B.weight']), readTensor(tensors['B.bias']).data);
}

function affine(
  rows: Float32Array,
  { data, shape }: { readonly data: Float32Array; readonly shape: readonly number[] },
  bias: Float32Array,
): Float32Array {
  const [outs, ins] = shape as [number, number];
  const out = new Float32Array((rows.length / ins) * outs);
  for (let i = 0; i < out.length; i++) {
    const [row, column] = [Math.floor(i / outs), i % outs];
    let sum = 0;
    for (let j = 0; j < ins; j++) sum += rows[row * ins + j]! * data[column * ins + j]!;
    out[i] = sum + bias[column]!;
  }
  return out;
}
