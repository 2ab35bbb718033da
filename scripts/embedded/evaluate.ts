// npx tsx scripts/embedded/evaluate.ts: the embedded model's held-out perplexity and some samples; writes figures.json.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { writeJsonAtomic } from '../../src/base/atomic.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { LocalModel } from '../../src/lm/local-model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { TRAINING } from './recipe.ts';
import { chat } from './rows.ts';

const FOLDER = join(packageRoot(), 'assets/embedded');

const started = Date.now();
const model = await LocalModel.open(await openModel(join(FOLDER, 'model')));
const text = gunzipSync(readFileSync(join(FOLDER, 'held-out.txt.gz'))).toString('utf8');
const tokens = [model.tokenizer.bosId!, ...(await model.tokenizer.encode(text))];
let [sum, count, right] = [0, 0, 0];
for (let at = 0; at + 1 < tokens.length; at += TRAINING.block) {
  const input = tokens.slice(at, Math.min(at + TRAINING.block, tokens.length - 1));
  const [scored] = await model.encoder.labels([
    { tokens: input, wanted: input.map((_, i) => i), labels: tokens.slice(at + 1, at + 1 + input.length) },
  ]);
  sum += scored!.logprobs.reduce((a, b) => a + b, 0);
  right += scored!.greedy.filter(Boolean).length;
  count += input.length;
}
const sha256 = (file: string): string =>
  createHash('sha256')
    .update(readFileSync(join(FOLDER, 'model', file)))
    .digest('hex');
const figures = {
  'model.safetensors': sha256('model.safetensors'),
  'tokenizer.json': sha256('tokenizer.json'),
  parameters: [...model.model.decoder.shapes.values()].reduce(
    (n, shape) => n + shape.reduce((a, b) => a * b, 1),
    0,
  ),
  training_tokens: TRAINING.steps * TRAINING.block * TRAINING.blocksPerStep,
  held_out: {
    tokens: count,
    perplexity_a_token: Number(Math.exp(-sum / count).toFixed(2)),
    bits_a_byte: Number((-sum / Math.LN2 / Buffer.byteLength(text)).toFixed(3)),
    next_token_right: Number((right / count).toFixed(3)),
  },
};
writeJsonAtomic(join(FOLDER, 'figures.json'), figures);
console.log(figures);
console.log(`evaluated in ${Math.round((Date.now() - started) / 1000)} s`);

const row = (instruction: string, input = '') =>
  chat({ instruction, input, output: '' }).replace(/<\|im_end\|>\n$/, '');
const prompts = [
  'Emma was very',
  'It was a fine morning, and the whole party',
  row('Name a thing.'),
  row('Which word is missing?', 'She sat down at the ___ and began to write.'),
  row(
    'Who says this?',
    '"I never saw a more promising inclination; he was growing quite inattentive to other people,"',
  ),
  'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nName a thing.\n\n### Response:\n',
];
for await (const { index, generation } of model.generate(
  prompts.map((prompt) => ({ prompt, max_new_tokens: 40 })),
))
  console.log(`${JSON.stringify(prompts[index])} → ${JSON.stringify(generation.generated)}`);
await model.release();
