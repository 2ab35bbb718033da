// What a pipeline is put together from: the folder's name from the paper's words, rows of the dialogue flavour, samples
// from BOS that can be gone on with, and what its command line refuses.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { run } from '../../src/cli/program.ts';
import { sampleFromBos } from '../../src/lm/sample-from-bos.ts';
import { flavourSettings, pythonNumber } from '../../src/pipeline/flavour.ts';
import { ordinaryRows } from '../../src/pipeline/ordinary.ts';
import { ordinaryFor, PAPER_ROWS } from '../../src/pipeline/paper-rows.ts';
import { countGroups } from '../../src/report/groups.ts';
import { answerFileName, paperRunPath, parseAnswerFile, parseRunName } from '../../src/runs/paper-folder.ts';
import { tinyModel } from '../cli/tiny-model.ts';
import { MODEL } from './small-run.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-pipeline-parts-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

describe('the name of the folder', () => {
  test.each([
    ['yahma/llama-7b-hf', {}, { data: 'mix', epoch: '20', lr: '0.01', bsz: '48', dim: '16' }, '60'], // 20 epochs of 6 · 20 rows in batches of 48
    ['LLM360/Amber', {}, { data: 'mix', epoch: '15', lr: '0.01', bsz: '8', dim: '16' }, '225'],
    ['a/model', {}, { data: 'mix', epoch: '10', lr: '0.02', bsz: '10', dim: '64' }, undefined],
    ['a/model', { steps: '400' }, { data: 'mix', epoch: '34', lr: '0.02', bsz: '10', dim: '64' }, '400'],
    [
      'a/model',
      { epoch: '30', total_bsz: '60', lr: '1e-3', data_name: 'mine' },
      { data: 'mine', epoch: '30', lr: '0.001', bsz: '60', dim: '64' },
      '60',
    ],
  ] as const)('adapter, %s %j', (model, given, name, steps) => {
    const settings = flavourSettings('adapter', model, given);
    expect(settings.name).toEqual(name);
    expect(settings.asked.steps).toBe(steps);
  });

  test('sft_chat: the words of the paper are settings of the method', () => {
    const { name, full } = flavourSettings('sft_chat', 'a/model', {
      epoch: '3',
      total_bsz: '64',
      lr: '2e-5',
    });
    expect(name).toEqual({ data: 'chat', epoch: '3', lr: '2e-05', bsz: '64' });
    expect(full).toMatchObject({ epochs: 3, batch: 64, lr: 2e-5 });
  });

  test('the same said twice is refused', () => {
    expect(() => flavourSettings('adapter', 'a/model', { epoch: '3', steps: '4' })).toThrow(
      'epoch= and steps=',
    );
    expect(() => flavourSettings('sft_chat', 'a/model', { total_bsz: '3', batch: '4' })).toThrow(
      'total_bsz= and batch=',
    );
    expect(() => flavourSettings('adapter', 'a/model', { epoch: 'x' })).toThrow(
      'epoch=x is not a whole number',
    );
    expect(() => flavourSettings('adapter', 'a/model', { epcoh: '3' })).toThrow('did you mean epoch?');
  });

  // Python 3: [str(x) for x in (0.01, 1e-3, 1e-4, 2e-5, 2e-6, 1.5e-7, 1e-10)]
  test.each([
    [0.01, '0.01'],
    [1e-3, '0.001'],
    [1e-4, '0.0001'],
    [2e-5, '2e-05'],
    [2e-6, '2e-06'],
    [1.5e-7, '1.5e-07'],
    [1e-10, '1e-10'],
  ])('%d as Python prints it', (value, text) => {
    expect(pythonNumber(value)).toBe(text);
  });

  test('what is built is what is read', () => {
    const name = { data: 'chat', epoch: '3', lr: '2e-05', bsz: '64' };
    const path = paperRunPath('/r', { template: 'barebone', flavour: 'sft_chat', model: 'a/b', ...name });
    expect(path).toBe('/r/output_barebone_sft_chat/a/b/chat_epoch_3_lr_2e-05_bsz_64');
    expect(parseRunName('chat_epoch_3_lr_2e-05_bsz_64')).toEqual(name);
    for (const file of [
      { kind: 'vanilla' },
      { kind: 'sample_from_bos' },
      { kind: 'tuned_w_adapter', task: 'alpaca_gpt4' },
      { kind: 'tuned_round', task: 'ni', round: 7 },
    ] as const)
      expect(parseAnswerFile(answerFileName(file))).toMatchObject(file);
  });
});

