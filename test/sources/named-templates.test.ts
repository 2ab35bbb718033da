// Chat templates in files of their own (additional_chat_templates/NAME.jinja) go wherever the tokenizer goes, and are bound by the
// digest of what a text becomes.

import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openModelFolder } from '../../src/models/open-model.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';
import { digestSmallFiles } from '../../src/sources/checkpoints/digest.ts';
import { writePatchedFolder } from '../../src/sources/checkpoints/patched-folder.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';

const TEMPLATES = { rag: 'R {{ messages }}', tool_use: 'T {{ messages }}' };
let root: string;
let model: string;
beforeAll(() => {
  root = scratch();
  model = tinyModel(root);
  writeFileSync(join(model, 'chat_template.jinja'), 'D {{ messages }}');
  name(model);
});
afterAll(() => rmSync(root, { recursive: true }));

function name(folder: string): void {
  mkdirSync(join(folder, 'additional_chat_templates'));
  for (const [name, text] of Object.entries(TEMPLATES))
    writeFileSync(join(folder, `additional_chat_templates/${name}.jinja`), text);
}
const ALL = { default: 'D {{ messages }}', ...TEMPLATES };

/** By its definition: a line for each file that is there, those with a name of their own last. */
function digestOf(folder: string, names: readonly string[]): string {
  const hash = createHash('sha256');
  for (const name of names) {
    const sha256 = createHash('sha256').update(readFileSync(join(folder, name)));
    hash.update(`["${name}","${sha256.digest('hex')}"]\n`);
  }
  return hash.digest('hex');
}
const PLAIN = ['chat_template.jinja', 'tokenizer.json', 'tokenizer_config.json'];
const NAMED = ['rag', 'tool_use'].map((name) => `additional_chat_templates/${name}.jinja`);

test('the digest of a tokenizer is over them; without any it is what it was', () => {
  expect(digestSmallFiles(model).tokenizer).toBe(digestOf(model, [...PLAIN, ...NAMED]));
  const without = join(root, 'without');
  cpSync(model, without, { recursive: true });
  rmSync(join(without, 'additional_chat_templates'), { recursive: true });
  expect(digestSmallFiles(without).tokenizer).toBe(digestOf(model, PLAIN));
  mkdirSync(join(without, 'additional_chat_templates'));
  writeFileSync(join(without, 'additional_chat_templates/README.md'), 'read by nobody');
  expect(digestSmallFiles(without).tokenizer).toBe(digestOf(model, PLAIN));
});

test('a folder that is written has them', async () => {
  const out = join(root, 'published');
  await writePatchedFolder(openCheckpoint(model), out, new Map());
  expect((await openTokenizer(out)).chatTemplates).toEqual(ALL);
  expect(digestSmallFiles(out)).toEqual(digestSmallFiles(model));
});

test('a link among them is an error, as among all that makes the model run', async () => {
  const linked = join(root, 'linked');
  cpSync(model, linked, { recursive: true });
  symlinkSync('/etc/hostname', join(linked, 'additional_chat_templates/x.jinja'));
  await expect(
    writePatchedFolder(openCheckpoint(linked), join(root, 'never'), new Map()),
  ).rejects.toMatchObject({
    code: 'bad-file',
    message: expect.stringMatching(/additional_chat_templates\/x\.jinja is a link/) as string,
  });
});

test('a folder of pickles, converted into the cache, has them, and others make another conversion', async () => {
  const pickled = join(root, 'pickled');
  cpSync(new URL('../../goldens/torch/models/whole', import.meta.url).pathname, pickled, { recursive: true });
  name(pickled);
  const cacheDir = join(root, 'cache');
  const { folder } = await openModelFolder(pickled, { cacheDir });
  expect(readFileSync(join(folder, NAMED[0]!), 'utf8')).toBe(TEMPLATES.rag);
  writeFileSync(join(pickled, NAMED[0]!), 'another');
  const { folder: other } = await openModelFolder(pickled, { cacheDir });
  expect(other).not.toBe(folder);
  expect(readFileSync(join(other, NAMED[0]!), 'utf8')).toBe('another');
});
