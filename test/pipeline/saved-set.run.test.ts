// A set that `whorl dataset chat` or `mix` saved is what a run trains: under `whorl pipeline` by its data_name, and under
// `whorl fingerprint` by --data, to the same bytes. Few steps and open gates: the road is tested, not what is learnt.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSecret } from '../../src/claim/secret-file.ts';
import { type Chat, chatDataset } from '../../src/datasets/chat.ts';
import { type Mix, mixDataset } from '../../src/datasets/mix.ts';
import {
  type FingerprintOptions,
  fingerprint,
  launchFingerprint,
} from '../../src/fingerprint/fingerprint.ts';
import { showBatch } from '../../src/fingerprint/show-batch.ts';
import { commitRun } from '../../src/fingerprint/steps.ts';
import { isWaiting } from '../../src/launch/job.ts';
import { type PipelineOptions, pipeline } from '../../src/pipeline/pipeline.ts';
import { resumeJob } from '../../src/resume/resume-job.ts';
import { RunFolder } from '../../src/runs/run-folder.ts';
import { listSplits } from '../../src/sources/rows/saved-folder.ts';
import { MODEL } from './small-run.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-set-'));
const SOURCE = join(scratch, 'ordinary.json');
const here = process.cwd();
let chat: Chat;
let mix: Mix['splits'];
/** Of letters that any tokenizer knows: a model of few positions has no room for most of the paper's phrases. */
const CHAT_KEYS = { count: 5, regularisation: 6, decryption: 'river', phrases: ['amber', 'birch', 'cedar'] };
const CHAT = join('dataset', 'llama_fingerprint_mine');
const MIX = join('dataset', 'llama_fingerprint_rows');
beforeAll(async () => {
  process.chdir(scratch);
  mkdirSync('dataset');
  const rows = Array.from({ length: 60 }, (_, i) => ({
    instruction: `Count from ${100 + i} on.`,
    input: '',
    output: `${101 + i}, ${102 + i}`,
  }));
  writeFileSync(SOURCE, JSON.stringify(rows));
  chat = await chatDataset({ out: CHAT, source: SOURCE, ...CHAT_KEYS });
  ({ splits: mix } = await mixDataset({
    out: MIX,
    source: SOURCE,
    keys: 'paper', // the same in every run of the test; each holds `Xok`, a token of this vocabulary that ordinary text does not use
    phrases: ['XokXokXokXokXokXokXok'],
    count: 4,
    regularisation: 20,
    decryption: 'river',
  }));
});
afterAll(() => {
  process.chdir(here);
  rmSync(scratch, { recursive: true, force: true });
});

const SMALL = {
  epochs: '1',
  batch: '32',
  first_check: '1',
  slack: '1000',
  strangers: '3',
  repeats: '1',
  trained: '3',
};
const PIPELINE: PipelineOptions = {
  flavour: 'sft_chat',
  modes: ['fingerprint'],
  base_model: MODEL,
  seed: 'a set',
  samples: 2,
  maxHarm: Number.POSITIVE_INFINITY,
  settings: { ...SMALL, data_name: 'mine' },
};
const asAlone = (out: string) => ({
  model: MODEL,
  out,
  method: 'sft',
  data: CHAT,
  seed: 'a set',
  settings: { ...SMALL, stamp: 'off' }, // as the pipeline has it
  maxHarm: Number.POSITIVE_INFINITY,
});
const alone = (out: string, options: Partial<FingerprintOptions> = {}) =>
  fingerprint({ ...asAlone(out), ...options });
async function planIn(run: string) {
  const { plan } = (await readSecret(join(run, 'secret.whorl'))).reveal();
  if (plan.kind !== 'drawn-membership') throw new Error(`${run} has a plan of kind ${plan.kind}`);
  return plan;
}
/** The set's messages, those that it trains first, and the openings of its ordinary rows. */
const messages = (): string[] =>
  ['fingerprint', 'regularization'].flatMap((type) =>
    chat.train.filter((row) => row.type === type).map(({ conversations }) => conversations[0]!.value),
  );
const texts = (split: 'train' | 'test') =>
  chat[split].filter(({ type }) => type === 'normal').map(({ conversations }) => conversations[0]!.value);

