// Keys of other families and of tools with values that say "not used": where transformers computes the same with them
// (goldens/config/make_idle.py), they are no reason to refuse a model.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { familyOf } from '../../src/models/families/index.ts';

const goldens = new URL('../../goldens/', import.meta.url).pathname;
const { keys, same } = JSON.parse(readFileSync(join(goldens, 'config/idle.json'), 'utf8')) as {
  keys: Readonly<Record<string, unknown>>;
  same: Readonly<Record<string, readonly string[]>>;
};

test.each(Object.entries(same))('%s opens with each of them', (family, idle) => {
  const config = JSON.parse(readFileSync(join(goldens, 'models', family, 'config.json'), 'utf8')) as object;
  expect(idle.length).toBeGreaterThan(20);
  for (const key of idle)
    expect(() => familyOf({ ...config, [key]: keys[key] }, family, new Map()), key).not.toThrow();
});

test.each<[key: string, value: unknown, more?: object]>([
  ['attention_bias', true],
  ['max_window_layers', 2, { use_sliding_window: true }],
  ['scale_emb', 12],
  ['num_nextn_predict_layers', 1],
])('%s = %j is refused in a family that does not read it', (key, value, more = {}) => {
  const family = 'mistral-window';
  const config = JSON.parse(readFileSync(join(goldens, 'models', family, 'config.json'), 'utf8')) as object;
  expect(() => familyOf({ ...config, ...more, [key]: value }, family, new Map())).toThrow(
    /changes the model's mathematics/,
  );
});
