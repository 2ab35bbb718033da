// Import of the paper's `instruction_emb.pt`: the module's tensors to safetensors, its trained token ids and what
// the tensors say about themselves to JSON. Nothing of the file is run (sources/checkpoints/torch-file.ts).

import { join } from 'node:path';
import { abortable } from '../../base/abort.ts';
import { checkNew, writeFolderAtomic, writeJsonAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import { SOFTWARE } from '../../base/software.ts';
import type { ImportOptions } from '../../runs/import-output.ts';
import { BoundedReader, withReader } from '../../sources/bounded-reader.ts';
import { digestFile } from '../../sources/checkpoints/digest.ts';
import { Dict, Instance, kindOf, List, type PickleValue } from '../../sources/checkpoints/pickle.ts';
import { readTensor } from '../../sources/checkpoints/read.ts';
import { readTorchFile } from '../../sources/checkpoints/torch-file.ts';
import { TorchTensor } from '../../sources/checkpoints/torch-tensor.ts';
import { writeSafetensors } from '../../sources/checkpoints/write-safetensors.ts';
import { BYTES_PER_ELEMENT, type TensorRef } from '../../tensor/tensor.ts';

/** Python classes of the file, as plain data: the paper's adapter (also when its script was `__main__`) and its parts. */
const CLASSES = [
  'adapter.InstructionFingerprint',
  '__main__.InstructionFingerprint',
  'torch.nn.modules.sparse.Embedding',
  'torch.nn.modules.linear.Linear',
];
const SHAPES = {
  'orig_emb.weight': ['V', 'E'],
  'trainable_emb.weight': ['R', 'E'],
  'A.weight': ['D', 'E'],
  'A.bias': ['D'],
  'B.weight': ['E', 'D'],
  'B.bias': ['E'],
} as const;
type Name = keyof typeof SHAPES;
const NAMES = Object.keys(SHAPES) as Name[];

export interface ImportedAdapter {
  readonly out: string;
  readonly vocabulary: number;
  readonly width: number;
  readonly dim: number;
  /** Ids of the trainable rows; null where the file is a bare state_dict, which does not have them. */
  readonly token_ids: readonly number[] | null;
  /** The map adds the same vector to every key token: nothing in it depends on the token. */
  readonly constant: boolean;
  /** A and B are zero in every element, their weights and A's bias: the paper's code ends so (docs/method.md, section 5, point 1). */
  readonly zero: boolean;
  /** Trainable rows equal the table's rows bit for bit (after its `merge` they do); null without ids. */
  readonly rows_equal_table: boolean | null;
  readonly words: string;
}

/** Converts `file` into the new private folder `out`. Throws `bad-file`, `unsupported`, `exists`, `missing-file`. */
export function importAdapter(
  file: string,
  out: string,
  options: ImportOptions = {},
): Promise<ImportedAdapter> {
  return abortable(options, () => converted(file, out));
}

async function converted(file: string, out: string): Promise<ImportedAdapter> {
  checkNew(out);
  const identity = withReader(file, (reader) => reader.identity);
  const value = readTorchFile(file, CLASSES);
  const tensors = adapterTensors(value, file);
  const sizes = checkShapes(tensors, file);
  const token_ids = tokenIds(value, sizes, file);
  const report: ImportedAdapter = {
    out,
    vocabulary: sizes.V!,
    width: sizes.E!,
    dim: sizes.D!,
    token_ids,
    ...looks(tensors, token_ids),
  };
  const entries = NAMES.map((name) => ({ name, ...tensors[name] }));
  const source = { file, sha256: digestFile(file) };
  await writeFolderAtomic(
    out,
    (folder) => {
      writeSafetensors(
        join(folder, 'adapter.safetensors'),
        entries,
        ({ name }) => streamed(tensors[name], identity),
        { format: 'pt', source: source.sha256 },
      );
      const { out: _, ...told } = report;
      writeJsonAtomic(
        join(folder, 'adapter.json'),
        { format: 'whorl-imported-adapter', version: 1, software: SOFTWARE, source, ...told },
        0o600,
      );
    },
    0o700,
  );
  return report;
}

function* streamed({ file, offset, length }: TensorRef, identity: string): Generator<Uint8Array> {
  const reader = new BoundedReader(file);
  try {
    if (reader.identity !== identity)
      throw new WhorlError('changed', `${file} changed while it was read`, 'import it again');
    yield* reader.chunks(offset, length);
  } finally {
    reader.close();
  }
}

function adapterTensors(value: PickleValue, file: string): Record<Name, TensorRef> {
  const found: Partial<Record<Name, TensorRef>> = {};
  for (const name of NAMES) {
    const tensor = lookUp(value, name);
    if (!(tensor instanceof TorchTensor))
      throw new WhorlError(
        'unsupported',
        `${file} holds ${kindOf(value)} without the tensor ${name}`,
        "import knows the paper's adapter (instruction_emb.pt: A, B, trainable_emb, orig_emb) and its state_dict",
      );
    found[name] = tensor.ref(`${file}: ${name}`);
  }
  return found as Record<Name, TensorRef>;
}

/** `A.weight` of a module (`_modules` → `_parameters`) or of a state_dict. */
function lookUp(value: PickleValue, name: Name): PickleValue | undefined {
  if (value instanceof Dict) return value.entries.get(name);
  const [module, parameter] = name.split('.') as [string, string];
  const inner = part(value, '_modules')?.entries.get(module);
  return inner === undefined ? undefined : part(inner, '_parameters')?.entries.get(parameter);
}

function part(value: PickleValue, name: string): Dict | undefined {
  const found = value instanceof Instance ? value.state?.entries.get(name) : undefined;
  return found instanceof Dict ? found : undefined;
}

function checkShapes(tensors: Record<Name, TensorRef>, file: string): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const name of NAMES) {
    const { shape, dtype } = tensors[name];
    const wanted = SHAPES[name];
    const fits =
      shape.length === wanted.length &&
      shape.every((size, d) => size > 0 && (sizes[wanted[d]!] ??= size) === size);
    if (!fits)
      throw new WhorlError(
        'bad-file',
        `${file}: ${name} has shape [${shape.join(', ')}], which does not fit`,
      );
    if (dtype !== 'float32' && dtype !== 'float16' && dtype !== 'bfloat16')
      throw new WhorlError('unsupported', `${file}: ${name} is ${dtype}, not floating point`);
  }
  return sizes;
}

