// What a pipeline is put together from: the folder's name from the paper's words, rows of the dialogue flavour, samples
// from BOS that can be gone on with, and what its command line refuses.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { run } from '../../src/cli/program.ts';
import type { Conversation } from '../../src/datasets/conversations.ts';
import { PAPER } from '../../src/datasets/paper.ts';
import { METHODS, registryEntry, settingsFor } from '../../src/fingerprint/registry.ts';
import { FROM_BOS, sampleFromBos } from '../../src/lm/sample-from-bos.ts';
import {
  flavourSettings,
  ownAround,
  paperModelName,
  pipelineTemplate,
  pythonNumber,
} from '../../src/pipeline/flavour.ts';
import { ordinaryRows } from '../../src/pipeline/ordinary.ts';
import { ordinaryFor, PAPER_ROWS } from '../../src/pipeline/paper-rows.ts';
import { countGroups } from '../../src/report/groups.ts';
import {
  answerFileName,
  checkNoLinks,
  paperRunPath,
  parseAnswerFile,
  parseRunName,
} from '../../src/runs/paper-folder.ts';
import { vicuna } from '../../src/text/prompts/conversation-formats.ts';
import { wrapperOf } from '../../src/text/prompts/wrappers.ts';
import { tinyModel } from '../cli/tiny-model.ts';
import { MODEL } from './small-run.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-pipeline-parts-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

