// A tiny mT5 of random weights over the embedded model's vocabulary: bodies of encoder-decoders that methods are tried on.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';
import { seededRandom } from '../../src/base/random-source.ts';
import { FAMILIES } from '../../src/models/families/index.ts';
import { safetensorsBytes } from '../../src/sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';
import { elements } from '../../src/tensor/tensor.ts';

const EMBEDDED = join(packageRoot(), 'assets/embedded/model');
const END = 0;

/** T5's own starting weights (normal, embeddings of size 1, matrices of one over the root of what goes in). */
export function tinyEncoderDecoder(folder: string, type: 'mt5' | 't5'): string {
  mkdirSync(folder);
  const tied = type === 't5';
  const config = {
    model_type: type,
    architectures: [tied ? 'T5ForConditionalGeneration' : 'MT5ForConditionalGeneration'],
    is_encoder_decoder: true,
    vocab_size: 5120,
    d_model: 64,
    d_kv: 16,
    d_ff: 128,
    num_layers: 2,
    num_decoder_layers: 2,
    num_heads: 4,
    feed_forward_proj: 'gated-gelu',
    tie_word_embeddings: tied,
    decoder_start_token_id: 1,
    eos_token_id: END,
    pad_token_id: END,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const tokenizer = JSON.parse(readFileSync(join(EMBEDDED, 'tokenizer.json'), 'utf8')) as object;
  const eos = '<|endoftext|>';
  const special_tokens = { [eos]: { id: eos, ids: [END], tokens: [eos] } };
  const text = { Sequence: { id: 'A', type_id: 0 } };
  const end = { SpecialToken: { id: eos, type_id: 0 } };
  const post_processor = {
    type: 'TemplateProcessing',
    single: [text, end],
    pair: [text, end],
    special_tokens,
  };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ ...tokenizer, post_processor }));
  writeFileSync(
    join(folder, 'tokenizer_config.json'),
    JSON.stringify({ eos_token: eos, pad_token: eos, tokenizer_class: 'PreTrainedTokenizerFast' }),
  );
  const decoder = FAMILIES[type]!(config, folder);
  const random = seededRandom(`tiny ${type}`);
  const normal = (): number => {
    const uniform = (): number => (random.int(2 ** 24) + 0.5) / 2 ** 24;
    return Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  };
  const entries = [...decoder.shapes].map(([name, shape]) => {
    const size = name.startsWith('shared') ? 1 : 1 / Math.sqrt(shape.at(-1)!);
    const data = Float32Array.from({ length: elements(shape) }, () =>
      name.endsWith('norm.weight') ? 1 : size * normal(),
    );
    return { name, dtype: 'float32' as const, shape, data };
  });
  writeFileSync(
    join(folder, 'model.safetensors'),
    safetensorsBytes(entries.map((entry) => ({ ...entry, bytes: fromFloat32(entry.data, 'float32') }))),
  );
  return folder;
}
