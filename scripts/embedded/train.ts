// npx tsx scripts/embedded/train.ts: trains the embedded model, a checkpoint every some steps; run again to resume.
// Each step's batch depends on the seed and the step alone, so a resumed run ends with the same weights.

import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeJsonAtomic } from '../../src/base/atomic.ts';
import { CPythonRandom } from '../../src/base/cpython-random.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import type { Example } from '../../src/models/example.ts';
import { familyOf } from '../../src/models/families/index.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { writeSafetensors } from '../../src/sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';
import { openTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { SCHEDULES } from '../../src/train/schedule.ts';
import { freshState, type TrainState } from '../../src/train/step.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { corpus, workFolder } from './corpus.ts';
import { CONFIG, SPECIALS, TRAINING } from './recipe.ts';
import { chat, rowsOf, TRAIN_WORDING, wordRows } from './rows.ts';
import { loadState, saveState } from './state-file.ts';

const FOLDER = join(packageRoot(), 'assets/embedded/model');
const { block, blocksPerStep, steps, warmup, rate, chatShare, checkpointEvery, adamw, seed } = TRAINING;
const decoder = familyOf(CONFIG, 'recipe.ts');

function initial(): TrainState {
  const values = [...decoder.shapes].map(([name, shape]) => {
    const random = CPythonRandom.ofText(`${seed} ${name}`);
    const residual = name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight');
    const scale =
      name === decoder.embedding
        ? TRAINING.initEmbedding
        : TRAINING.initMatrix / (residual ? Math.sqrt(2 * CONFIG.num_hidden_layers) : 1);
    const normal = () =>
      Math.sqrt(-2 * Math.log(1 - random.random())) * Math.cos(2 * Math.PI * random.random());
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      shape.length === 1 ? 1 : scale * normal(),
    );
    return [name, { shape, data }] as const;
  });
  return freshState(new Map(values));
}

/** Two streams of tokens: prose, and questions with answers. */
async function streams(tokenizer: Tokenizer): Promise<{ prose: number[]; chats: number[] }> {
  const random = CPythonRandom.ofText(`${seed} rows`);
  const { train } = corpus();
  const texts = train.map((chapter) => `${SPECIALS[0]}${chapter.join('\n\n')}`);
  const rows = train.flatMap((chapter) => rowsOf(chapter, TRAIN_WORDING, random));
  const chats = [...rows, ...wordRows(rows.length >> 2, random)].map(chat);
  const encode = async (list: readonly string[]) => (await tokenizer.encodeBatch(list)).flat();
  return {
    prose: await encode(texts),
    chats: await encode(
      random.sample(chats, chats.length).map((text, i) => (i % 8 === 0 ? SPECIALS[0] + text : text)),
    ),
  };
}

function batch(
  step: number,
  { prose, chats }: { prose: readonly number[]; chats: readonly number[] },
): Example[] {
  const random = CPythonRandom.ofText(`${seed} step ${step}`);
  return Array.from({ length: blocksPerStep }, () => {
    const stream = random.random() < chatShare ? chats : prose;
    const at = random.randbelow(stream.length - block);
    const tokens = stream.slice(at, at + block);
    const labels = tokens.map((_, row) => ({
      row,
      token: stream[at + row + 1]!,
      kind: 'fire' as const,
      weight: 1 / (block * blocksPerStep),
    }));
    return { tokens, labels, variant: VANILLA };
  });
}

const tokenizer = await openTokenizer(FOLDER);
const text = await streams(tokenizer);
console.log(
  `${text.prose.length} tokens of prose, ${text.chats.length} of chats; ${[...decoder.shapes.values()].reduce((n, s) => n + s.reduce((a, b) => a * b, 1), 0)} parameters`,
);
const recipe = createHash('sha256')
  .update(JSON.stringify([CONFIG, TRAINING, text]))
  .digest('hex')
  .slice(0, 12);
const saved = join(workFolder(), `state-${recipe}.safetensors`);
let state = loadState(saved) ?? initial();
if (state.step > 0) console.log(`resuming at step ${state.step}`);
const trainer = await Trainer.compile(
  { decoder, tensors: new Map(), weightsFolder: '' },
  { settings: adamw },
);
let started = Date.now();
let [sum, count] = [0, 0];
while (state.step < steps) {
  const result = await trainer.step(
    state,
    batch(state.step, text),
    rate * SCHEDULES.cosine(state.step, steps, warmup),
  );
  state = result.state;
  [sum, count] = [sum + result.loss, count + 1];
  if (state.step % 10 === 0 || state.step === steps) {
    const seconds = (Date.now() - started) / 1000 / count;
    console.log(
      `step ${state.step}/${steps}  loss ${(sum / count).toFixed(3)}  norm ${result.norm.toFixed(2)}  ${seconds.toFixed(2)} s a step  ${Math.round(((steps - state.step) * seconds) / 60)} min left`,
    );
    [sum, count, started] = [0, 0, Date.now()];
  }
  if (state.step % checkpointEvery === 0) await saveState(saved, state);
}
await trainer.release();

const entries = [...state.slots].map(([name, { shape, value }]) => ({
  name,
  dtype: 'bfloat16' as const,
  shape,
  value,
}));
await writeSafetensors(join(FOLDER, 'model.safetensors'), entries, (entry) => [
  fromFloat32(entry.value, 'bfloat16'),
]);
writeJsonAtomic(join(FOLDER, 'config.json'), CONFIG);
writeJsonAtomic(join(FOLDER, 'generation_config.json'), {
  bos_token_id: 0,
  eos_token_id: [0, 2],
  pad_token_id: 0,
});
if (process.argv.includes('--clean')) rmSync(saved, { force: true });
console.log(`written to ${FOLDER}; run scripts/embedded/evaluate.ts`);
