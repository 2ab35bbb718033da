// What people give in the place of a model: each is named as what it is, in one line with the mend.

import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WhorlError } from '../../src/base/error.ts';
import { openModel } from '../../src/models/open-model.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';

const goldens = new URL('../../goldens/', import.meta.url).pathname;
let root: string;
let plain: string;
beforeAll(() => {
  root = scratch();
  plain = tinyModel(root);
});
afterAll(() => rmSync(root, { recursive: true }));

type Files = Readonly<Record<string, string | Uint8Array | { link: string }>>;
let serial = 0;
/** @param config whether the tiny model's config.json lies there, too */
function folder(files: Files, config = false): string {
  const path = join(root, `folder-${serial++}`);
  mkdirSync(path);
  if (config) cpSync(join(plain, 'config.json'), join(path, 'config.json'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    if (typeof content === 'object' && 'link' in content) symlinkSync(content.link, join(path, name));
    else writeFileSync(join(path, name), content);
  }
  return path;
}
const GGUF = readFileSync(join(goldens, 'gguf/type-f16.gguf'));
const WEIGHTS = readFileSync(join(goldens, 'models/llama-tied/model.safetensors'));
const CONFIG = readFileSync(join(goldens, 'models/llama-tied/config.json'));

/** The tiny model's file in which the header says something else of a tensor; the bytes stay. */
function header(
  change: (header: Record<string, { dtype: string; shape: number[]; data_offsets: number[] }>) => void,
) {
  const length = Number(WEIGHTS.readBigUInt64LE(0));
  const json = JSON.parse(WEIGHTS.subarray(8, 8 + length).toString()) as Parameters<typeof change>[0];
  change(json);
  const text = Buffer.from(JSON.stringify(json));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, WEIGHTS.subarray(8 + length)]);
}
const Q = 'model.layers.0.self_attn.q_proj';
const renamed = (to: string) =>
  header((json) => {
    json[to] = json[`${Q}.weight`]!;
    delete json[`${Q}.weight`];
  });
const everywhere = (prefix: string) =>
  header((json) => {
    for (const name of Object.keys(json).filter((name) => name !== '__metadata__')) {
      json[prefix + name] = json[name]!;
      delete json[name];
    }
  });
/** Bytes in another dtype of the same width: four bytes a number become four numbers. */
const inBytes = (dtype: string) =>
  header((json) => {
    const entry = json[`${Q}.weight`]!;
    json[`${Q}.weight`] = { ...entry, dtype, shape: [entry.shape[0]!, entry.shape[1]! * 4] };
  });

