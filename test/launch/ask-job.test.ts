// Prompts that are asked elsewhere: answers in their order, taken in only where they are this job's and untouched. What
// transformers answers is compared in bench/ask.ts.

import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { sha256Hex } from '../../src/base/sha256.ts';
import { askByJob } from '../../src/launch/ask-job.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-ask-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const model = join(packageRoot(), 'assets/embedded/model');
const requests = ['Once upon', 'A'].map((prompt) => ({ prompt, max_new_tokens: 3 }));
const job = join(scratch, 'job');
const ask = () => askByJob({ model, requests, job });

function answer(answers: unknown, more: object = {}): void {
  const result = join(job, 'result');
  mkdirSync(result, { recursive: true });
  const text = JSON.stringify({ answers });
  writeFileSync(join(result, 'answers.json'), text);
  writeFileSync(
    join(result, 'result.json'),
    JSON.stringify({
      ...{ format: 'whorl-ask-result', version: 1, sha256: sha256Hex(text) },
      job: sha256Hex(readFileSync(join(job, 'manifest.json'))),
      ...{ torch: '2.11.0', transformers: '5.24.0', device: 'cpu', ...more },
    }),
  );
}

test('waits, then gives each prompt its answer; what is not an answer of this job is refused by name', async () => {
  expect(await ask()).toEqual({ kind: 'waiting', job, prompts: 2, done: 0, encrypted: false });
  const tokenizer = await openTokenizer(model);
  const said = [[300, 301], []];
  answer(said);
  expect(await ask()).toEqual([
    { prompt: 'Once upon', generated: await tokenizer.decode(said[0]!), generated_token: said[0] },
    { prompt: 'A', generated: '', generated_token: [] },
  ]);
  for (const wrong of [[[300]], [[300, 301, 302, 303], []], [[5120], []], [[-1], []], [null, []]]) {
    answer(wrong);
    await expect(ask()).rejects.toMatchObject({ code: 'bad-file' });
  }
  answer(said, { job: '0'.repeat(64) });
  await expect(ask()).rejects.toMatchObject({ code: 'mismatch' });
  answer(said);
  appendFileSync(join(job, 'result', 'answers.json'), ' ');
  await expect(ask()).rejects.toMatchObject({ code: 'changed' });
  answer(said);
  const other = [{ prompt: 'B', max_new_tokens: 3 }];
  await expect(askByJob({ model, requests: other, job })).rejects.toMatchObject({ code: 'mismatch' });
  appendFileSync(join(job, 'ask.py'), '\n');
  await expect(ask()).rejects.toMatchObject({
    code: 'changed',
    message: expect.stringContaining('ask.py was changed') as string,
  });
});

test('what greedy decoding without stop strings cannot answer is refused before anything is written', async () => {
  const sampled = [{ ...requests[0]!, stop: ['.'] }];
  await expect(askByJob({ model, requests: sampled, job: join(scratch, 'none') })).rejects.toMatchObject({
    code: 'unsupported',
  });
});
