// A local model over many rows: one session for all sizes, the same bits alone or among others, shared contexts or not.

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { engineSessions } from '../../src/engine/session-info.ts';
import { generateAll } from '../../src/lm/ask.ts';
import { generate, score } from '../../src/lm/calls.ts';
import type { Score } from '../../src/lm/language-model.ts';
import { LocalModel } from '../../src/lm/local-model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { packShared } from '../../src/models/pack.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';

let folder: string;
let model: LocalModel;
beforeAll(async () => {
  folder = scratch();
  model = await LocalModel.open(await openModel(tinyModel(folder)));
});
afterAll(async () => {
  await model.release();
  rmSync(folder, { recursive: true });
});

const text = (length: number, seed: number): string =>
  Array.from({ length }, (_, i) => String.fromCharCode(97 + ((seed * 31 + i * 7) % 26))).join('');
const rows = Array.from({ length: 200 }, (_, i) => ({
  context: text([0, 3, 9, 20, 41][(i >> 2) % 5]!, i >> 2), // four rows share a context
  continuation: text(1 + ((i * 13) % 24), i),
}));

async function scores(of: typeof rows): Promise<Score[]> {
  const out: Score[] = [];
  for await (const { index, score } of model.score(of)) out[index] = score;
  return out;
}

test('200 continuations of mixed length compile one session; each scores the same bits alone', async () => {
  const before = engineSessions();
  const together = await scores(rows);
  expect(together).toHaveLength(200);
  for (const i of [0, 1, 2, 3, 57, 120, 199]) expect(await scores([rows[i]!])).toEqual([together[i]]);
  expect(await scores([...rows].reverse())).toEqual([...together].reverse());
  expect(engineSessions() - before).toBe(1);
});

test('an added token beyond the embedding is refused where a text holds it, and only there', async () => {
  const path = join(folder, 'padded');
  cpSync(model.model.folder, path, { recursive: true });
  writeFileSync(
    join(path, 'tokenizer_config.json'),
    JSON.stringify({ bos_token: '<s>', eos_token: '</s>', pad_token: '[PAD]' }),
  );
  const { vocab_size } = model.model.decoder.config;
  const config = JSON.parse(readFileSync(join(path, 'tokenizer.json'), 'utf8')) as {
    model: { vocab: Record<string, number> };
  };
  for (let id = Object.keys(config.model.vocab).length; id < vocab_size; id++)
    config.model.vocab[`filler ${id}`] = id;
  writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(config));
  const padded = await LocalModel.open(await openModel(path));
  expect(padded.tokenizer.padId).toBe(vocab_size);
  const out: object[] = [];
  for await (const row of padded.generateRows(
    ['ab', 'a[PAD]b'].map((prompt) => ({ prompt, max_new_tokens: 3 })),
  ))
    out[row.index] = row;
  expect(out).toMatchObject([{ generation: { prompt: 'ab' } }, { error: { code: 'mismatch' } }]);
  const told: [number, string][] = [];
  const scored: Score[] = [];
  const rows = ['b', '[PAD]', 'c'].map((continuation) => ({ context: 'a', continuation }));
  for await (const one of score({ model: path, rows, onRowError: (row, { code }) => told.push([row, code]) }))
    scored.push(one);
  expect([scored.length, told]).toEqual([2, [[1, 'mismatch']]]);
  await expect(generateAll(padded, [{ prompt: '[PAD]', max_new_tokens: 3 }])).rejects.toMatchObject({
    code: 'mismatch',
  });
  await padded.release();
});

test('shared beginnings are one row each, kinds apart', () => {
  const sequences = [
    [1, 2, 3, 4],
    [1, 2, 5],
    [1, 2, 3, 4],
    [2, 2],
  ];
  const packed = packShared(sequences);
  expect([...packed.ids]).toEqual([1, 2, 3, 4, 5, 2, 2]);
  expect(packed.row(1, 1)).toBe(packed.row(0, 1));
  expect(packed.row(1, 2)).toBe(4);
  expect(packed.row(3, 0)).toBe(5);
  expect(packShared(sequences, ['a', 'b', 'a', 'a']).T).toBe(4 + 3 + 2);
  // A linear layer never runs with one row.
  expect(packShared([[7], [7]]).T).toBe(2);
});

test('generation: one session a strategy; results by the order of requests, samples side by side', async () => {
  const before = engineSessions();
  const requests = ['ab', 'a much longer prompt', 'c'].map((prompt, i) => ({
    prompt,
    max_new_tokens: 6 + i,
    num_samples: i + 1,
    sampling: { temperature: 1, seed: 4 },
  }));
  const all = await generateAll(model, requests);
  expect(all.map(({ prompt }) => prompt)).toEqual([
    'ab',
    ...Array(2).fill(requests[1]!.prompt),
    'c',
    'c',
    'c',
  ]);
  // Alone a request is the first of its list: `draw` says which draws are its own.
  expect(await generateAll(model, [{ ...requests[2]!, draw: 2 }])).toEqual(all.slice(3));
  expect(engineSessions() - before).toBe(1);
  await expect(generateAll(model, [{ ...requests[0]!, num_samples: 0 }])).rejects.toThrow('num_samples');
  await expect(generateAll(model, [{ ...requests[0]!, stop: [''] }])).rejects.toThrow('stop string');
});

test('the calls: a model by name, results in order, the model let go of when the reader stops early', async () => {
  const path = model.model.source;
  const got: Score[] = [];
  for await (const one of score({ model: path, rows: rows.slice(0, 5), batch_tokens: 64 })) got.push(one);
  expect(got).toEqual(await scores(rows.slice(0, 5)));
  const events: string[] = [];
  const asked = {
    model: path,
    prompts: ['ab', 'cd'],
    num_samples: 2,
    max_new_tokens: 5,
    sampling: { temperature: 1 },
  };
  const texts: string[] = [];
  for await (const { prompt, generated } of generate({
    ...asked,
    onEvent: (event) => events.push(event.kind),
  }))
    texts.push(prompt + generated);
  expect(texts.map((text) => text.slice(0, 2))).toEqual(['ab', 'ab', 'cd', 'cd']);
  expect(events.filter((kind) => kind === 'progress')).toHaveLength(4);
  for await (const { prompt, generated } of generate(asked)) {
    expect(prompt + generated).toBe(texts[0]);
    break;
  }
});
