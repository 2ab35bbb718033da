// A folder of random weights of any decoder over the embedded model's vocabulary: what llama.cpp is given as a GGUF of ours
// (goldens/gguf/ours.ts), and what its answers are compared with.

import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';
import { seededRandom } from '../../src/base/random-source.ts';
import { familyOf } from '../../src/models/families/index.ts';
import { safetensorsBytes } from '../../src/sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';
import { elements } from '../../src/tensor/tensor.ts';

const EMBEDDED = join(packageRoot(), 'assets/embedded/model');
const ROWS = 5120;

/**
 * Matrices of one over the root of what goes in, norms near what does nothing. Rows of the embedding are small, learnt positions
 * and a norm of the embedding, too: a tied head would otherwise say the last token again.
 */
export function randomFolder(folder: string, config: Readonly<Record<string, unknown>>): string {
  mkdirSync(folder, { recursive: true });
  const ends = { bos_token_id: 0, eos_token_id: 2, pad_token_id: null };
  const own = { ...config, ...ends, vocab_size: ROWS };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(own));
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(join(EMBEDDED, name), join(folder, name));
  const random = seededRandom(`random ${String(config.model_type)}`);
  const uniform = (): number => (random.int(2 ** 24) + 0.5) / 2 ** 24;
  const normal = (): number => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const { embedding, positionTable, shapes } = familyOf(own, folder);
  const entries = [...shapes].map(([name, shape]) => {
    const scales = /(?:norm(?:\.norms\.\d+)?|\.ln_\w+)\.weight$/.test(name);
    const isNorm = shape.length === 1 || scales;
    const size = isNorm || name === embedding || name === positionTable ? 0.1 : 1;
    const spread = isNorm ? size : size / Math.sqrt(shape.at(-1)!);
    const ofRows = /embeddings_layernorm\.weight$/.test(name) ? 0.1 : 1;
    const mean = scales && !String(config.model_type).startsWith('gemma') ? 1 : 0; // 1 + w there
    const data = Float32Array.from({ length: elements(shape) }, () => ofRows * (mean + spread * normal()));
    return { name, dtype: 'float32' as const, shape, data };
  });
  writeFileSync(
    join(folder, 'model.safetensors'),
    safetensorsBytes(entries.map((entry) => ({ ...entry, bytes: fromFloat32(entry.data, 'float32') }))),
  );
  return folder;
}
