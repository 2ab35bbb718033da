// The tiny models of goldens/models: every folder there is taken up, whatever its name, as the family its config names.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bindModel, type Model } from '../../src/models/model.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import type { TensorRef } from '../../src/tensor/tensor.ts';

const ROOT = new URL('../../goldens/models/', import.meta.url).pathname;

/** Names of the folders. */
export const GOLDEN_MODELS: readonly string[] = readdirSync(ROOT).filter((name) =>
  existsSync(join(ROOT, name, 'golden.json')),
);

export const openGolden = (name: string): Model =>
  bindModel({ ...openCheckpoint(join(ROOT, name)), source: name });

/** Those whose every tensor is in half precision. */
export const HALF_MODELS: readonly string[] = GOLDEN_MODELS.filter((name) =>
  [...openGolden(name).tensors.values()].every(({ dtype }) => dtype !== 'float32'),
);

/** What transformers said of it, as JSON; `T` names the fields that the caller reads. */
export const goldenOf = <T>(name: string): T =>
  JSON.parse(readFileSync(join(ROOT, name, 'golden.json'), 'utf8')) as T;

/** And as tensors: `logits.0`, `grad.` and a parameter's name. */
export const goldenTensors = (name: string): ReadonlyMap<string, TensorRef> =>
  readSafetensorsHeader(join(ROOT, name, 'golden.safetensors')).tensors;
