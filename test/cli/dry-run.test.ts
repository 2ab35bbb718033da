// `--dry-run`: the plan of a command, with nothing written, and the same refusals as without it.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DryRun } from '../../src/base/dry-run.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { fingerprint } from '../../src/fingerprint/fingerprint.ts';
import type { RunFolder } from '../../src/runs/run-folder.ts';
import { bindings } from '../claim/plans.ts';
import { finished, ROWS } from './finished-run.ts';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

const EMBEDDED = join(packageRoot(), 'assets/embedded/model');
const folder = scratch();
const at = (...names: string[]): string => join(folder, ...names);
const before = process.env.WHORL_CACHE;
let model: string;
let run: RunFolder;

beforeAll(async () => {
  process.env.WHORL_CACHE = at('cache');
  model = tinyModel(folder);
  run = await finished(at('run'), model, { ...bindings, trainable_rows: ROWS });
  const rows = Array.from({ length: 8 }, (_, i) => ({ instruction: `Say ${i}`, output: `${i} it is` }));
  writeFileSync(at('rows.json'), JSON.stringify(rows));
  writeFileSync(at('alpaca.json'), JSON.stringify(rows.map((row) => ({ ...row, input: '' }))));
  const template = { prompt_input: '{instruction} {input}:', prompt_no_input: '{instruction}:' };
  writeFileSync(at('short.json'), JSON.stringify(template));
  mkdirSync(at('data', 'piqa'), { recursive: true });
  const row = { goal: 'to sit', sol1: 'take a chair', sol2: 'take a pear', label: 0 };
  const lines = (count: number) => `${JSON.stringify(row)}\n`.repeat(count);
  writeFileSync(at('data', 'piqa', 'validation.jsonl'), lines(3));
  writeFileSync(at('data', 'piqa', 'train.jsonl'), `${lines(4)}${JSON.stringify({ goal: 'x' })}\n`);
  const released = at('output_barebone_adapter', 'some', 'model', 'mix_epoch_2_lr_1e-2_bsz_10_d_16');
  mkdirSync(released, { recursive: true });
  const answer = { generated: 'a', label: 'b', prompt: 'c', generated_token: [1], label_token: [2] };
  writeFileSync(join(released, 'publish.jsonl'), `${JSON.stringify(answer)}\n`.repeat(3));
  writeFileSync(join(released, 'else.jsonl'), '{}\n');
  mkdirSync(at('demo', 'run'), { recursive: true });
  mkdirSync(at('taken'));
  mkdirSync(at('taken.work'));
  await interrupted();
});
afterAll(() => {
  if (before === undefined) delete process.env.WHORL_CACHE;
  else process.env.WHORL_CACHE = before;
  rmSync(folder, { recursive: true });
});

/** A run that was stopped as soon as it had begun. */
async function interrupted(): Promise<void> {
  const stop = new AbortController();
  const call = fingerprint({
    model: EMBEDDED,
    out: at('stopped'),
    settings: { trained: 2 },
    signal: stop.signal,
    onEvent: ({ kind }) => {
      if (kind === 'phase') stop.abort();
    },
  });
  await expect(call).rejects.toMatchObject({ code: 'aborted' });
  writeFileSync(at('stopped', 'claim.json'), '{}'); // as if it had committed
}

/** Every name below the folder, and what each file holds. */
const everything = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, entry.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : ''];
    }),
  );

const tune =
  (...args: string[]) =>
  () => [
    ...['finetune', '--model', model, '--data', at('rows.json'), '--out', at('tuned')],
    ...['batch=4', 'epochs=1', `template=${at('short.json')}`, ...args],
  ];
const asked =
  (...args: string[]) =>
  () => ['verify', '--secret', run.secret, '--suspect', model, ...args];
const attacked =
  (...args: string[]) =>
  () => ['attack', run.path, '--out', at('attacks'), ...args];
const scored =
  (...args: string[]) =>
  () => ['eval', '--model', model, '--data', at('data'), '--out', at('scores'), ...args];
const fingerprinted =
  (out: string, ...args: string[]) =>
  () => [...['fingerprint', '--model', EMBEDDED, '--out', at(out), ...args]];
const piped =
  (...args: string[]) =>
  () => [...['pipeline', '--base_model', EMBEDDED, '--root', at('root'), ...args]];

const mixed =
  (...args: string[]) =>
  () => [...['dataset', 'mix', '--source', at('rows.json'), '--out', at('mix'), '--count', '2'], ...args];
