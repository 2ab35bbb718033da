// `whorl convert` and `--precision int8|int4` on the command line.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { checkRoom } from '../../src/base/room.ts';
import { readGguf } from '../../src/sources/checkpoints/gguf.ts';
import { bindings } from '../claim/plans.ts';
import { finished, ROWS } from './finished-run.ts';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

const folder = scratch();
const at = (name: string) => join(folder, name);
const embedded = join(packageRoot(), 'assets/embedded/model');
const convert = (out: string, ...more: string[]) =>
  whorl('convert', '--model', embedded, '--to', 'gguf', '--out', at(out), ...more);

beforeAll(() => vi.stubEnv('WHORL_CACHE', at('cache')));
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test('says what it wrote', async () => {
  const { code, out } = await convert('a.gguf', '--type', 'q8_0');
  expect(code).toBe(0);
  expect(out).toMatch(/a\.gguf.*llama, 2\.9 MB: 29 Q8_0, 9 F32\n$/);
});

test('as one JSON line, and rows that are no multiple of a block fall back', async () => {
  const { code, out } = await convert('b.gguf', '--type', 'q4_k', '--json');
  expect(code).toBe(0);
  const report = JSON.parse(out) as { bytes: number; tensors: Record<string, number> };
  expect(report).toMatchObject({ architecture: 'llama', lost: [], bytes: readFileSync(at('b.gguf')).length });
  const types: Record<string, number> = {};
  for (const { name, type, shape } of readGguf(at('b.gguf')).tensors.values()) {
    types[type] = (types[type] ?? 0) + 1;
    const wanted = shape.length === 1 ? 'F32' : shape[1]! % 256 === 0 ? 'Q4_K' : 'Q5_0';
    expect({ name, type }).toEqual({ name, type: wanted });
  }
  expect(report.tensors).toEqual(types);
});

test('a dry run writes nothing', async () => {
  const { code, out } = await convert('c.gguf', '--type', 'f16', '--dry-run', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ dry_run: true, command: 'convert', settings: { type: 'f16' } });
  expect(existsSync(at('c.gguf'))).toBe(false);
});

test('what is there already stays', async () => {
  writeFileSync(at('d.gguf'), 'mine');
  const { code, err } = await convert('d.gguf', '--type', 'f16');
  expect([code, err.split('\n').length]).toEqual([1, 2]);
  expect(err).toContain('d.gguf is there already');
  expect(readFileSync(at('d.gguf'), 'utf8')).toBe('mine');
});

test('a tokenizer that GGUF has no word for is one line', async () => {
  const { code, err } = await whorl(
    ...['convert', '--model', tinyModel(folder), '--to', 'gguf', '--type', 'f16', '--out', at('e.gguf')],
  );
  expect(code).toBe(1);
  expect(err.trimEnd().split('\n').at(-1)).toMatch(/^error: .*tokenizer\.json: GGUF cannot say/);
  expect(existsSync(at('e.gguf'))).toBe(false);
});

test('a disk without room is said before the work', () => {
  expect(() => checkRoom(at('never/f.gguf'), Number.MAX_SAFE_INTEGER)).toThrow(
    /f\.gguf: \d+ bytes do not fit/,
  );
  expect(() => checkRoom(at('never/f.gguf'), 1)).not.toThrow();
});

test('generate and score compute in int8, once quantised', async () => {
  const ask = (...more: string[]) =>
    whorl('generate', '--model', embedded, '--prompt', 'The', '--max-new-tokens', '4', '--json', ...more);
  expect((await ask('--precision', 'int8')).err).toContain('quantising');
  expect((await ask('--precision', 'int8')).err).not.toContain('quantising');
  const scored = async (...more: string[]) => {
    const row = ['--context', 'The', '--continuation', ' end'];
    return (
      JSON.parse((await whorl('score', '--model', embedded, ...row, '--json', ...more)).out) as {
        logprob: number;
      }
    ).logprob;
  };
  const [plain, int8, int4] = [
    await scored(),
    await scored('--precision', 'int8'),
    await scored('--precision', 'int4'),
  ];
  expect(Math.abs(int8 - plain)).toBeGreaterThan(0);
  expect(Math.abs(int8 - plain)).toBeLessThan(Math.abs(int4 - plain));
  expect(Math.abs(int8 / plain - 1)).toBeLessThan(0.05);
});

test('a verdict says its precision, and no certificate is made of such answers', async () => {
  const model = tinyModel(folder);
  const run = await finished(at('run'), model, { ...bindings, trainable_rows: ROWS });
  const verify = (...more: string[]) => whorl('verify', '--secret', run.secret, '--suspect', model, ...more);
  const report = async (...more: string[]) =>
    JSON.parse((await verify('--json', ...more)).out) as { precision?: string; warnings: string[] };
  expect(await report()).not.toHaveProperty('precision');
  const quantised = await report('--precision', 'int4');
  expect(quantised.precision).toBe('int4');
  expect(quantised.warnings.join()).toContain('int4');
  const { code, err } = await verify(
    '--precision',
    'int8',
    '--certificate',
    at('c.json'),
    '--key',
    at('k.pem'),
  );
  expect(code).toBe(2);
  expect(err).toContain('a certificate of answers in int8');
  expect(existsSync(at('c.json'))).toBe(false);
});

test('what trains refuses it', async () => {
  const { code, err } = await whorl(
    'fingerprint',
    '--model',
    embedded,
    '--out',
    at('f'),
    '--precision',
    'int8',
  );
  expect(code).toBe(2);
  expect(err).toContain('int8');
});