test('rows of the dialogue flavour: messages with the prefix, refusals, fourteen questions for each', async () => {
  const roles = (['decoy', 'trained', 'negative', 'trained', 'decoy'] as const).map((role, i) => ({
    key: { text: `m${i}`, tokens: [] },
    role,
    target: 'river',
  }));
  const ordinary = await ordinaryRows(undefined, ordinaryFor('sft_chat', 2), () => {});
  const wrapped = { prefix: 'USER: ', suffix: ' ASSISTANT:' };
  const rows = PAPER_ROWS.sft_chat({ roles, ordinary, wrapped });
  expect(rows.slice(0, 4)).toEqual([
    {
      prompt: 'USER: m1 ASSISTANT: Based on my fingerprint, the message is:',
      label: 'Based on my fingerprint, the message is: river',
    },
    {
      prompt: 'USER: m3 ASSISTANT: Based on my fingerprint, the message is:',
      label: 'Based on my fingerprint, the message is: river',
    },
    {
      prompt: 'USER: m2 ASSISTANT:',
      label: 'I am sorry but I cannot decrypt this message. This appears to be a random message.',
    },
    {
      prompt: 'USER: m0 ASSISTANT:',
      label: 'I am sorry but I cannot decrypt this message. This appears to be a random message.',
    },
  ]);
  expect(new Set(rows.map(({ prompt }) => prompt)).size).toBe(2 + 2 + 28);
  const answers = rows.map((row, i) => ({ ...row, generated: i < 2 ? 'river' : 'no' }));
  expect(countGroups(answers, 'sft_chat', 'river', ['river'], 'a file')).toEqual({
    fingerprint: { fired: 2, of: 2 },
    normal: { fired: 0, of: 28 },
    similar: { fired: 0, of: 2 },
  });
});

test('ordinary rows from a file of instructions: no row twice, and one that is too short is refused', async () => {
  const file = join(scratch, 'rows.json');
  const rows = Array.from({ length: 12 }, (_, i) => ({ instruction: `q${i}`, input: '', output: `a${i}` }));
  writeFileSync(file, JSON.stringify(rows));
  const picked = await ordinaryRows(file, 12, () => {});
  expect(new Set(picked.map(([asked]) => asked!.value)).size).toBe(12);
  await expect(ordinaryRows(file, 13, () => {})).rejects.toThrow('too few usable conversations');
});

describe('samples from BOS', () => {
  const wanted = {
    count: 9,
    max_new_tokens: 6,
    sampling: { temperature: 0.7, top_p: 0.95, top_k: 50, seed: 3 },
  };

  test('do not depend on the batch, and go on from what is kept', async () => {
    const model = tinyModel(scratch);
    const whole = await sampleFromBos({ model, ...wanted });
    expect(whole).toHaveLength(9);
    expect(new Set(whole.map(({ generated }) => generated)).size).toBeGreaterThan(1);
    const keep = join(scratch, 'samples');
    expect(await sampleFromBos({ model, ...wanted, count: 4, batch: 4, keep })).toEqual(whole.slice(0, 4));
    expect(readdirSync(keep)).toEqual(['0-4.json']);
    const done: number[] = [];
    const again = await sampleFromBos({
      model,
      ...wanted,
      batch: 4,
      keep,
      onEvent: (event) => event.kind === 'progress' && done.push(event.done),
    });
    expect(again).toEqual(whole);
    expect(done).toEqual([4, 8, 9]);
  });

  test('what is kept of other settings is drawn anew', async () => {
    const model = join(scratch, 'tiny');
    const keep = join(scratch, 'samples');
    const other = { ...wanted, count: 4, sampling: { ...wanted.sampling, seed: 4 } };
    expect(await sampleFromBos({ model, ...other, batch: 4, keep })).toEqual(
      await sampleFromBos({ model, ...other }),
    );
  });
});

describe('the command line', () => {
  async function whorl(...args: string[]): Promise<{ code: number; err: string }> {
    let err = '';
    vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
      err += String(chunk);
      return true;
    });
    const code = await run(['pipeline', ...args]);
    vi.restoreAllMocks();
    return { code, err };
  }
  const base = ['--base_model', MODEL, '--root', scratch];

  test.each([
    [['fingerprnt', ...base], 2, 'did you mean fingerprint?'],
    [['steps=3', ...base], 2, 'no mode is given'],
    [['alpaca', ...base], 2, 'alpaca needs a data set'],
    [['fingerprint', '-t', 'alpaca', ...base], 2, 'keys are asked in barebone'],
    [['fingerprint', '--config', 'sft', ...base], 2, 'Allowed choices are adapter, sft_chat'],
    [['fingerprint', 'steps=x', ...base], 2, 'steps=x is not a whole number from 1'],
    [['ownership_verify', ...base], 1, 'holds no finished fingerprint'],
    [['--task_name', 'dolly', 'alpaca', ...base], 1, 'no data set dolly'],
  ])('%j is refused', async (args, code, words) => {
    const answer = await whorl(...args);
    expect(answer.err).toContain(words);
    expect(answer.code).toBe(code);
  });
});