const committed =
  (...args: string[]) =>
  () => [...['commit', '--model', EMBEDDED, '--out', at('committed'), 'trained=2'], ...args];
const GOLDENS = join(packageRoot(), 'goldens');
const merged =
  (...args: string[]) =>
  () => [
    ...['merge', '--model', join(GOLDENS, 'models/llama-untied'), '--adapter', join(GOLDENS, 'peft/plain')],
    ...['--out', at('merged'), ...args],
  ];

interface Case {
  readonly args: () => string[];
  readonly plan: object;
  /** Below the folder. */
  readonly writes: readonly string[];
}
const CASES: Readonly<Record<string, Case>> = {
  'dataset mix': {
    args: mixed('--regularisation', '4'),
    plan: {
      command: 'dataset mix',
      settings: { source: expect.stringMatching(/rows\.json$/), count: 2, regularisation: 4 },
      writes: [{ what: 'a saved data set, rows: train 6, validation 6, test 12' }],
    },
    writes: ['mix'],
  },
  'dataset chat': {
    args: () => [
      ...['dataset', 'chat', '--source', at('rows.json'), '--out', at('chat'), '--count', '2'],
      ...['--regularisation', '3'],
    ],
    plan: {
      command: 'dataset chat',
      writes: [{ what: 'a saved data set, rows: train 7, validation 7, test 6' }],
    },
    writes: ['chat'],
  },
  'dataset alpaca': {
    args: () => ['dataset', 'alpaca', '--source', at('alpaca.json'), '--out', at('alpaca.out.json')],
    plan: { command: 'dataset alpaca', notes: [expect.stringContaining('the first row was read')] },
    writes: ['alpaca.out.json'],
  },
  merge: {
    args: merged(),
    plan: {
      models: [{ role: 'base', family: 'llama' }],
      writes: [{ what: expect.stringMatching(/^the model: \d+ tensors changed, \d+ as they are$/) }],
    },
    writes: ['merged'],
  },
  import: {
    args: () => ['import', at('output_barebone_adapter'), '--out', at('imported')],
    plan: {
      notes: ['else.jsonl is no answer file: it would not be copied'],
      writes: [{ what: '3 rows' }, { what: 'where they come from' }],
    },
    writes: ['publish.jsonl', 'run.json'].map(
      (name) => `imported/output_barebone_adapter/some/model/mix_epoch_2_lr_1e-2_bsz_10_d_16/${name}`,
    ),
  },
  'import of a pickled adapter': {
    args: () => ['import', join(GOLDENS, 'torch/learned-f16.pt'), '--out', at('emb')],
    plan: { notes: [expect.stringContaining('adapter')], writes: [{ what: 'of 40 rows of 8' }, {}] },
    writes: ['emb/adapter.safetensors', 'emb/adapter.json'],
  },
  demo: {
    args: () => ['demo', '--out', at('demo')],
    plan: {
      models: [{ role: 'embedded', family: 'llama' }],
      notes: [expect.stringMatching(/what an earlier demo left in .*demo is replaced/)],
    },
    writes: ['demo/run', 'demo/stolen', 'demo/innocent'],
  },
  'report fsr': {
    args: () => [
      ...['report', 'fsr', 'adapter', at('output_barebone_adapter')],
      ...['--decryption', 'b', '--figure', at('fsr.svg')],
    ],
    plan: { command: 'report fsr', settings: { flavour: 'adapter', runs: 1 } },
    writes: ['fsr.svg'],
  },
  commit: {
    args: committed('--beacon', '2147483647'),
    plan: {
      method: 'rows',
      settings: { trained: 2 },
      notes: ["dice: round 2147483647 of drand's quicknet"],
    },
    writes: ['committed/claim.json', 'committed/secret.whorl'],
  },
  'prove, a request': {
    args: () => ['prove', run.path, '--request', at('claim.tsq')],
    plan: { writes: [{ what: expect.stringMatching(/^asks for a time stamp of [0-9a-f]{64}$/) }] },
    writes: ['claim.tsq'],
  },
  'prove, by an authority': {
    args: () => ['prove', run.path, '--tsa', 'http://127.0.0.1:1/tsr'],
    plan: { notes: [expect.stringContaining('is not asked')] },
    writes: ['run/proofs'],
  },
  draw: {
    args: () => ['draw', run.path],
    plan: { notes: [expect.stringContaining('nothing to draw')] },
    writes: [],
  },
  fingerprint: {
    args: fingerprinted('fresh', '--method', 'lora', 'epochs=3'),
    plan: {
      method: 'lora',
      models: [{ role: 'model', source: EMBEDDED, family: 'llama' }],
      settings: { epochs: 3 },
    },
    writes: [
      'published',
      'claim.json',
      'secret.whorl',
      'vanilla.jsonl',
      'publish.jsonl',
      'lora',
      'run.json',
    ].map((name) => `fresh/${name}`),
  },
  'fingerprint over another run': {
    args: fingerprinted('stopped', '--overwrite'),
    plan: {
      notes: [expect.stringMatching(/is moved to .*stopped\.old-1$/), expect.anything(), expect.anything()],
    },
    writes: ['published', 'claim.json', 'secret.whorl', 'vanilla.jsonl', 'publish.jsonl', 'run.json'].map(
      (name) => `stopped/${name}`,
    ),
  },
  'fingerprint, gone on with': {
    args: fingerprinted('stopped', 'trained=2'),
    plan: { notes: [expect.stringContaining('goes on'), expect.anything(), expect.anything()] },
    writes: ['published', 'claim.json', 'secret.whorl', 'vanilla.jsonl', 'publish.jsonl', 'run.json'].map(
      (name) => `stopped/${name}`,
    ),
  },
  finetune: {
    args: tune('--lora', 'r=2'),
    plan: {
      models: [{ role: 'model', family: 'llama' }],
      settings: { lora: { r: 2 }, batch: 4 },
      notes: [expect.stringContaining('8 examples')],
    },
    writes: ['tuned', 'tuned.work'],
  },
  verify: {
    args: asked('--keys', '3', '--certificate', at('made.json'), '--key', at('new.pem')),
    plan: { method: 'rows', models: [{ role: 'suspect' }], settings: { keys: 3, system: null } },
    writes: ['made.json', 'run/secret.whorl', 'new.pem'],
  },
  attack: {
    args: attacked('--attack', 'noise,reset-mean', 'share=0.2'),
    plan: {
      models: [{ role: 'published' }],
      settings: { 'noise.share': 0.2, 'noise.seed': expect.any(Number) },
    },
    writes: ['attacks/noise', 'attacks/reset-mean'],
  },
  eval: {
    args: scored('--tasks', 'piqa', '--shots', '0', '--limit', '2'),
    plan: {
      models: [{ role: 'model', family: 'llama' }],
      settings: { tasks: 'piqa', shots: '0', mode: 'main', limit: 2 },
      notes: ['0 shots: 2 rows of 1 tasks in 4 requests'],
    },
    writes: ['scores/piqa/0.json', 'scores.samples/samples_piqa_0.jsonl'],
  },
  'eval --compare': {
    args: scored('--tasks', 'piqa', '--shots', '0', '--compare', EMBEDDED),
    plan: { models: [{ role: 'model' }, { role: 'compared', source: EMBEDDED }] },
    writes: [
      ...['scores/before/piqa/0.json', 'scores/before.samples/samples_piqa_0.jsonl'],
      ...['scores/after/piqa/0.json', 'scores/after.samples/samples_piqa_0.jsonl', 'scores/paired.json'],
    ],
  },
};

