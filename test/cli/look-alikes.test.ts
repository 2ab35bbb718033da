// Files and folders that are something else than what a command asks for: named as what they are, with the mend, by every
// command that takes a model or rows.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { lookAlike } from '../../src/sources/look-alike.ts';
import { webAddress } from '../../src/sources/web-address.ts';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

const goldens = new URL('../../goldens/', import.meta.url).pathname;
const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5000000\n';
const PAGE = '\n<!DOCTYPE html>\n<html class=""><head><title>model.safetensors</title></head></html>';

let root: string;
let plain: string;
let rows: string;
beforeAll(() => {
  root = scratch();
  plain = tinyModel(root);
  rows = join(root, 'good.jsonl');
  writeFileSync(rows, '{"instruction":"a","output":"b"}\n');
});
afterAll(() => rmSync(root, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

let serial = 0;
/** The tiny model with some of its files otherwise; null takes one out. */
function model(files: Readonly<Record<string, string | Uint8Array | null>>): string {
  const folder = join(root, `model-${serial++}`);
  cpSync(plain, folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    rmSync(join(folder, name), { force: true });
    mkdirSync(join(folder, name, '..'), { recursive: true });
    if (content !== null) writeFileSync(join(folder, name), content);
  }
  return folder;
}
function file(name: string, content: string | Uint8Array): string {
  const folder = join(root, `file-${serial++}`);
  mkdirSync(folder);
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}
const config = (more: object): string =>
  JSON.stringify({ ...(JSON.parse(readFileSync(join(plain, 'config.json'), 'utf8')) as object), ...more });
const W = 'model.safetensors';

const MODELS: Readonly<Record<string, [make: () => string, says: RegExp]>> = {
  'a Git LFS pointer as weights': [
    () => model({ [W]: POINTER }),
    /model\.safetensors is a Git LFS pointer.*git lfs pull/,
  ],
  'a Git LFS pointer as config.json': [
    () => model({ 'config.json': POINTER }),
    /config\.json is a Git LFS pointer/,
  ],
  'a Git LFS pointer as a GGUF': [() => file('m.gguf', POINTER), /m\.gguf is a Git LFS pointer/],
  'a Git LFS pointer as the index': [
    () => model({ [W]: null, 'model.safetensors.index.json': POINTER }),
    /index\.json is a Git LFS pointer/,
  ],
  'a web page as weights': [() => model({ [W]: PAGE }), /model\.safetensors is a web page.*\/resolve\//],
  'a web page as a GGUF': [() => file('m.gguf', PAGE), /m\.gguf is a web page/],
  'a server’s error as weights': [
    () => model({ [W]: '<?xml version="1.0"?><Error/>' }),
    /is an XML document/,
  ],
  'an answer of the hub': [() => model({ [W]: 'Entry not found' }), /holds an answer of the hub/],
  'an empty file': [() => model({ [W]: '' }), /model\.safetensors is empty/],
  'a zip as weights': [() => model({ [W]: 'PK\x03\x04rest' }), /model\.safetensors is a zip archive/],
  'a zip as a model': [() => file('model.zip', 'PK\x03\x04rest'), /model\.zip is a zip archive: unpack it/],
  'a tarball as a model': [
    () => file('model.tar.gz', gzipSync('x')),
    /model\.tar\.gz is compressed \(gzip\): unpack it/,
  ],
  'a pickle as weights': [() => model({ [W]: Buffer.from([0x80, 2, 0x7d, 0x71, 0]) }), /is a pickle/],
  'a GGUF as weights': [
    () => model({ [W]: readFileSync(join(goldens, 'gguf/type-f16.gguf')) }),
    /model\.safetensors is a GGUF: give the \.gguf file itself/,
  ],
  'rows as a model': [
    () => file('rows.parquet', readFileSync(join(goldens, 'datasets/zstd.parquet'))),
    /is a Parquet file/,
  ],
  'a PEFT folder': [
    () => join(goldens, 'peft/plain'),
    /peft\/plain is a PEFT adapter, not a model.*whorl merge --model BASE --adapter .*peft\/plain/,
  ],
  'a PEFT folder with a config.json': [
    () => model({ [W]: null, 'adapter_config.json': '{}', 'adapter_model.safetensors': '' }),
    /is a PEFT adapter/,
  ],
  'Meta’s own layout': [
    () => model({ [W]: null, 'config.json': null, 'consolidated.00.pth': 'x', 'params.json': '{}' }),
    /is a checkpoint in Meta's own layout \(consolidated\.00\.pth\): take the repository whose name ends in -hf/,
  ],
  'Mistral’s own layout': [
    () => model({ [W]: null, 'config.json': null, 'consolidated.safetensors': 'x', 'params.json': '{}' }),
    /is a checkpoint in Mistral's own layout/,
  ],
  'a folder of DeepSpeed': [
    () => model({ [W]: null, 'zero_to_fp32.py': '', 'global_step10/zero_pp_rank_0.pt': 'x' }),
    /holds the shards of a DeepSpeed training.*zero_to_fp32\.py/,
  ],
  'a folder of FSDP': [
    () => model({ [W]: null, 'pytorch_model_fsdp_0/__0_0.distcp': 'x' }),
    /holds the shards of an FSDP training.*accelerate merge-weights .*model-/,
  ],
  'an OpenVINO folder': [
    () => model({ [W]: null, 'openvino_model.bin': 'x', 'openvino_model.xml': '<net/>' }),
    /has its weights as openvino_model\.bin: look for a revision/,
  ],
  'an MLX folder': [
    () => model({ 'config.json': config({ quantization: { group_size: 64, bits: 4 } }) }),
    /quantised \(quantization_config: mlx\)/,
  ],
  'a folder of checkpoints': [
    () => model({ 'config.json': null, 'checkpoint-500/config.json': '{}' }),
    /holds a checkpoint of a training and no model of its own: give the newest: .*checkpoint-500/,
  ],
  'a config.json with a byte order mark': [
    () => model({ 'config.json': `\ufeff${config({})}` }),
    /config\.json begins with a byte order mark/,
  ],
  'a GPTQ folder': [
    () => model({ 'config.json': config({ quantization_config: { quant_method: 'gptq', bits: 4 } }) }),
    /the weights are quantised \(quantization_config: gptq\): give the model they were made from/,
  ],
  'an fp8 folder, whose weights have a dtype of their own': [
    () => {
      const header = Buffer.from('{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}');
      const length = Buffer.alloc(8);
      length.writeUInt32LE(header.length);
      return model({
        'config.json': config({ quantization_config: { quant_method: 'fp8' } }),
        [W]: Buffer.concat([length, header, Buffer.from([0])]),
      });
    },
    /quantised \(quantization_config: fp8\)/,
  ],
  'AWQ without a word in config.json': [
    () => {
      const name = 'model.layers.0.self_attn.q_proj';
      const bytes = readFileSync(join(plain, W)).toString('latin1');
      // The same length, so that the header stays true.
      return model({ [W]: Buffer.from(bytes.replace(`"${name}.weight"`, `"${name}.SCB"   `), 'latin1') });
    },
    /the weights are quantised/,
  ],
  'a config without weights': [() => model({ [W]: null }), /has a config\.json and no weights/],
  'ONNX only': [() => model({ [W]: null, 'onnx/model.onnx': 'x' }), /has its weights as onnx, a graph/],
  'TensorFlow only': [() => model({ [W]: null, 'tf_model.h5': 'x' }), /tf_model\.h5, TensorFlow's/],
  'Flax only': [() => model({ [W]: null, 'flax_model.msgpack': 'x' }), /flax_model\.msgpack, Flax's/],
  'a pickle only': [() => model({ [W]: null, 'pytorch_model.bin': 'x' }), /pytorch_model\.bin/],
  'pickled shards': [
    () => model({ [W]: null, 'pytorch_model.bin.index.json': '{}', 'pytorch_model-00001-of-00002.bin': 'x' }),
    /pytorch_model\.bin\.index\.json/,
  ],
  'shards without an index': [
    () => model({ [W]: null, 'model-00001-of-00002.safetensors': 'x' }),
    /without model\.safetensors\.index\.json: download the index/,
  ],
  'weights of another name': [
    () => model({ [W]: null, 'consolidated.safetensors': 'x' }),
    /Mistral's own layout \(consolidated\.safetensors\)/,
  ],
  'an address of the hub': [
    () => 'https://huggingface.co/org/name/tree/v2',
    /is a web address: give the hub's id: org\/name@v2/,
  ],
  'an address of anything': [() => 'https://example.com/model.gguf', /is a web address: download it/],
};

const COMMANDS: Readonly<Record<string, (path: string) => string[]>> = {
  generate: (path) => ['generate', '--model', path, '--prompt', 'a'],
  score: (path) => ['score', '--model', path, '--context', 'a', '--continuation', 'b'],
  finetune: (path) => ['finetune', '--model', path, '--data', rows, '--out', join(root, 'never')],
  convert: (path) => [
    'convert',
    '--model',
    path,
    '--to',
    'gguf',
    '--type',
    'f16',
    '--out',
    join(root, 'never'),
  ],
  fingerprint: (path) => ['fingerprint', '--model', path, '--out', join(root, 'never')],
  merge: (path) => [
    'merge',
    '--model',
    path,
    '--adapter',
    join(goldens, 'peft/plain'),
    '--out',
    join(root, 'never'),
  ],
};

describe.each(Object.keys(MODELS))('%s', (name) => {
  const [make, says] = MODELS[name]!;
  test('is named', async () => {
    const path = make();
    for (const [command, args] of Object.entries(COMMANDS)) {
      if (command === 'merge' && name.startsWith('AWQ')) continue; // it asks for the adapter's tensors only
      const { code, out, err } = await whorl(...args(path));
      expect({ command, out, failed: code > 0 }).toEqual({ command, out: '', failed: true });
      expect(err.split('\n').filter((line) => line.startsWith('error:'))).toEqual([
        expect.stringMatching(says),
      ]);
    }
  });
});

test.each([
  ['tokenizer.json', POINTER, /tokenizer\.json is a Git LFS pointer/],
  ['tokenizer.json', PAGE, /tokenizer\.json is a web page/],
  ['tokenizer_config.json', POINTER, /tokenizer_config\.json is a Git LFS pointer/],
])('%s of a model', async (name, content, says) => {
  const { code, err } = await whorl('generate', '--model', model({ [name]: content }), '--prompt', 'a');
  expect(code).toBe(1);
  expect(err).toMatch(says);
});

const ROWS: Readonly<Record<string, [make: () => string, says: RegExp]>> = {
  'a Git LFS pointer': [() => file('rows.json', POINTER), /rows\.json is a Git LFS pointer/],
  'a pointer as Parquet': [() => file('rows.parquet', POINTER), /rows\.parquet is a Git LFS pointer/],
  'a pointer as Arrow': [() => file('rows.arrow', POINTER), /rows\.arrow is a Git LFS pointer/],
  'a web page': [() => file('rows.jsonl', PAGE), /rows\.jsonl is a web page/],
  'a zip': [() => file('rows.json', 'PK\x03\x04'), /rows\.json is a zip archive/],
  weights: [() => join(plain, W), /model\.safetensors holds weights of a model/],
  'a GGUF': [() => join(goldens, 'gguf/type-f16.gguf'), /holds weights of a model/],
  'an empty file': [() => file('rows.json', ''), /rows\.json is empty/],
  'an address': [() => 'https://huggingface.co/datasets/org/set', /give the hub's id: org\/set/],
};
test.each(Object.keys(ROWS))('%s as rows', async (name) => {
  const [make, says] = ROWS[name]!;
  const path = make();
  for (const args of [
    ['finetune', '--model', plain, '--data', path, '--out', join(root, 'never')],
    ['dataset', 'mix', '--source', path, '--out', join(root, 'never')],
  ]) {
    const { code, err } = await whorl(...args);
    expect({ args: args[0], failed: code > 0 }).toEqual({ args: args[0], failed: true });
    expect(err).toMatch(says);
  }
});

describe('what is what it should be', () => {
  test('a header whose length spells gzip’s magic is safetensors', () => {
    const start = Buffer.from([0x1f, 0x8b, 0, 0, 0, 0, 0, 0, 0x7b, 0x22]);
    expect(lookAlike(start, 'x')).toBeUndefined();
    expect(lookAlike(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), 'x')?.message).toMatch(/gzip/);
  });
  test.each(['[\n      {"a": 1}]', '{"a": "<html>"}', '[1]', '\ufeff{"a": 1}'])('JSON: %j', (text) => {
    expect(lookAlike(Buffer.from(text), 'x', { anyKind: true })).toBeUndefined();
  });
  test.each(['org/name', 'C:/models/x', './huggingface.co', 'weights/m.gguf', 'a b://c'])(
    'no address: %s',
    (name) => {
      expect(webAddress(name)).toBeUndefined();
    },
  );
  test.each([
    ['hf.co/org/name', 'org/name'],
    ['https://huggingface.co/org/name/blob/main/a/b.Q4.gguf', 'org/name:a/b.Q4.gguf'],
    ['http://www.huggingface.co/org/na.me/resolve/0123/x.bin?download=true', 'org/na.me@0123'],
    ['HTTPS://HuggingFace.co/org/name/', 'org/name'],
  ])('%s', (address, id) => {
    expect(webAddress(address)?.fix).toBe(`give the hub's id: ${id}`);
  });
});
