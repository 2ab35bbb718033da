// A conversion in the cache is nobody's word: whoever opens a model for evidence makes it anew and compares. Each edit below would
// otherwise be asked under the name, and the digest, of the file that was given.

import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PACKINGS } from '../../src/engine/packing.ts';
import { prepare } from '../../src/fingerprint/begin.ts';
import { openModel } from '../../src/models/open-model.ts';
import { quantisedModel } from '../../src/models/quantised-model.ts';
import { askAgain } from '../../src/verify/certificate/ask-again.ts';
import { checkCertificate } from '../../src/verify/certificate/check.ts';
import { verify } from '../../src/verify/verify.ts';
import { goldens } from '../train/tiny.ts';
import { CERTIFICATE_KINDS } from '../verify/certificate/made.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-cached-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** One bit of the last weight, with the size and the time of what stood there. */
function flip(path: string): void {
  const { atime, mtime } = statSync(path);
  const bytes = readFileSync(path);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path, bytes);
  utimesSync(path, atime, mtime);
}

const EDITS: Readonly<Record<string, { readonly at: string; readonly edit: (folder: string) => void }>> = {
  'a weight': { at: 'model.safetensors', edit: (folder) => flip(join(folder, 'model.safetensors')) },
  'bytes behind the weights': {
    at: 'model.safetensors',
    edit: (folder) => writeFileSync(join(folder, 'model.safetensors'), '\0', { flag: 'a' }),
  },
  config: {
    at: 'config.json',
    edit: (folder) => writeFileSync(join(folder, 'config.json'), ' ', { flag: 'a' }),
  },
  'a chat template that was not there': {
    at: 'chat_template.jinja',
    edit: (folder) => writeFileSync(join(folder, 'chat_template.jinja'), 'the drawn answers'),
  },
  'a template in a folder': {
    at: 'additional_chat_templates/x.jinja',
    edit: (folder) =>
      cpSync(join(goldens, 'torch/make.py'), join(folder, 'additional_chat_templates/x.jinja')),
  },
  'a file that went away': {
    at: 'tokenizer_config.json',
    edit: (folder) => rmSync(join(folder, 'tokenizer_config.json')),
  },
};

describe.each([
  ['gguf', 'gguf/type-f16.gguf'],
  ['torch', 'lm-eval/t5'],
])('%s', (kind, source) => {
  const own = join(scratch, kind === 'gguf' ? 'own.gguf' : 'own');
  const cacheDir = join(scratch, `${kind}-cache`);
  cpSync(join(goldens, source), own, { recursive: true });

  it.each(Object.entries(EDITS))('%s is seen', async (_, { at, edit }) => {
    const { folder } = await openModel(own, { cacheDir, checkCache: true }); // made now
    const before = (await openModel(own, { cacheDir, checkCache: true })).folder; // as it was made
    expect(before).toBe(folder);
    if (kind === 'torch' && at === 'tokenizer_config.json') return rmSync(folder, { recursive: true }); // this one has none
    edit(folder);
    await expect(openModel(own, { cacheDir, checkCache: true })).rejects.toMatchObject({
      code: 'changed',
      message: expect.stringContaining(
        `${join(folder, at)} in the cache is not what ${own} becomes`,
      ) as string,
      fix: `remove ${folder}, which is made again`,
    });
    rmSync(folder, { recursive: true });
    await openModel(own, { cacheDir, checkCache: true });
  });

  it('another model under its name', async () => {
    const other = join(goldens, kind === 'gguf' ? 'gguf/type-q4_0.gguf' : 'torch/models/whole');
    const foreign = (await openModel(other, { cacheDir })).folder;
    const { folder } = await openModel(own, { cacheDir });
    rmSync(folder, { recursive: true });
    cpSync(foreign, folder, { recursive: true });
    await expect(openModel(own, { cacheDir, checkCache: true })).rejects.toMatchObject({ code: 'changed' });
    rmSync(folder, { recursive: true });
  });
});

it('packed weights', async () => {
  const cacheDir = join(scratch, 'packed');
  const model = await openModel(join(goldens, 'models/gpt2'), { cacheDir });
  const packed = () => quantisedModel(model, 'int8', PACKINGS.int8, { cacheDir, checkCache: true });
  const { weightsFolder } = await packed();
  expect((await packed()).weightsFolder).toBe(weightsFolder);
  expect(dirname(weightsFolder)).toBe(join(cacheDir, 'quantised'));
  flip(join(weightsFolder, 'model.safetensors'));
  await expect(packed()).rejects.toMatchObject({ code: 'changed' });
});

describe('evidence of a file whose conversion was edited', () => {
  const own = join(scratch, 'evidence.gguf');
  const cacheDir = join(scratch, 'evidence-cache');
  const changed = { code: 'changed', message: expect.stringContaining(own) as string };
  cpSync(join(goldens, 'gguf/type-f16.gguf'), own);
  beforeAll(async () => {
    flip(join((await openModel(own, { cacheDir })).folder, 'model.safetensors'));
  });

  it('is believed by whoever asks it for no evidence', async () => {
    await expect(openModel(own, { cacheDir })).resolves.toMatchObject({ source: own });
  });
  it('verify', async () => {
    const secret = join(goldens, 'claims/v1-answers/secret.whorl');
    await expect(verify({ secret, suspect: own, cacheDir })).rejects.toMatchObject(changed);
  });
  it('check --suspect', async () => {
    const checked = checkCertificate(CERTIFICATE_KINDS.rows!().text);
    await expect(askAgain(checked, { suspect: own, cacheDir })).rejects.toMatchObject(changed);
  });
  it('fingerprint', async () => {
    const out = join(scratch, 'run');
    await expect(prepare({ model: own, out, cacheDir })).rejects.toMatchObject(changed);
  });
});