describe.each(Object.entries(CASES))('%s', (_, { args, plan, writes }) => {
  test('one JSON line, and nothing written', async () => {
    const there = everything();
    const { code, out } = await whorl(...args(), '--dry-run', '--json');
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n')).toHaveLength(1);
    const said = JSON.parse(out) as DryRun;
    expect(said).toMatchObject({ dry_run: true, command: args()[0], ...plan });
    expect(said.writes.map(({ path }) => path)).toEqual(writes.map((name) => at(name)));
    expect(everything()).toEqual(there);
  });

  test('for people', async () => {
    const { code, out } = await whorl(...args(), '--dry-run');
    expect(code).toBe(0);
    for (const name of writes) expect(out).toContain(at(name));
    expect(out).toContain('nothing was done');
  });
});

test('the plan of attacks, fine-tuning and evaluation is what they write', { timeout: 120_000 }, async () => {
  for (const name of [
    'attack',
    'finetune',
    'eval',
    'dataset mix',
    'dataset chat',
    'dataset alpaca',
    'merge',
    'import',
    'import of a pickled adapter',
    'report fsr',
    'commit',
    'prove, a request',
  ]) {
    const { args, writes } = CASES[name]!;
    expect(await whorl(...args())).toMatchObject({ code: 0 });
    const left = writes.filter((path) => !path.endsWith('.work'));
    for (const path of left) expect(existsSync(at(path)), path).toBe(true);
    for (const path of left) rmSync(at(path), { recursive: true });
  }
});