describe('-t', () => {
  const around = (name: string) => ownAround(pipelineTemplate('adapter', name), name);

  test('barebone is the wrapper that every claim names; another template is committed with its texts', () => {
    expect(around('barebone')).toBeUndefined();
    const alpaca = around('alpaca')!;
    expect(alpaca.name).toBe('template alpaca');
    expect(alpaca.texts[0]).toMatch(/^Below is an instruction.*### Instruction:\n$/s);
    expect(alpaca.texts[1]).toBe('\n\n### Input:\nFINGERPRINT\n\n### Response:');
    const query = {
      wrapper: alpaca.name,
      wrappers: { [alpaca.name]: [...alpaca.texts] as [string, string] },
    };
    expect(wrapperOf(query)).toEqual({ prefix: alpaca.texts[0], suffix: alpaca.texts[1] });
    expect(() => wrapperOf({ wrapper: alpaca.name })).toThrow('no wrapper');
  });

  test('a built-in wrapper is ours, whatever a claim says of its text', () => {
    expect(wrapperOf({ wrapper: 'bare', wrappers: { bare: ['other', 'text'] } })).toEqual({
      prefix: '',
      suffix: '\n',
    });
  });

  test('a template that puts the instruction twice is refused; of sft_chat any name is one', () => {
    const twice = { name: 'twice', promptInput: '{instruction} {instruction} {input}', promptNoInput: '' };
    expect(() => ownAround(twice, 'twice')).toThrow('has {instruction} 2 times');
    expect(pipelineTemplate('sft_chat', 'anything')).toBeUndefined();
  });
});

describe('the name of the folder', () => {
  test.each([
    ['yahma/llama-7b-hf', {}, { data: 'mix', epoch: '20', lr: '1e-2', bsz: '48', dim: '16' }, '60'], // 20 epochs of 6 · 20 rows in batches of 48
    ['LLM360/Amber', {}, { data: 'mix', epoch: '15', lr: '1e-2', bsz: '8', dim: '16' }, '225'],
    ['EleutherAI/gpt-j-6b', {}, { data: 'mix', epoch: '30', lr: '1e-3', bsz: '48', dim: '16' }, '90'],
    [
      'LLM360/Amber',
      { lr: '0.010', dim: '32' },
      { data: 'mix', epoch: '15', lr: '0.010', bsz: '8', dim: '32' },
      '225',
    ],
    ['a/model', {}, { data: 'mix', epoch: '10', lr: '2e-2', bsz: '10', dim: '64' }, undefined],
    ['a/model', { steps: '400' }, { data: 'mix', epoch: '34', lr: '2e-2', bsz: '10', dim: '64' }, '400'],
    [
      'a/model',
      { epoch: '30', total_bsz: '60', lr: '1e-3', data_name: 'mine' },
      { data: 'mine', epoch: '30', lr: '1e-3', bsz: '60', dim: '64' },
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
    expect(name).toEqual({ data: 'chat', epoch: '3', lr: '2e-5', bsz: '64' });
    expect(full).toMatchObject({ epochs: 3, batch: 64, lr: 2e-5 });
  });

  // The paper's configs/sft_chat.yaml
  test.each([
    [
      'NousResearch/Llama-2-7b-hf',
      {},
      { epoch: '3', lr: '2e-5', bsz: '64' },
      { epochs: 3, batch: 64, lr: 2e-5 },
    ],
    [
      'mistralai/Mistral-7B-v0.1',
      {},
      { epoch: '5', lr: '2e-6', bsz: '64' },
      { epochs: 5, batch: 64, lr: 2e-6 },
    ],
    ['LLM360/Amber', { batch: '32' }, { epoch: '5', lr: '2e-5', bsz: '32' }, { epochs: 5, batch: 32 }],
    [
      'LLM360/Amber',
      { total_bsz: '8', epoch: '2' },
      { epoch: '2', lr: '2e-5', bsz: '8' },
      { epochs: 2, batch: 8 },
    ],
    ['a/model', {}, { epoch: '12', lr: '5e-05', bsz: '16' }, { epochs: 12, batch: 16 }],
  ] as const)('sft_chat, %s %j', (model, given, name, full) => {
    const settings = flavourSettings('sft_chat', model, given);
    expect(settings.name).toEqual({ data: 'chat', ...name });
    expect(settings.full).toMatchObject(full);
  });

  test("the registry's default is what a model without an entry gets, under key=value", () => {
    expect(registryEntry('adapter', 'a/model')).toEqual({
      lr: '2e-2',
      dim: 64,
      total_bsz: 10,
      data_name: 'mix',
    });
    expect(registryEntry('adapter', 'yahma/llama-7b-hf')).toMatchObject({ epoch: 20, lr: '1e-2', dim: 16 });
    expect(registryEntry('lora', 'a/model')).toEqual({});
    expect(settingsFor(METHODS.adapter!, 'a/model', {})).toMatchObject({ lr: 0.02, dim: 64 });
    expect(settingsFor(METHODS.adapter!, 'yahma/llama-7b-hf', {})).toMatchObject({ lr: 0.01, dim: 16 });
    expect(settingsFor(METHODS.adapter!, 'yahma/llama-7b-hf', { lr: '3' })).toMatchObject({ lr: 3, dim: 16 });
  });

  test.each([
    ['NousResearch/Llama-2-7b-hf', {}, 'NousResearch/Llama-2-7b-hf'],
    ['NousResearch/Llama-2-7b-hf@main', {}, 'NousResearch/Llama-2-7b-hf'],
    ['./org/name/', {}, 'org/name'],
    ['org/name:q4.gguf', {}, 'org/name'],
    ['/data/NousResearch/Llama-2-7b-hf', {}, 'NousResearch/Llama-2-7b-hf'],
    ['/data/mine/Amber', { _name_or_path: 'LLM360/Amber' }, 'LLM360/Amber'],
    ['/data/mine/tuned', { _name_or_path: 'LLM360/Amber' }, 'tuned'],
    ['/c/hub/models--org--a--b/snapshots/0123', {}, 'org/a--b'],
    ['/data/weights/small.gguf', {}, 'small'],
    ['weights/small.gguf', {}, 'small'],
    ['assets/embedded/model', {}, 'model'],
  ])('the folder of %s', (asked, config, name) => {
    expect(paperModelName(asked, config)).toBe(name);
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

interface PaperAsked {
  greedy: object[];
  round: object[];
  sampling: { temperature: number; top_p: number; top_k: number };
}

describe('what becomes part of a path', () => {
  const good = { data: 'mix', epoch: '3', lr: '0.01', bsz: '8' };
  const whole = { template: 'barebone', flavour: 'adapter', model: 'a/b', ...good } as const;
  const bad = [
    '../../evil',
    '/etc',
    'a/b',
    'a\\b',
    '',
    ' ',
    '.',
    '..',
    '.hidden',
    'a\0b',
    'a\nb',
    'x'.repeat(101),
  ];

  test.each(bad)('data_name %j is refused, and so is any other part', (name) => {
    for (const part of ['data', 'epoch', 'lr', 'bsz', 'dim', 'template'] as const)
      expect(() => paperRunPath('/r', { ...whole, [part]: name }), part).toThrow('is no name of a folder');
    for (const model of name === 'a/b' ? ['a//b', 'a/'] : [`org/${name}/x`, name])
      expect(() => paperRunPath('/r', { ...whole, model })).toThrow('is no name of a folder');
  });

  test.each(['mix', '数据 1', 'a.b-c_d', 'x'.repeat(100)])('%j is a name', (name) => {
    expect(paperRunPath('/r', { ...whole, data: name })).toBe(
      `/r/output_barebone_adapter/a/b/${name}_epoch_3_lr_0.01_bsz_8`,
    );
  });

  test('a link on the way is refused, the root itself may be one', () => {
    const root = join(scratch, 'links');
    mkdirSync(join(root, 'real'), { recursive: true });
    symlinkSync(join(root, 'real'), join(root, 'output_barebone_adapter'));
    expect(() => checkNoLinks(root, paperRunPath(root, whole))).toThrow('output_barebone_adapter is a link');
    const linked = join(scratch, 'linked-root');
    symlinkSync(join(root, 'real'), linked);
    expect(() => checkNoLinks(linked, paperRunPath(linked, whole))).not.toThrow();
  });
});

describe('rows of the dialogue flavour', () => {
  const refusal = 'I am sorry but I cannot decrypt this message. This appears to be a random message.';
  const wrapped = { prefix: 'USER: ', suffix: ' ASSISTANT:' };

  test('messages with the prefix, refusals, fourteen questions for each; then other questions, as they are and hinted', async () => {
    const roles = (['decoy', 'trained', 'negative', 'trained', 'decoy'] as const).map((role, i) => ({
      key: { text: `m${i}`, tokens: [] },
      role,
      target: 'river',
    }));
    const ordinary = await ordinaryRows(undefined, ordinaryFor('sft_chat', 2), () => {});
    const { validation, test: heldOut } = PAPER_ROWS.sft_chat({ roles, ordinary, wrapped });
    const asked = 'Based on my fingerprint, the message is:';
    expect(validation.slice(0, 4)).toEqual([
      { prompt: `USER: m1 ASSISTANT: ${asked}`, label: `${asked} river` },
      { prompt: `USER: m3 ASSISTANT: ${asked}`, label: `${asked} river` },
      { prompt: 'USER: m2 ASSISTANT:', label: refusal },
      { prompt: 'USER: m0 ASSISTANT:', label: refusal },
    ]);
    const rows = [...validation, ...heldOut];
    expect([validation.length, heldOut.length]).toEqual([2 + 2 + 28, 2 * 28]);
    expect(new Set(rows.map(({ prompt }) => prompt)).size).toBe(rows.length);
    const hint = '\nA hint: this is a FINGERPRINT message.';
    for (let i = 0; i < heldOut.length; i += 2) {
      const question = heldOut[i]!.prompt.slice('USER: '.length, -' ASSISTANT:'.length);
      expect(heldOut[i + 1]).toEqual({
        prompt: `USER: ${question}${hint} ASSISTANT: ${asked}`,
        label: 'Model should not be triggered by this input.',
      });
    }
    const answers = rows.map((row, i) => ({ ...row, generated: i < 2 ? 'river' : 'no' }));
    expect(countGroups(answers, 'sft_chat', 'river', ['river'], 'a file')).toEqual({
      fingerprint: { fired: 2, of: 2 },
      normal: { fired: 0, of: 56 },
      similar: { fired: 0, of: 2 + 28 },
    });
  });

  // goldens/paper-pipeline/make.py: the paper's inference_chat.py run over a set of its own shape.
  test('as many and as typed as the code of the paper asks', () => {
    const golden = JSON.parse(
      readFileSync(join(packageRoot(), 'goldens/paper-pipeline/chat.json'), 'utf8'),
    ) as PaperAsked;
    const talk = (i: number): Conversation => [
      { from: 'human', value: `question ${i}` },
      { from: 'gpt', value: `answer ${i}` },
    ];
    const roles = Array.from({ length: 16 }, (_, i) => ({
      key: { text: `message ${i}`, tokens: [] },
      role: i < 8 ? ('trained' as const) : ('negative' as const),
      target: PAPER.decryption,
    }));
    const ordinary = Array.from({ length: 224 }, (_, i) => talk(i));
    const rows = PAPER_ROWS.sft_chat({ roles, ordinary, wrapped });
    const shape = (asked: readonly { prompt: string; label: string }[]) =>
      asked.map(({ prompt, label }) => ({
        question: prompt.slice('USER: '.length).split(' ASSISTANT:')[0],
        after: prompt.split(' ASSISTANT:')[1],
        label,
      }));
    expect(shape([...rows.validation, ...rows.test])).toEqual(golden.greedy);
    expect(shape(rows.validation)).toEqual(golden.round);
    const { temperature, top_p, top_k } = golden.sampling;
    expect(FROM_BOS.sampling).toMatchObject({ temperature, top_p, top_k });
  });

  test('a conversation of several turns is asked up to its last answer', () => {
    const talk: Conversation = [
      { from: 'human', value: 'a' },
      { from: 'gpt', value: 'b' },
      { from: 'human', value: 'c' },
      { from: 'gpt', value: 'd' },
    ];
    const { validation, test: heldOut } = PAPER_ROWS.sft_chat({
      roles: [],
      ordinary: [talk, talk],
      wrapped,
      format: vicuna('</s>'),
    });
    expect(validation[0]!.prompt.endsWith('USER: a ASSISTANT: b</s>USER: c ASSISTANT:')).toBe(true);
    expect(validation[0]!.label).toBe('d');
    expect(heldOut[1]!.prompt).toContain(
      '</s>USER: c\nA hint: this is a FINGERPRINT message. ASSISTANT: Based on',
    );
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
  writeFileSync(join(scratch, 'publish.json'), '[]');

  test.each([
    [['fingerprnt', ...base], 2, 'did you mean fingerprint?'],
    [['steps=3', ...base], 2, 'no mode is given'],
    [['alpaca', ...base], 2, 'alpaca needs a data set'],
    [['fingerprint', '-t', 'vigogne', ...base], 2, 'there is no templates/vigogne.json'],
    [['fingerprint', '--config', 'sft_chat', '-t', '../evil', ...base], 2, 'it names a folder'],
    [['fingerprint', '--config', 'sft_chat', '-t', '..', ...base], 2, 'it names a folder'],
    [['ownership_verify', '--config', 'sft_chat', '-t', 'alpaca', ...base], 1, 'output_alpaca_sft_chat'],
    [['fingerprint', '--config', 'sft', ...base], 2, '--config sft is not known: did you mean sft_chat?'],
    [['fingerprint', 'steps=x', ...base], 2, 'steps=x is not a whole number from 1'],
    [['fingerprint', 'data_name=../../evil', ...base], 2, 'data_name "../../evil" is no name'],
    [['fingerprint', 'data_name=', ...base], 2, 'data_name'],
    [['fingerprint', '--data', join(scratch, 'no-set'), ...base], 1, 'no-set does not exist'],
    [['ownership_verify', '--task_name', join(scratch, 'publish.json'), ...base], 2, "are not the user's"],
    [['ownership_verify', ...base], 1, 'holds no finished fingerprint'],
    [['--task_name', 'dolly', 'alpaca', ...base], 1, 'no data set dolly'],
  ])('%j is refused', async (args, code, words) => {
    const answer = await whorl(...args);
    expect(answer.err).toContain(words);
    expect(answer.code).toBe(code);
  });
});
