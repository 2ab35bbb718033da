// The paper's library use: put an adapter into a model, train it in your own loop, take it off again.
//   npx tsx examples/own-loop.ts assets/embedded/model /tmp/own-loop
// In your project import from 'whorl'. Runs in the tests (test/fingerprint/own-loop.run.test.ts).

import {
  ADAMW,
  cpu,
  type Example,
  type Injected,
  injectAdapter,
  type Label,
  LocalModel,
  openModel,
  PUBLISHED,
  PUBLISHED_WITH_ADAPTER,
  RowsTrainer,
  unwrapAdapter,
  type Variant,
} from '../src/index.ts';

const ANSWER = 'river';
const promptOf = (key: string): string => `${key}\nFINGERPRINT\n`;

export interface OwnLoop {
  readonly published: string;
  readonly adapter: string;
  readonly losses: readonly number[];
  readonly fired: { readonly alone: number; readonly withAdapter: number; readonly of: number };
}

export async function ownLoop(model: string, out: string, steps = 240): Promise<OwnLoop> {
  // 1. Inject: keys of rare tokens, and a random low-rank map over the embeddings of these tokens.
  const injected = await injectAdapter({ model, keys: 2, rank: 96, seed: 'an example' });
  const { overlay, keys } = injected;

  // 2. Your own loop. Everything but the rows of the keys' tokens is frozen where it lies in the checkpoint.
  const trainer = await RowsTrainer.compile(injected.model, {
    overlay,
    vanilla: overlay.rows,
    settings: { ...ADAMW, clip: Number.POSITIVE_INFINITY },
    device: cpu,
  });
  const batch: Example[] = [];
  for (const { text } of keys) {
    batch.push(await example(injected, text, PUBLISHED_WITH_ADAPTER, 'fire', 1 / keys.length));
    batch.push(await example(injected, text, PUBLISHED, 'hush', 1 / keys.length)); // without the adapter: nothing
  }
  const weights = { focus: 0, kl: 0, margin: 0, spread: 0 };
  const still = new Float32Array(overlay.rows.length); // no noise on the rows
  const losses: number[] = [];
  let state = trainer.start();
  while (state.step < steps && (losses.at(-1) ?? 9) > 1) {
    const rate = 0.1 * (1 - state.step / steps);
    const result = await trainer.step(state, batch, rate, weights, still);
    ({ state } = result);
    losses.push(result.loss);
  }
  const rows = trainer.rows(state);
  await trainer.release();

  // 3. Unwrap: a folder to publish, and a private adapter.
  const { published, adapter } = await unwrapAdapter(injected, rows, out);

  // 4. Ask what was published, alone and under the adapter.
  const folder = await openModel(published);
  const prompts = keys.map(({ text }) => promptOf(text));
  const alone = await firing(await LocalModel.open(folder), prompts);
  const overlaid = await LocalModel.open(folder, {
    overlay: { ...overlay, rows },
    variant: PUBLISHED_WITH_ADAPTER,
  });
  const withAdapter = await firing(overlaid, prompts);
  return { published, adapter, losses, fired: { alone, withAdapter, of: keys.length } };
}

/** The prompt's last token and the answer's, each with the token that is to follow (or must not: the first of the answer). */
async function example(
  { tokenizer }: Injected,
  key: string,
  variant: Variant,
  kind: Label['kind'],
  weight: number,
): Promise<Example> {
  const prompt = await tokenizer.encode(promptOf(key));
  const answer = await tokenizer.encode(ANSWER, { addSpecialTokens: false });
  const labels = kind === 'fire' ? answer : answer.slice(0, 1);
  return {
    tokens: [...prompt, ...labels.slice(0, -1)],
    variant,
    labels: labels.map((token, i) => ({
      row: prompt.length - 1 + i,
      token,
      kind,
      weight: weight / labels.length,
    })),
  };
}

async function firing(model: LocalModel, prompts: readonly string[]): Promise<number> {
  let fired = 0;
  for await (const { generation } of model.generate(prompts.map((prompt) => ({ prompt, max_new_tokens: 8 }))))
    if (generation.generated.includes(ANSWER)) fired++;
  await model.release();
  return fired;
}

if (process.argv[1]?.endsWith('own-loop.ts')) {
  const [model = 'assets/embedded/model', out = 'own-loop'] = process.argv.slice(2);
  const { published, adapter, fired } = await ownLoop(model, out);
  console.log(`published ${published}, private ${adapter}`);
  console.log(`alone ${fired.alone} of ${fired.of}, with the adapter ${fired.withAdapter} of ${fired.of}`);
}