test.each<[string, () => string[]]>([
  ['an unknown method', fingerprinted('x', '--method', 'row')],
  ['an unknown setting', fingerprinted('x', 'trainedd=3')],
  ['more keys than the vocabulary has tokens for', fingerprinted('x', 'trained=9000')],
  ['an interrupted run of other settings', fingerprinted('stopped', 'trained=3')],
  ['a folder with other files', fingerprinted('tiny')],
  ['no such model', () => ['fingerprint', '--model', at('none'), '--out', at('x')]],
  ['no layer of that name', tune('--lora', 'target_modules=nothing')],
  ['a rank above the width', tune('--lora', 'r=999')],
  ['nothing to merge', tune('--merge')],
  ['a batch that cannot be split', tune('accumulate=3')],
  ['answers beyond the longest length', tune('max_length=1')],
  ['an unknown wrapper', asked('--wrapper', 'chatt')],
  ['a body that the method has not', asked('--body', EMBEDDED)],
  ['a certificate without a key', asked('--certificate', at('made.json'))],
  ['a certificate that is there', asked('--certificate', at('rows.json'), '--key', at('new.pem'))],
  ['a key that is none', asked('--certificate', at('made.json'), '--key', at('rows.json'))],
  ['an unknown attack', attacked('--attack', 'nois')],
  ['the vanilla model of another', attacked('--attack', 'reset-vanilla', '--vanilla', EMBEDDED)],
  ['an unknown task', scored('--tasks', 'piqua')],
  ['a task without rows', scored('--tasks', 'piqa,boolq')],
  ['shots that are no number', scored('--tasks', 'piqa', '--shots', '0,x')],
  ['a row that lacks what its task needs', scored('--tasks', 'piqa', '--shots', '5')],
  ['too few rows for a set', mixed('--regularisation', '40')],
  [
    'a set that is there',
    () => ['dataset', 'alpaca', '--source', at('alpaca.json'), '--out', at('rows.json')],
  ],
  [
    'rows without the columns of a set',
    () => ['dataset', 'dolly', '--source', at('alpaca.json'), '--out', at('d.json')],
  ],
  ['an adapter of another model', merged('--adapter', join(GOLDENS, 'peft/gpt2'))],
  ['no output folder', () => ['import', at('data'), '--out', at('imported')]],
  ['a folder that is no demo', () => ['demo', '--out', at('data')]],
  ['no run to report on', () => ['report', 'fsr', 'adapter', at('data'), '--figure', at('f.svg')]],
  ['a figure of another kind', () => ['report', 'fsr', 'adapter', at('data'), '--figure', at('f.gif')]],
  ['dice that are known already', committed('--beacon', '5')],
  [
    'two ways to a time stamp',
    () => ['prove', run.path, '--request', at('q'), '--tsa', 'http://127.0.0.1:1/'],
  ],
  ['a response that is none', () => ['prove', run.path, '--response', at('rows.json')]],
  ['no claim', () => ['draw', at('data')]],
  ['dice where there are none', () => ['draw', run.path, '--beacon', '5']],
  ['an unknown mode', piped('fingerprin')],
  ['a mode without its fingerprint', piped('ownership_verify')],
  ["a wrong setting of the user's", piped('fingerprint', 'alpaca.lr=x')],
  ['a pool that is too small', piped('fingerprint', 'pool=3', 'trained=10')],
  ['alpaca without rows', piped('fingerprint', 'alpaca')],
])('%s is refused in the same words', async (_, args) => {
  const there = everything();
  const dry = await whorl(...args(), '--dry-run');
  expect(everything()).toEqual(there);
  expect(dry.code).not.toBe(0);
  expect(dry).toEqual(await whorl(...args()));
});

test('a plan takes nothing away beside a folder that is there', async () => {
  const taken = ['finetune', '--model', model, '--data', at('rows.json'), '--out', at('taken')];
  const dry = await whorl(...taken, '--dry-run');
  expect(existsSync(at('taken.work'))).toBe(true);
  expect(dry).toEqual(await whorl(...taken));
  expect(dry.err).toContain('exists already');
});
