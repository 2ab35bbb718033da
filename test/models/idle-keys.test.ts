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

interface Ignored {
  readonly keys: Readonly<Record<string, readonly unknown[]>>;
  readonly ignored: Readonly<Record<string, { readonly golden: string; readonly keys: readonly string[] }>>;
}
const { keys: wild, ignored } = JSON.parse(
  readFileSync(join(goldens, 'config/ignored.json'), 'utf8'),
) as Ignored;
const configOf = (golden: string) =>
  JSON.parse(readFileSync(join(goldens, 'models', golden, 'config.json'), 'utf8')) as Record<string, unknown>;
/** What says how a folder is to be opened, and is refused whatever a class makes of it. */
const REFUSED = new Set(['attention_dropout', 'intermediate_size', 'layer_types', 'mlp_layer_types']);

test.each(Object.entries(ignored))(
  '%s: values of other families pass that its class does not read',
  (_, of) => {
    const config = configOf(of.golden);
    const plain = familyOf(config, of.golden, new Map());
    let passed = 0;
    for (const key of of.keys)
      for (const value of wild[key]!) {
        const read = () => familyOf({ ...config, [key]: value }, of.golden, new Map());
        let decoder: ReturnType<typeof read>;
        try {
          decoder = read();
        } catch (error) {
          // What the family asks for itself it may refuse; a window or a bias of another family it may not.
          expect((error as Error).message, key).not.toMatch(
            /(?:sliding_window|logit|multiplier|scale_emb|num_kv_shared_layers|num_nextn_predict_layers|norm_eps|qk_norm) = .*mathematics/,
          );
          continue;
        }
        passed++;
        if (!REFUSED.has(key)) expect(decoder.layers, key).toEqual(plain.layers);
      }
    expect(passed).toBeGreaterThan(60);
  },
);

interface Foreign {
  readonly values: readonly unknown[];
  readonly keys: readonly string[];
  readonly read: Readonly<Record<string, readonly string[]>>;
  readonly tried: Readonly<Record<string, readonly { readonly value: unknown; readonly outcome: string }[]>>;
}
const foreign = JSON.parse(readFileSync(join(goldens, 'config/foreign.json'), 'utf8')) as Foreign;
const known = new Set(Object.values(foreign.read).flat());

test.each(Object.keys(foreign.read))(
  '%s: keys of every class of transformers pass, whatever their value, unless some family reads them or they are its own',
  (golden) => {
    const config = configOf(golden);
    const plain = familyOf(config, golden, new Map());
    const others = foreign.keys.filter((key) => !known.has(key) && !Object.hasOwn(config, key));
    expect(others.length).toBeGreaterThan(2000);
    for (const value of foreign.values.slice(0, 2)) {
      const all: Record<string, unknown> = Object.fromEntries(others.map((key) => [key, value]));
      for (let i = 0; ; i++) {
        try {
          expect(familyOf({ ...config, ...all }, golden, new Map()).layers).toEqual(plain.layers);
          break;
        } catch (error) {
          // What the family or Whorl knows by name it may refuse, one key at a time.
          const [, key] = /: ([\w.]+) (?:=|is) /.exec((error as Error).message) ?? [];
          expect(Object.hasOwn(all, key ?? ''), (error as Error).message).toBe(true);
          expect((error as Error).message).not.toMatch(/does not know/);
          delete all[key!];
          expect(i).toBeLessThan(100);
        }
      }
    }
  },
);

test('a key that such a class declares may count where the folder brings code, and one that none declares anywhere', () => {
  const open = (more: object) => () => familyOf({ ...configOf('llama-untied'), ...more }, 'llama', new Map());
  expect(open({ time_step_limit: [0, Number.POSITIVE_INFINITY] })).not.toThrow();
  expect(open({ time_step_limit: 3, auto_map: { AutoModelForCausalLM: 'x.Y' } })).toThrow(
    /does not know time_step_limit/,
  );
  expect(open({ time_step_limits: 3 })).toThrow(/does not know time_step_limits/);
});

test.each(
  Object.entries(foreign.tried).flatMap(([key, tries]) =>
    tries.map(({ value, outcome }) => [key, value, outcome] as const),
  ),
)('%s: %j is %s in transformers', (key, value, outcome) => {
  const open = () => familyOf({ ...configOf('llama-untied'), [key]: value }, 'llama', new Map());
  // transformers refuses a quantization_config without a method; one that says nothing else leaves the weights what they are.
  const saysNothing =
    outcome === 'error: ValueError' && Object.values(value as object).every((item) => !item);
  if (outcome === 'same' || saysNothing) expect(open).not.toThrow();
  else expect(open).toThrow(/quantised/);
});

test.each<[golden: string, more: object]>([
  ['gemma', { use_bidirectional_attention: true }],
  ['mistral-window', { logit_scale: 0.5, auto_map: { AutoModelForCausalLM: 'modeling_x.X' } }],
  ['mistral-window', { vision_config: { a: 1 } }],
  ['llama-untied', { is_encoder_decoder: true }],
])('%s with %j is refused by name', (golden, more) => {
  expect(() => familyOf({ ...configOf(golden), ...more }, golden, new Map())).toThrow(
    /changes the model's mathematics/,
  );
});
