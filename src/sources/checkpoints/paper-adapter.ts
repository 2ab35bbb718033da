// The paper's adapter (its `instruction_emb.pt`, or what `whorl import` made of one): its tensors, and which tokens it acts
// on. Nothing of the file is run (torch-file.ts).

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import type { TensorRef } from '../../tensor/tensor.ts';
import { readJsonObject } from '../strict-json.ts';
import { Dict, Instance, kindOf, List, type PickleValue } from './pickle.ts';
import { readSafetensorsHeader } from './safetensors.ts';
import { readTorchFile } from './torch-file.ts';
import { TorchTensor } from './torch-tensor.ts';

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
export type AdapterTensor = keyof typeof SHAPES;
export const ADAPTER_TENSORS = Object.keys(SHAPES) as AdapterTensor[];

export type AdapterTensors = Readonly<Record<AdapterTensor, TensorRef>>;

export interface PaperAdapter {
  /** Whence: a `.pt` file, or an imported folder. */
  readonly path: string;
  readonly tensors: AdapterTensors;
  /** V rows of the table, R trained ones, width E, rank D. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Ids of the trainable rows; null where the file is a bare state_dict, which does not have them. */
  readonly token_ids: readonly number[] | null;
}

/** @param path `instruction_emb.pt`, or the folder that import wrote. @throws WhorlError `bad-file`, `unsupported`, `missing-file` */
export function readPaperAdapter(path: string): PaperAdapter {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory()
    ? importedAdapter(path)
    : savedAdapter(path);
}

function savedAdapter(path: string): PaperAdapter {
  const value = readTorchFile(path, CLASSES);
  const tensors = adapterTensors(value, path);
  const sizes = checkShapes(tensors, path);
  if (!(value instanceof Instance)) return { path, tensors, sizes, token_ids: null };
  const list = value.state?.entries.get('all_trainable_input_ids');
  return { path, tensors, sizes, token_ids: tokenIds(list instanceof List ? list.items : [], sizes, path) };
}

function importedAdapter(path: string): PaperAdapter {
  const json = join(path, 'adapter.json');
  const told = readJsonObject(json, json);
  if (told.format !== 'whorl-imported-adapter' || told.version !== 1)
    throw new WhorlError(
      'unsupported',
      `${path} is no imported adapter`,
      'give instruction_emb.pt, or what whorl import made of it',
    );
  const file = join(path, 'adapter.safetensors');
  const { tensors: stored } = readSafetensorsHeader(file);
  const tensors = everyTensor((name) => stored.get(name), `${file} holds no`);
  const sizes = checkShapes(tensors, file);
  const token_ids = told.token_ids === null ? null : tokenIds(told.token_ids, sizes, json);
  return { path, tensors, sizes, token_ids };
}

const adapterTensors = (value: PickleValue, file: string): AdapterTensors =>
  everyTensor(
    (name) => {
      const tensor = lookUp(value, name);
      return tensor instanceof TorchTensor ? tensor.ref(`${file}: ${name}`) : undefined;
    },
    `${file} holds ${kindOf(value)} without the`,
  );

function everyTensor(of: (name: AdapterTensor) => TensorRef | undefined, lacks: string): AdapterTensors {
  const found: { [name in AdapterTensor]?: TensorRef } = {};
  for (const name of ADAPTER_TENSORS) {
    const tensor = of(name);
    if (!tensor)
      throw new WhorlError(
        'unsupported',
        `${lacks} tensor ${name}`,
        "the paper's adapter is known (instruction_emb.pt: A, B, trainable_emb, orig_emb), and its state_dict",
      );
    found[name] = tensor;
  }
  return found as AdapterTensors;
}

/** `A.weight` of a module (`_modules` → `_parameters`) or of a state_dict. */
function lookUp(value: PickleValue, name: AdapterTensor): PickleValue | undefined {
  if (value instanceof Dict) return value.entries.get(name);
  const [module, parameter] = name.split('.') as [string, string];
  const inner = part(value, '_modules')?.entries.get(module);
  return inner === undefined ? undefined : part(inner, '_parameters')?.entries.get(parameter);
}

function part(value: PickleValue, name: string): Dict | undefined {
  const found = value instanceof Instance ? value.state?.entries.get(name) : undefined;
  return found instanceof Dict ? found : undefined;
}

function checkShapes(tensors: AdapterTensors, file: string): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const name of ADAPTER_TENSORS) {
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

function tokenIds(ids: unknown, sizes: Readonly<Record<string, number>>, file: string): number[] {
  const list: readonly unknown[] = Array.isArray(ids) ? ids : [];
  const whole = list.filter(
    (id): id is number => typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < sizes.V!,
  );
  if (whole.length !== sizes.R || list.length !== sizes.R || new Set(whole).size !== whole.length)
    throw new WhorlError(
      'bad-file',
      `${file}: the list of trained tokens does not name ${sizes.R} rows of the ${sizes.V}`,
    );
  return whole;
}
