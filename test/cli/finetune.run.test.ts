// `whorl finetune` and `whorl merge` on a tiny model: files, messages, and a run that is killed and goes on.

import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { run } from '../../src/cli/program.ts';
import { scratch, tinyModel } from './tiny-model.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
let folder: string;
let model: string;
let data: string;
beforeAll(() => {
  folder = scratch();
  model = tinyModel(folder);
  data = join(folder, 'rows.jsonl');
  const rows = Array.from({ length: 12 }, (_, i) => ({
    instruction: `Say ${i}`,
    input: i % 3 ? '' : 'now',
    output: `${i} it is`,
  }));
  writeFileSync(data, rows.map((row) => JSON.stringify(row)).join('\n'));
  const template = { prompt_input: '{instruction} {input}:', prompt_no_input: '{instruction}:' };
  writeFileSync(join(folder, 'short.json'), JSON.stringify(template));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

const flags = (out: string) => ['finetune', '--model', model, '--data', data, '--out', out, '--json'];
const settings = () => [`template=${join(folder, 'short.json')}`, 'lr=1e-2', 'batch=4'];

async function call(args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const write = (add: (text: string) => void) => (text: unknown) => {
    add(String(text));
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(write((text) => (out += text)));
  vi.spyOn(process.stderr, 'write').mockImplementation(write((text) => (err += text)));
  vi.spyOn(console, 'error').mockImplementation((text) => (err += `${String(text)}\n`));
  vi.spyOn(console, 'log').mockImplementation((text) => (out += `${String(text)}\n`));
  const code = await run(args);
  return { code, out, err };
}

test('an adapter, merged, is the model that --merge writes', { timeout: 240_000 }, async () => {
  const [adapter, whole, merged] = ['adapter', 'whole', 'merged'].map((name) => join(folder, name));
  const lora = ['--lora', ...settings(), 'r=2', 'alpha=4'];
  const first = await call([...flags(adapter!), ...lora]);
  expect(first).toMatchObject({ code: 0 });
  expect(JSON.parse(first.out)).toMatchObject({ wrote: 'adapter', examples: 12, steps: 9 });
  expect(readdirSync(adapter!).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  expect(existsSync(`${adapter}.work`)).toBe(false);
  expect((await call([...flags(whole!), '--merge', ...lora])).code).toBe(0);
  const merging = await call(['merge', '--model', model, '--adapter', adapter!, '--out', merged!, '--json']);
  expect((JSON.parse(merging.out) as { changed: string[] }).changed).toContain(
    'model.layers.0.self_attn.q_proj.weight',
  );
  const bytes = (path: string) => {
    const all = readFileSync(join(path, 'model.safetensors'));
    return new Float32Array(all.buffer.slice(all.byteOffset + 8 + Number(all.readBigUInt64LE(0))));
  };
  const [ours, theirs, before] = [bytes(merged!), bytes(whole!), bytes(model)];
  expect(ours.length).toBe(theirs.length);
  expect(ours.some((x, i) => x !== before[i]!)).toBe(true);
  expect(Math.max(...ours.map((x, i) => Math.abs(x - theirs[i]!)))).toBeLessThan(1e-6);
});

test.each([
  [['epoch=2'], 'did you mean epochs?'],
  [['batch=80', 'accumulate=3'], 'N with N one of 1, 2, 4, 5'],
  [['schedule=cosin'], 'did you mean cosine?'],
  [['r=4'], 'has no setting r'],
  [['--lora', 'dropout=0.05'], 'without dropout'],
  [['--merge'], 'nothing to merge'],
])('refused: %j', async (args, says) => {
  const { code, out, err } = await call([...flags(join(folder, 'never')), ...args]);
  expect({ code: code > 0, out }).toEqual({ code: true, out: '' });
  expect(err).toContain(says);
  expect(existsSync(join(folder, 'never'))).toBe(false);
});

test('rows without the columns are named', async () => {
  const bad = join(folder, 'bad.jsonl');
  writeFileSync(bad, JSON.stringify({ instruction: 'Say', text: 'x' }));
  const args = ['finetune', '--model', model, '--data', bad, '--out', join(folder, 'never')];
  const { code, err } = await call(args);
  expect(code).toBeGreaterThan(0);
  expect(err).toContain('instruction, text');
});

test('killed while it trains, the same command ends with the same bytes', { timeout: 240_000 }, async () => {
  const [calm, killed] = [join(folder, 'calm'), join(folder, 'killed')];
  const slow = [...settings(), 'epochs=40', 'checkpoint_every=0'];
  expect((await call([...flags(calm), ...slow])).code).toBe(0);
  const checkpoint = join(`${killed}.work`, 'state.ckpt');
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...flags(killed), ...slow], {
    stdio: 'ignore',
  });
  const ended = new Promise<string | null>((resolve) => child.on('close', (_, signal) => resolve(signal)));
  const watch = setInterval(() => existsSync(checkpoint) && child.kill('SIGKILL'), 5);
  expect(await ended).toBe('SIGKILL');
  clearInterval(watch);
  expect(existsSync(checkpoint)).toBe(true);
  expect(existsSync(killed)).toBe(false);
  const again = await call([...flags(killed), ...slow]);
  expect(again.code).toBe(0);
  const weights = (path: string) => readFileSync(join(path, 'model.safetensors'));
  expect(weights(killed).equals(weights(calm))).toBe(true);
  expect(existsSync(`${killed}.work`)).toBe(false);
});