const KINDS: Readonly<Record<string, [make: () => string, says: RegExp]>> = {
  'several GGUFs': [
    () => folder({ 'a.Q4_K_M.gguf': GGUF, 'a.Q8_0.gguf': GGUF, 'mmproj-f16.gguf': GGUF }),
    /has 2 GGUF files, and one of them is the model: give one of them: \S+\/a\.Q4_K_M\.gguf or \S+\/a\.Q8_0\.gguf$/,
  ],
  'GGUFs beside a config.json': [
    () => folder({ 'a.Q4_K_M.gguf': GGUF, 'a.Q8_0.gguf': GGUF }, true),
    /has 2 GGUF files/,
  ],
  'a split GGUF and another': [
    () => folder({ 'a-00001-of-00002.gguf': '', 'a-00002-of-00002.gguf': '', 'b.gguf': '' }),
    /has 2 GGUF files.*\/a-00001-of-00002\.gguf or \S+\/b\.gguf$/,
  ],
  'GGUFs in folders': [
    () => folder({ 'Q4/a.gguf': GGUF, 'Q8/a.gguf': GGUF }),
    /give the model inside: \S+\/Q4\/a\.gguf or \S+\/Q8\/a\.gguf$/,
  ],
  'a part of a GGUF only': [
    () => folder({ 'a-00002-of-00002.gguf': GGUF }),
    /a-00001-of-00002\.gguf is not there, one of 2 parts/,
  ],
  'all shards and no index': [
    () => folder({ 'model-00001-of-00002.safetensors': 'x', 'model-00002-of-00002.safetensors': 'x' }, true),
    /has shards \(model-00001-of-00002\.safetensors\) without model\.safetensors\.index\.json: download the index too$/,
  ],
  'some shards and no index': [
    () => folder({ 'model-00002-of-00003.safetensors': 'x' }, true),
    /has 1 of 3 shards .* without model\.safetensors\.index\.json: download the index and the other shards/,
  ],
  'an index without its shards': [
    () =>
      folder(
        {
          'model.safetensors.index.json':
            '{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}',
        },
        true,
      ),
    /model-00001-of-00002\.safetensors is named in .*index\.json but is not there, as 2 of 2 shards: download them/,
  ],
  'a variant': [
    () => folder({ 'model.fp16.safetensors': WEIGHTS }, true),
    /a variant .*: name the file model\.safetensors/,
  ],
  'checkpoints of a training': [
    () => {
      const names = [500, 1500, 1000].map((n) => [`checkpoint-${n}/config.json`, '{}']);
      return folder({ ...Object.fromEntries(names), 'runs/x': '' } as Files);
    },
    /holds 3 checkpoints of a training and no model of its own: give the newest: \S+\/checkpoint-1500$/,
  ],
  'checkpoints beside a config.json': [
    () => folder({ 'checkpoint-90/config.json': '{}', 'checkpoint-100/config.json': '{}' }, true),
    /give the newest: \S+\/checkpoint-100$/,
  ],
  'checkpoints of an adapter': [
    () => folder({ 'checkpoint-90/adapter_config.json': '{}', 'checkpoint-100/adapter_config.json': '{}' }),
    /whorl merge --model BASE --adapter \S+\/checkpoint-100 --out NEW$/,
  ],
  'the state of a training': [
    () => folder({ 'optimizer.pt': 'x', 'scheduler.pt': 'x', 'rng_state_0.pth': 'x' }, true),
    /holds the state of a training \(optimizer\.pt\) and no weights/,
  ],
  'a model two folders down': [
    () => folder({ 'a/b/config.json': '{}' }),
    /give the model inside: \S+\/a\/b$/,
  ],
  'a repository in the hub’s cache': [
    () => {
      const at = folder({
        'refs/main': 'bbb',
        'snapshots/aaa/config.json': '{}',
        'snapshots/bbb/config.json': '{}',
        'blobs/x': '',
      });
      cpSync(at, `${at}-models/models--org--na.me`, { recursive: true });
      return `${at}-models/models--org--na.me`;
    },
    /is a repository in the hub's cache, not a model: give its snapshot: \S+\/snapshots\/bbb, or its id: org\/na\.me$/,
  ],
  'a snapshot whose weights went away': [
    () =>
      join(
        folder({
          'blobs/c': CONFIG,
          'snapshots/a/config.json': { link: '../../blobs/c' },
          'snapshots/a/model.safetensors': { link: '../../blobs/w' },
        }),
        'snapshots/a',
      ),
    /model\.safetensors is a link to nothing: mend the link, or download the model again/,
  ],
  'a snapshot whose config went away': [
    () =>
      join(
        folder({ 'blobs/w': WEIGHTS, 'snapshots/a/config.json': { link: '../../blobs/c' } }),
        'snapshots/a',
      ),
    /config\.json is a link to nothing/,
  ],
  'a link to nothing': [() => join(folder({ it: { link: 'nowhere' } }), 'it'), /\/it is a link to nothing/],
  'a circle of links': [() => join(folder({ it: { link: 'it' } }), 'it'), /links that lead in a circle/],
  diffusers: [
    () => folder({ 'model_index.json': '{}', 'text_encoder/config.json': '{}' }),
    /is a diffusers pipeline/,
  ],
  'old sentence-transformers': [
    () => folder({ 'modules.json': '[]', '0_Transformer/config.json': '{}' }),
    /give the model inside: \S+\/0_Transformer$/,
  ],
  'a step of DeepSpeed': [
    () => folder({ 'bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt': 'x' }),
    /holds the shards of a DeepSpeed training/,
  ],
  'the model’s part of a step of DeepSpeed': [
    () => folder({ 'mp_rank_00_model_states.pt': 'x' }),
    /holds the shards of a DeepSpeed training/,
  ],
  'FSDP’s own folder': [
    () => folder({ '__0_0.distcp': 'x', '.metadata': 'x' }),
    /FSDP training.*accelerate merge-weights \S+\/folder-\d+ MERGED$/,
  ],
  'a folder of FSDP’s': [
    () => folder({ 'pytorch_model_fsdp_0/__0_0.distcp': 'x', 'optimizer_0/__0_0.distcp': 'x' }, true),
    /FSDP training.*accelerate merge-weights \S+\/pytorch_model_fsdp_0 MERGED$/,
  ],
  'Megatron-LM': [
    () =>
      folder({ 'latest_checkpointed_iteration.txt': '1', 'iter_0000001/mp_rank_00/model_optim_rng.pt': 'x' }),
    /is a checkpoint of Megatron-LM/,
  ],
  NeMo: [() => folder({ 'm.nemo': 'x' }), /is a checkpoint of NeMo \(m\.nemo\)/],
  LitGPT: [() => folder({ 'lit_model.pth': 'x', 'model_config.yaml': '' }), /is a checkpoint of LitGPT/],
  Orbax: [() => folder({ _METADATA: '{}', 'manifest.ocdbt': 'x' }), /is a checkpoint of JAX/],
  Keras: [
    () => folder({ 'config.json': '{}', 'model.weights.h5': 'x' }),
    /is a Keras model \(model\.weights\.h5\)/,
  ],
  'Keras in one file': [() => folder({ 'model.keras': 'x' }), /is a Keras model \(model\.keras\)/],
  'Flax in shards': [() => folder({ 'flax_model-00001-of-00002.msgpack': 'x' }), /Flax's/],
  'TensorFlow’s checkpoint': [() => folder({ 'model.ckpt-10.index': 'x', checkpoint: 'x' }), /TensorFlow's/],
  'TensorFlow’s saved model': [() => folder({ 'saved_model.pb': 'x', 'variables/x': '' }), /TensorFlow's/],
  'ONNX without a config': [() => folder({ 'model.onnx': 'x' }), /model\.onnx, a graph for inference/],
  'ONNX for onnxruntime-genai': [() => folder({ 'genai_config.json': '{}' }), /a graph for inference/],
  MLC: [() => folder({ 'mlc-chat-config.json': '{}', 'params_shard_0.bin': 'x' }), /is compiled for MLC/],
  CTranslate2: [
    () => folder({ 'model.bin': 'x', 'vocabulary.json': '[]' }, true),
    /is a model of CTranslate2/,
  ],
  llamafile: [() => folder({ 'm.llamafile': 'x' }), /has its weights as m\.llamafile/],
  'weights without a config': [
    () => folder({ 'model.safetensors': WEIGHTS }),
    /has "model\.safetensors" and no config\.json: download config\.json from/,
  ],
  'a tokenizer alone': [
    () => folder({ 'tokenizer.json': '{}' }),
    /has "tokenizer\.json" and no config\.json: download config\.json and the weights/,
  ],
  'bitsandbytes in 4 bits, without a word in config.json': [
    () => folder({ 'model.safetensors': renamed(`${Q}.weight.quant_state.bitsandbytes__nf4`) }, true),
    /the weights are quantised \(bitsandbytes, by ".*q_proj\.weight\.quant_state/,
  ],
  'bitsandbytes in 8 bits, without a word in config.json': [
    () => {
      const bytes = inBytes('I8').toString('latin1');
      const name = 'model.layers.1.self_attn.q_proj';
      return folder(
        { 'model.safetensors': Buffer.from(bytes.replace(`"${name}.weight"`, `"${name}.SCB"   `), 'latin1') },
        true,
      );
    },
    /the weights are quantised \(bitsandbytes, by ".*q_proj\.SCB"\)/,
  ],
  'bitsandbytes that names no method': [
    () => {
      const config = {
        ...(JSON.parse(CONFIG.toString()) as object),
        quantization_config: { load_in_4bit: true },
      };
      return folder({ 'config.json': JSON.stringify(config), 'model.safetensors': WEIGHTS });
    },
    /quantised \(quantization_config: bitsandbytes\)/,
  ],
  'MLX with both of its keys': [
    () => {
      const [quantization, quantization_config] = [
        { group_size: 64, bits: 4 },
        { group_size: 64, bits: 4 },
      ];
      const config = { ...(JSON.parse(CONFIG.toString()) as object), quantization, quantization_config };
      return folder({ 'config.json': JSON.stringify(config), 'model.safetensors': WEIGHTS });
    },
    /quantised \(quantization_config: mlx\)/,
  ],
  ...Object.fromEntries(
    (
      [
        ['HQQ', 'W_q'],
        ['EXL2', 'q_weight'],
        ['EXL3', 'trellis'],
        ['MXFP4', 'weight_blocks'],
        ['AQLM', 'codebooks'],
        ['MLX', 'scales'],
        ['compressed-tensors', 'weight_packed'],
      ] as const
    ).map(([method, ending]): [string, [() => string, RegExp]] => [
      `${method} by its tensors`,
      [
        () => folder({ 'model.safetensors': renamed(`${Q}.${ending}`) }, true),
        new RegExp(`the weights are quantised \\(${method}, by ".*q_proj\\.${ending}"`),
      ],
    ]),
  ),
  'a dtype of 8 bits and nothing else': [
    () => folder({ 'model.safetensors': inBytes('F8_E4M3') }, true),
    /has dtype "F8_E4M3", and Whorl reads F32, .*: save the model in one of them/,
  ],
  'the state of a PEFT model': [
    () => folder({ 'model.safetensors': everywhere('base_model.model.') }, true),
    /but "base_model\.model\..*": a wrapper of the model was saved: PEFT's/,
  ],
  'the state of a compiled model': [
    () => folder({ 'model.safetensors': everywhere('_orig_mod.') }, true),
    /a wrapper of the model was saved: torch\.compile's/,
  ],
};

describe.each(Object.keys(KINDS))('%s', (name) => {
  const [make, says] = KINDS[name]!;
  test('is named', async () => {
    const path = make();
    const error = await openModel(path).then(
      () => undefined,
      (cause: unknown) => cause as WhorlError,
    );
    expect(`${error?.code}: ${error?.message}`).toMatch(
      /^(unsupported|missing-file|bad-file|bad-path): [^\n]*$/,
    );
    expect(error?.message).toMatch(says);
  });
});

test('a folder of one GGUF is that model, as a repository of one is', async () => {
  const cacheDir = join(root, 'cache');
  const path = folder({ 'a.Q8_0.gguf': GGUF, 'mmproj-a.gguf': 'x', 'README.md': '' });
  expect((await openModel(path, { cacheDir })).gguf?.path).toBe(join(path, 'a.Q8_0.gguf'));
});

test('an adapter beside a model is told not to be applied, unless it is being merged', async () => {
  const path = folder({ 'model.safetensors': WEIGHTS, 'adapter_config.json': '{}' }, true);
  const notes: string[] = [];
  const onEvent = (event: { kind: string; text?: string }) =>
    event.kind === 'note' && notes.push(event.text!);
  await openModel(path, { onEvent });
  await openModel(path, { onEvent, appliedAdapter: `${path}/` });
  expect(notes).toEqual([expect.stringMatching(/holds an adapter beside the model, which is not applied/)]);
});
