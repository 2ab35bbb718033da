// Model folders with torch's pickles only (goldens/torch/make_models.py): the same tensors and config as the safetensors
// folder they were made of, converted once.

import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { LocalModel } from '../../src/lm/local-model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { openSandboxedTokenizer } from '../../src/text/sandbox.ts';
import { openGolden } from './golden-models.ts';

const goldens = fileURLToPath(new URL('../../goldens/torch/models/', import.meta.url));
const temporary = mkdtempSync(join(tmpdir(), 'whorl-torch-folder-'));
afterAll(() => rmSync(temporary, { recursive: true }));
const cacheDir = join(temporary, 'cache');

describe.each(['whole', 'legacy', 'sharded'])('%s', (layout) => {
  it('opens as the safetensors it was made of', async () => {
    const wanted = openGolden(readFileSync(join(goldens, layout, 'model.txt'), 'utf8').split('\n')[0]!);
    const model = await openModel(join(goldens, layout), { cacheDir });
    expect(model.config).toEqual(wanted.config);
    expect([...model.tensors.keys()].sort()).toEqual([...wanted.tensors.keys()].sort());
    for (const [name, ref] of wanted.tensors) {
      const [got, expected] = [readTensor(model.tensors.get(name)!), readTensor(ref)];
      expect(model.tensors.get(name)!.dtype, name).toBe(ref.dtype);
      expect(got.shape, name).toEqual(expected.shape);
      expect(got.data, name).toEqual(expected.data);
    }
  });

  it('is converted once', async () => {
    const first = await openModel(join(goldens, layout), { cacheDir });
    const inode = statSync(join(first.folder, 'model.safetensors')).ino;
    const again = await openModel(join(goldens, layout), { cacheDir });
    expect(statSync(join(again.folder, 'model.safetensors')).ino).toBe(inode);
  });

  it('has no tokenizer, which is missed in the folder that was given', async () => {
    const model = await openModel(join(goldens, layout), { cacheDir });
    const says = `${join(goldens, layout)} has neither tokenizer.json nor tokenizer.model`;
    await expect(LocalModel.open(model)).rejects.toMatchObject({ code: 'missing-file', what: says });
    const sandboxed = openSandboxedTokenizer(model.folder, {}, model.convertedFrom);
    await expect(sandboxed).rejects.toThrow(says);
  });

  it('is refused cut short, with nothing left behind', async () => {
    const folder = join(temporary, `short-${layout}`);
    cpSync(join(goldens, layout), folder, { recursive: true });
    const file = readdirSync(folder).find((name) => name.endsWith('.bin'))!;
    const bytes = readFileSync(join(folder, file));
    writeFileSync(join(folder, file), bytes.subarray(0, bytes.length - 8));
    const own = join(temporary, `cache-${layout}`);
    await expect(openModel(folder, { cacheDir: own })).rejects.toMatchObject({
      code: 'bad-file',
      message: expect.stringContaining(file) as string,
    });
    expect(() => readdirSync(join(own, 'torch'))).toThrow('ENOENT');
  });
});

it('a shard that the index names and that is not there is named', async () => {
  const folder = join(temporary, 'missing');
  cpSync(join(goldens, 'sharded'), folder, { recursive: true });
  rmSync(join(folder, 'pytorch_model-00002-of-00002.bin'));
  await expect(openModel(folder, { cacheDir })).rejects.toMatchObject({
    code: 'missing-file',
    message: expect.stringContaining('pytorch_model-00002-of-00002.bin') as string,
  });
});
