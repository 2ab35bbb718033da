// The paper's adapter laid over a model answers as the paper's own code does (goldens/torch/make_running.py), over a tied
// head and another; what does not fit is refused.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { ProgressEvent } from '../../src/base/events.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { cpu } from '../../src/engine/session.ts';
import { generateAll } from '../../src/lm/ask.ts';
import { type AdapterChoice, asking } from '../../src/lm/open.ts';
import { Encoder } from '../../src/models/encode.ts';
import { openModel } from '../../src/models/open-model.ts';
import { PUBLISHED } from '../../src/models/overlay.ts';
import { type AdapterTable, adapterOverlay } from '../../src/models/paper-adapter.ts';
import { importAdapter } from '../../src/pipeline/import/adapter.ts';
import { readPaperAdapter } from '../../src/sources/checkpoints/paper-adapter.ts';
import { safetensorsBytes } from '../../src/sources/checkpoints/write-safetensors.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { greedyDecoder } from '../lm/greedy.ts';
import { openGolden } from './golden-models.ts';

const goldens = join(packageRoot(), 'goldens/torch');
const golden = JSON.parse(readFileSync(join(goldens, 'running.json'), 'utf8')) as {
  prompts: number[][];
  tokens: number[];
  runs: Record<string, { logprobs: number[][]; greedy: number[][] }>;
};
const scratch = mkdtempSync(join(tmpdir(), 'whorl-paper-adapter-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const saved = (kind: string) => join(goldens, `running-${kind}.pt`);

describe.each(Object.entries(golden.runs))('%s', (name, { logprobs, greedy }) => {
  const [kind, of, table] = name.split(' ') as [string, string, AdapterTable];
  const model = openGolden(of);
  const overlay = () => adapterOverlay(readPaperAdapter(saved(kind)), model, table);

  test('log-probabilities after each prompt', async () => {
    const encoder = new Encoder(model, overlay(), cpu);
    const labels = logprobs[0]!.map((_, token) => token);
    for (const [i, tokens] of golden.prompts.entries()) {
      const wanted = labels.map(() => tokens.length - 1);
      const [got] = await encoder.labels([{ tokens, variant: PUBLISHED, wanted, labels }]);
      logprobs[i]!.forEach((value, token) => expect(got!.logprobs[token]).toBeCloseTo(value, 4));
    }
    await encoder.release();
  });

  test('greedy text', async () => {
    const decoder = greedyDecoder(model, cpu, overlay());
    expect(await decoder.decode(golden.prompts, greedy[0]!.length)).toEqual(greedy);
    await decoder.release();
  });
});

test('an imported folder is the adapter that it was made of', async () => {
  const out = join(scratch, 'imported');
  await importAdapter(saved('learned'), out);
  const model = openGolden('llama-tied');
  const [mine, theirs] = [out, saved('learned')].map((path) =>
    adapterOverlay(readPaperAdapter(path), model, 'adapter'),
  );
  expect(mine).toEqual(theirs);
});

/** An imported adapter of one token: A and B are zero, and B's bias is `bias` in every element. */
function biasOn(width: number, vocabulary: number, token: number, bias: number): string {
  const folder = mkdtempSync(join(scratch, 'bias-'));
  const shapes = { orig_emb: [vocabulary, width], trainable_emb: [1, width], A: [1, width], B: [width, 1] };
  const entries = Object.entries(shapes).flatMap(([name, shape]) => [
    { name: `${name}.weight`, dtype: 'float32' as const, shape, value: 0 },
    ...(name === 'A' || name === 'B'
      ? [
          {
            name: `${name}.bias`,
            dtype: 'float32' as const,
            shape: [shape[0]!],
            value: name === 'B' ? bias : 0,
          },
        ]
      : []),
  ]);
  writeFileSync(
    join(folder, 'adapter.safetensors'),
    safetensorsBytes(
      entries.map(({ value, ...entry }) => ({
        ...entry,
        bytes: new Uint8Array(new Float32Array(entry.shape.reduce((a, b) => a * b)).fill(value).buffer),
      })),
    ),
  );
  const told = { format: 'whorl-imported-adapter', version: 1, token_ids: [token] };
  writeFileSync(join(folder, 'adapter.json'), JSON.stringify(told));
  return folder;
}

test('a model by name is asked under it, and what it is is told', async () => {
  const model = await openModel(join(packageRoot(), 'assets/embedded/model'));
  const { hidden_size, vocab_size } = model.decoder.config;
  const prompt = 'Once upon';
  const tokenizer = await openTokenizer(model.folder);
  const token = (await tokenizer.encode(prompt)).at(-1)!;
  const notes: string[] = [];
  const onEvent = (event: ProgressEvent) => event.kind === 'note' && notes.push(event.text);
  const ask = (adapter?: AdapterChoice) =>
    asking({ kind: 'model', model, ...(adapter && { adapter }) }, { onEvent }, async (asked) => {
      const [one] = await generateAll(asked, [{ prompt, max_new_tokens: 6 }]);
      return one!.generated;
    });
  const plain = await ask();
  expect(notes).toEqual([]);
  expect(await ask({ path: biasOn(hidden_size, vocab_size, token, 0) })).toBe(plain);
  expect(await ask({ path: biasOn(hidden_size, vocab_size, token, 3) })).not.toBe(plain);
  expect(notes).toHaveLength(2);
  for (const note of notes) expect(note).toMatch(/no row is replaced.*this adapter is a bias vector/);
  await expect(ask({ path: saved('constant') })).rejects.toMatchObject({ code: 'mismatch' }); // another width
});

test.each([
  ['state-dict.pt', 'llama-tied', 'unsupported', 'which tokens'],
  ['paper-f32.pt', 'llama-tied', 'mismatch', '40 rows of 8'],
  ['views.pt', 'llama-tied', 'unsupported', 'without the tensor'],
])('%s on %s: %s', (file, of, code, words) => {
  const call = () => adapterOverlay(readPaperAdapter(join(goldens, file)), openGolden(of), 'model');
  expect(call).toThrow(expect.objectContaining({ code, message: expect.stringContaining(words) as string }));
});
