// Every crafted file of goldens/bad-files says itself what must come of it.
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
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { openModel } from '../../src/models/open-model.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';
import { readGguf } from '../../src/sources/checkpoints/gguf.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';

interface Vector {
  code: string | null;
  contains: string;
  open?: string;
  files?: Record<string, string>;
  links?: Record<string, string>;
}

const root = fileURLToPath(new URL('../../goldens/bad-files/', import.meta.url));
const temporary = mkdtempSync(join(tmpdir(), 'whorl-bad-'));
afterAll(() => rmSync(temporary, { recursive: true }));

const vectors = (kind: string): [string, Vector][] =>
  readdirSync(join(root, kind))
    .filter((file) => file.endsWith('.json'))
    .map((file) => [file.slice(0, -5), JSON.parse(readFileSync(join(root, kind, file), 'utf8')) as Vector]);

async function outcome(open: () => unknown): Promise<{ code: string | null; message: string }> {
  try {
    await open();
    return { code: null, message: '' };
  } catch (error) {
    if (!(error instanceof WhorlError)) throw error;
    return { code: error.code, message: error.message };
  }
}

function expectOutcome(got: { code: string | null; message: string }, vector: Vector): void {
  expect(got).toEqual({ code: vector.code, message: expect.stringContaining(vector.contains) as string });
  expect(got.message).not.toMatch(/\p{Cc}/u);
  expect(got.message.length).toBeLessThan(600);
}

describe('safetensors', () => {
  it.each(vectors('safetensors'))('%s', async (name, vector) => {
    const path = join(root, 'safetensors', `${name}.safetensors`);
    expectOutcome(await outcome(() => readSafetensorsHeader(path)), vector);
  });
});

describe('gguf', () => {
  it.each(vectors('gguf'))('%s', async (name, vector) => {
    const path = join(root, 'gguf', `${name}.gguf`);
    expectOutcome(await outcome(() => readGguf(path)), vector);
  });
});

describe('folder', () => {
  it.each(vectors('folder'))('%s', async (name, vector) => {
    const folder = join(temporary, name);
    const place = (file: string) => {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      return join(folder, file);
    };
    for (const [file, bytes] of Object.entries(vector.files!))
      writeFileSync(place(file), Buffer.from(bytes, 'base64'));
    for (const [file, target] of Object.entries(vector.links!)) symlinkSync(target, place(file));
    // Good folders are good as folders: not every one of them has a config of a family.
    const open = vector.code === null ? openCheckpoint : openModel;
    expectOutcome(await outcome(async () => open(join(folder, vector.open!))), vector);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});
