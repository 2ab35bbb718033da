// Evaluations that are stopped at any row: what goes on asks only what is left, and writes the same bytes.

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { catalogue, chosen } from '../../src/evaluate/catalogue.ts';
import { type EvaluateOptions, evaluate } from '../../src/evaluate/evaluate.ts';
import { MODES } from '../../src/evaluate/modes.ts';
import { folderRows } from '../../src/evaluate/rows.ts';
import { askedText, type LanguageModel } from '../../src/lm/language-model.ts';
import { splitsOf } from './golden-rows.ts';

const place = mkdtempSync(join(tmpdir(), 'whorl-eval-'));
const picked = chosen(catalogue(), ['cola', 'hellaswag', 'winogrande', 'gsm8k', 'lambada']);
const data = join(place, 'data');
for (const task of picked.tasks) {
  mkdirSync(join(data, task.name), { recursive: true });
  for (const [split, rows] of Object.entries(splitsOf(task)))
    writeFileSync(join(data, task.name, `${split}.json`), JSON.stringify(rows));
}

/** Answers by a digest of what is asked, and counts how often. */
function counting(): { model: LanguageModel; asked: Map<string, number> } {
  const asked = new Map<string, number>();
  const count = (text: string): number => {
    asked.set(text, (asked.get(text) ?? 0) + 1);
    return createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32;
  };
  return {
    asked,
    model: {
      name: 'counting',
      wrapped: () => Promise.reject(new Error('not asked')),
      release: () => Promise.resolve(),
      async *generate(requests) {
        for (const [index, request] of requests.entries()) {
          const generated = `#### ${Math.floor(8 * count(askedText(request)))}`;
          yield { index, generation: { prompt: askedText(request), generated, generated_token: [] } };
        }
      },
      async *score(requests) {
        for (const [index, { context, continuation }] of requests.entries()) {
          const x = count(`${context}\0${continuation}`);
          yield { index, score: { logprob: -20 * x, tokens: 1, greedy: x < 0.3 } };
        }
      },
    },
  };
}

const options = (model: LanguageModel, out: string): EvaluateOptions => ({
  model,
  modelName: 'counting',
  modelIdentity: 'x',
  chosen: picked,
  shots: [0, 5],
  data: folderRows(data),
  out,
  label: 'some',
  mode: MODES.main,
  bootstrap: 1000,
});

const files = (out: string): Record<string, string> =>
  Object.fromEntries(
    ['', '.samples'].flatMap((end) =>
      readdirSync(out + end, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => [end + entry.name, readFileSync(join(entry.parentPath, entry.name), 'utf8')]),
    ),
  );

test('each row is asked once, wherever it is stopped', async () => {
  const whole = counting();
  await evaluate(options(whole.model, join(place, 'whole')));
  const expected = files(join(place, 'whole'));
  const times = [...whole.asked.values()].reduce((a, b) => a + b, 0);
  for (const stop of [1, 2, 5, 9, 14, 20, 27, 35, 44]) {
    const { model, asked } = counting();
    const out = join(place, `stopped-${stop}`);
    let told = 0;
    const stopping = evaluate({
      ...options(model, out),
      onEvent: ({ kind }) => {
        if (kind === 'progress' && ++told === stop) throw new Error('stopped');
      },
    });
    await expect(stopping).rejects.toThrow('stopped');
    await evaluate(options(model, out));
    expect(files(out)).toEqual(expected);
    expect([...asked.values()].reduce((a, b) => a + b, 0)).toBe(times);
    const third = await evaluate(options(model, out));
    expect(third.asked).toBe(0);
  }
});

test('rows that changed since are refused where results stand', async () => {
  const { model } = counting();
  const out = join(place, 'whole');
  writeFileSync(
    join(data, 'cola', 'validation.json'),
    JSON.stringify([{ sentence: 'Other.', label: 1, idx: 0 }]),
  );
  await expect(evaluate(options(model, out))).rejects.toThrow(/some\/0\.json holds results of other rows/);
});