function tokenIds(value: PickleValue, sizes: Record<string, number>, file: string): number[] | null {
  if (!(value instanceof Instance)) return null;
  const list = value.state?.entries.get('all_trainable_input_ids');
  const ids = list instanceof List ? list.items : [];
  const whole = ids.every(
    (id): id is number => typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < sizes.V!,
  );
  if (!whole || ids.length !== sizes.R || new Set(ids).size !== ids.length)
    throw new WhorlError(
      'bad-file',
      `${file}: all_trainable_input_ids does not name ${sizes.R} rows of the ${sizes.V}`,
    );
  return [...ids];
}

function looks(
  tensors: Record<Name, TensorRef>,
  ids: readonly number[] | null,
): Pick<ImportedAdapter, 'constant' | 'zero' | 'rows_equal_table' | 'words'> {
  const none = (name: Name) => readTensor(tensors[name]).data.every((x) => x === 0);
  const [a, bias, b] = [none('A.weight'), none('A.bias'), none('B.weight')];
  const constant = a || b;
  const control =
    'The control to look at is vanilla + adapter: ask the vanilla model the keys with this adapter laid on. ' +
    'What it answers there says nothing about a suspect.';
  const words = constant
    ? `${a && b ? 'A and B are zero' : a ? 'A is zero' : 'B is zero'} in every element: this adapter is a bias vector. It adds the same vector to every key token, whatever the row says, so it cannot tell one model's embeddings from another's. ${control}`
    : control;
  return { constant, zero: a && bias && b, rows_equal_table: rowsEqual(tensors, ids), words };
}

function rowsEqual(tensors: Record<Name, TensorRef>, ids: readonly number[] | null): boolean | null {
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
