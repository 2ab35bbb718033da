// A model that is too narrow for the defaults is told so before any work: other settings are taken, or it is refused.

import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { defaultsOf } from '../../src/base/setting.ts';
import { type Build, buildOf } from '../../src/fingerprint/build.ts';
import { METHODS, narrowWords, settingsFor } from '../../src/fingerprint/registry.ts';
import { fingerprint, type WhorlError } from '../../src/index.ts';
import { openModel } from '../../src/models/open-model.ts';
import { flavourSettings } from '../../src/pipeline/flavour.ts';

const model = join(packageRoot(), 'assets/embedded/model');
/** A model of this width whose rows are as large as the embedded model's, tied as it is. */
const build = (width: number): Build => ({ width, rows: 1, tied: true });

test('settings go by the hidden size, under the user’s own; a wide model has the defaults', () => {
  const rows = METHODS.rows!;
  expect(settingsFor(rows, '', {}, build(576))).toEqual(defaultsOf(rows.schema));
  expect(settingsFor(rows, '', {}, build(192))).toMatchObject({ trained: 24, key_length: 8 });
  expect(settingsFor(rows, '', { trained: '9' }, build(192))).toMatchObject({ trained: 9, key_length: 8 });
  // The registry has lr and dim for every model: they are defaults, and a narrow model's go over them; a named model's stay.
  expect(settingsFor(METHODS.adapter!, '', {}, build(64))).toMatchObject({ dim: 64, lr: 0.05 });
  expect(settingsFor(METHODS.adapter!, '', {}, build(192))).toMatchObject({ dim: 192, lr: 0.05 });
  expect(settingsFor(METHODS.adapter!, 'LLM360/Amber', {}, build(192))).toMatchObject({ dim: 16, lr: 0.01 });
  expect(narrowWords(rows, build(576), {}, 0.1)).toBeUndefined();
  expect(narrowWords(rows, build(192), { trained: '9' }, 0.1)).toMatch(
    /^hidden size 192 is below 384: rows takes key_length=8/,
  );
  expect(narrowWords(rows, build(64), {}, 0.1)).toMatch(/none narrower than 192 was tried/);
});

test('undrawn keys of adapter are silenced as in a wide model where no tied head holds rows back', () => {
  const weight = (build: Build) => settingsFor(METHODS.adapter!, '', {}, build).hush_weight;
  expect(weight({ ...build(192), tied: false })).toBe(weight(build(576)));
  expect(weight(build(192))).toBeLessThan(weight(build(576)) as number);
});

// Root mean squares by torch: .1392 of the embedded model, which rates were tried on; Gemma .0413, since it multiplies what is
// looked up by the root of its width; GPT-2 .1611, the others between .1307 and .1377.
test.each([
  { family: 'gemma3_text', rows: 0.25, tied: true },
  { family: 'gpt_neox', rows: 1, tied: false },
  { family: 'gpt2', rows: 1, tied: true },
  { family: 'mistral', rows: 1, tied: true },
  { family: 'qwen3', rows: 1, tied: true },
])('rates go by the size of rows: $family', async ({ family, ...expected }) => {
  const found = buildOf(await openModel(join(packageRoot(), 'test/fixtures/trained', family)));
  expect(found).toEqual({ width: 192, ...expected });
  const rate = (name: string, of: Build) => (settingsFor(METHODS[name]!, '', {}, of) as { lr: number }).lr;
  for (const name of ['rows', 'adapter', 'emb', 'lora'])
    expect(rate(name, found), name).toBe(rate(name, build(192)) * expected.rows);
  // A wide model's as well, of what trains rows; a map on linear layers and all weights go by their own.
  for (const name of ['rows', 'adapter', 'emb', 'lora', 'sft']) {
    const share = name === 'lora' || name === 'sft' ? 1 : expected.rows;
    expect(rate(name, { ...found, width: 576 }), name).toBe(rate(name, build(576)) * share);
  }
});

test('rates stand as they are for the model that they were tried on, for what is given and what the registry has of a model', async () => {
  const { emb, adapter } = METHODS;
  expect(buildOf(await openModel(model))).toEqual(build(192));
  expect(settingsFor(emb!, '', { lr: '0.01' }, { ...build(192), rows: 0.25 })).toMatchObject({ lr: 0.01 });
  expect(settingsFor(adapter!, 'LLM360/Amber', {}, { ...build(576), rows: 0.25 })).toMatchObject({
    lr: 0.01,
  });
});

test('a stamp needs none, and is no other way to keys that answer', () => {
  const stamp = METHODS.stamp!;
  expect(settingsFor(stamp, '', {}, build(192))).toEqual(defaultsOf(stamp.schema));
  expect(narrowWords(stamp, build(192), {}, stamp.maxHarm)).toBeUndefined();
  expect(() => narrowWords(METHODS.sft!, build(192), {}, 0.5)).toThrow(
    expect.objectContaining({ fix: expect.not.stringContaining('stamp') as string }),
  );
});

test('settings of a stamp beside keys are no settings of what trains', () => {
  const given = (settings: Record<string, unknown>) => () =>
    narrowWords(METHODS.sft!, build(192), settings, 0.5);
  for (const settings of [{ stamp: 'off' }, { epsilon: '0.002' }, { stamp: 'mlp', epsilon: '0.002' }])
    expect(given(settings)).toThrow(expect.objectContaining({ code: 'too-harmful' }));
  expect(given({ stamp: 'off', lr: '1e-5' })).not.toThrow();
});

test.each(Object.entries(METHODS))('%s: what is said to be taken is what is taken', (_, method) => {
  const own = method.narrow(build(192)).settings as Readonly<Record<string, unknown>>;
  expect(settingsFor(method, '', {}, build(192))).toMatchObject(own);
});

test('a smaller pool has fewer negatives, and so it is said', async () => {
  const notes: string[] = [];
  const { settings } = await fingerprint({
    ...{ model, method: 'adapter', settings: { pool: 100 }, dryRun: true },
    out: join(mkdtempSync(join(tmpdir(), 'whorl-narrow-')), 'run'),
    onEvent: (event) => void (event.kind === 'note' && notes.push(event.text)),
  });
  expect(settings.negatives).toBe(64); // four in five of the 80 that are not drawn
  expect(notes.join()).toContain('adapter takes negatives=64 ');
});

test('the pipeline takes them as well, and compares a finished run with them', () => {
  const { full, name } = flavourSettings('adapter', '', {}, undefined, build(192));
  expect(full).toEqual(settingsFor(METHODS.adapter!, '', { stamp: 'off' }, build(192))); // the paper has none
  expect(name).toMatchObject({ lr: '0.05', dim: '192' });
});

test.each(['sft', 'emb', 'lora'])(
  '%s costs more than its limit and is refused before anything is written, with options that are not',
  async (name) => {
    const out = join(mkdtempSync(join(tmpdir(), 'whorl-narrow-')), 'run');
    const made = fingerprint({ model, out, method: name });
    const error = (await made.catch((thrown: unknown) => thrown)) as WhorlError;
    expect(error.code).toBe('too-harmful');
    expect(readdirSync(join(out, '..'))).toEqual([]);
    for (const line of error.fix!.split(' or ')) {
      const [, method, , limit] = /^--method (\w+)( --max-harm (\S+))?$/.exec(line)!;
      const { maxHarm } = METHODS[method!]!;
      expect(() =>
        narrowWords(METHODS[method!]!, build(192), {}, limit === undefined ? maxHarm : Number(limit)),
      ).not.toThrow();
    }
  },
);