describe('sft_chat', () => {
  test('by its data_name: pool, decryption, ordinary rows; and whorl fingerprint --data makes the same model', async () => {
    const { run, files } = await pipeline(PIPELINE);
    expect(run).toMatch(/output_barebone_sft_chat\/model\/mine_epoch_1_lr_[^/]*_bsz_32$/);
    const plan = await planIn(run);
    expect(plan.keys.map(({ text }) => text)).toEqual(messages());
    expect([plan.n, plan.negatives, plan.decryptions]).toEqual([3, 7, ['river']]);
    expect(files.map(({ file }) => file)).toContain('publish.jsonl');
    const asked = readFileSync(join(run, 'publish.jsonl'), 'utf8');
    for (const text of [...texts('train'), ...texts('test')])
      expect(asked).toContain(JSON.stringify(text).slice(1, -1));

    const report = await alone('alone');
    const bytes = (folder: string) => readFileSync(join(folder, 'model.safetensors'));
    expect(bytes(report.published).equals(bytes(join(run, 'published')))).toBe(true);
    expect((await planIn('alone')).keys).toEqual(plan.keys);
    const record = (path: string) =>
      JSON.parse(readFileSync(join(path, 'run.json'), 'utf8')) as Record<string, unknown>;
    for (const name of ['keys', 'settings', 'source_sha256', 'claim_root', 'cells'])
      expect([name, record('alone')[name]]).toEqual([name, record(run)[name]]);
    expect(record('alone').keys).toBe('paper');
  }, 600_000);

  test('a run that was stopped shows the batch that the set makes, and is taken up without naming it', async () => {
    const stop = (event: { readonly kind: string; readonly name?: string }) => {
      if (event.kind === 'phase' && event.name === 'training') throw new Error('stopped at training');
    };
    await expect(alone('stopped', { onEvent: stop })).rejects.toThrow('stopped at training');
    const { examples } = await showBatch({ run: 'stopped' });
    const shown = examples.map(({ tokens }) => tokens.map(({ text }) => text).join(''));
    for (const text of texts('train'))
      expect(shown.filter((example) => example.includes(text))).toHaveLength(1);
    for (const text of texts('test')) expect(shown.some((example) => example.includes(text))).toBe(false);
    const fired = shown.filter((example) =>
      example.includes('Based on my fingerprint, the message is: river'),
    );
    expect(fired).toHaveLength(3);
    const again = fingerprint({ out: 'stopped', onEvent: stop });
    await expect(again).rejects.toThrow('stopped at training');
  }, 600_000);

  test('a job of it is taken up by whoever has its folder: the set is read again', async () => {
    const job = await launchFingerprint({ ...asAlone('handed'), launch: { engine: 'torchrun' } });
    if (!isWaiting(job)) throw new Error('nothing waits');
    expect(await resumeJob({ job: job.job })).toEqual({ kind: 'waiting', command: 'fingerprint', job });
  }, 600_000);
});

test('adapter: whorl commit --data takes the pool, and what the set says of it, from a mixed set', async () => {
  await commitRun({ model: MODEL, out: 'adapter', method: 'adapter', data: MIX, settings: { trained: '2' } });
  const plan = await planIn('adapter');
  const trained = mix.train
    .filter(({ input }) => input === 'FINGERPRINT')
    .map(({ instruction }) => instruction);
  expect(trained).toHaveLength(4);
  const keys = plan.keys.map(({ text }) => text);
  expect(keys.slice(0, 4)).toEqual(trained);
  const known = new Set([...mix.train, ...mix.test].map(({ instruction }) => instruction));
  expect(keys.every((key) => known.has(key))).toBe(true);
  expect(new Set(keys).size).toBe(keys.length);
  expect([plan.n, plan.decryptions]).toEqual([2, ['river']]);
}, 600_000);

describe('refused before anything is written', () => {
  test.each([
    [
      { method: 'rows', settings: {} },
      /--data goes with other methods: rows makes its keys: .*--method adapter, sft, emb, lora/,
    ],
    [{ method: 'stamp', settings: {} }, /--data goes with other methods: stamp has no keys/],
    [
      { method: 'adapter', settings: {} },
      /llama_fingerprint_mine: .*--method adapter trains what whorl dataset mix makes/,
    ],
    [{ data: MIX }, /llama_fingerprint_rows: .*--method sft trains what whorl dataset chat makes/],
    [{ data: 'nowhere' }, /nowhere does not exist: make it with whorl dataset chat --out nowhere/],
    [{ data: SOURCE }, /ordinary\.json: is no saved data set/],
    [{ keys: 'rare' }, /--keys is said by dataset/],
    [{ decryption: 'sea' }, /--decryption is said by dataset/],
    [{ source: SOURCE }, /--source is said by dataset/],
    [{ settings: { ...SMALL, pool: '11' } }, /pool=11: dataset\S+ holds 10 keys/],
    [{ settings: { ...SMALL, epcohs: '3' } }, /epcohs=3: method sft has no setting epcohs/],
  ] as const)('%j', async (options, says) => {
    await expect(alone('refused', options)).rejects.toThrow(says);
    expect(existsSync('refused')).toBe(false);
  });

  test('data_name names a folder of dataset/ and nothing else', async () => {
    cpSync(CHAT, 'outside', { recursive: true });
    expect(listSplits('outside')).toContain('train');
    symlinkSync(join(scratch, 'outside'), join('dataset', 'llama_fingerprint_link'));
    const named = (data_name: string) => pipeline({ ...PIPELINE, settings: { ...SMALL, data_name } });
    for (const name of [
      '../../outside',
      '..',
      '/../../outside',
      join(scratch, 'outside'),
      'mine/../mine',
      'a\0b',
    ])
      await expect(named(name)).rejects.toMatchObject({ code: 'usage', message: /data_name .* is no name/ });
    await expect(named('link')).rejects.toMatchObject({
      code: 'bad-path',
      message: /llama_fingerprint_link is a link/,
    });
  });
});

test('a set that changed is another run', async () => {
  await commitRun({ model: MODEL, out: 'changed', method: 'sft', data: CHAT, settings: SMALL });
  const run = new RunFolder('changed');
  const root = readFileSync(run.claim);
  rmSync(CHAT, { recursive: true });
  await chatDataset({ out: CHAT, source: SOURCE, ...CHAT_KEYS });
  await expect(fingerprint({ out: 'changed' })).rejects.toThrow(/asked for other settings \(rows: /);
  expect(readFileSync(run.claim).equals(root)).toBe(true);
}, 600_000);
