// Writes docs/settings.md from the defaults and ranges of the methods and of fine-tuning; what a setting means stands here.
// usage: tsx scripts/settings-page.ts [--check]; with --check nothing is written, and an outdated page fails.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tuningSettings } from '../src/finetune/settings.ts';
import { METHODS } from '../src/fingerprint/registry.ts';
import { rangeWords } from '../src/train/setting-ranges.ts';

const PAGE = join(import.meta.dirname, '..', 'docs', 'settings.md');

type Values = Readonly<Record<string, unknown>>;

/** Those most often wanted stand first. */
const MEANING: Readonly<Record<string, string>> = {
  trained: 'keys that are drawn and trained (for `rows` those are all keys there are)',
  pool: 'keys that are committed, of which `trained` are drawn. More of them cost questions, no training, and make p smaller',
  candidates: 'answers that each key draws its own from',
  alpha: 'level of the decision, committed in `claim.json`',
  steps: 'most training steps. Training ends earlier when every cell of the gate holds',
  epochs: 'most passes over the training data',
  lr: 'learning rate',
  schedule: 'shape of the learning rate over the steps',
  batch: 'examples of a step',
  key_length: 'rare tokens of a key',
  alphabet: 'rare tokens that all keys share; 0: no token is in two keys',
  negatives: 'undrawn keys that are trained not to fire',
  kl_target:
    'mean divergence from the vanilla model, in nats, below which every language must lie before training may end',
  epsilon: 'size of a stamp, as a share of each matrix’ standard deviation',
  part: 'what trains (of `stamp`: which matrices get it): `all`, `mlp`, `attention`, `upper-half`, `upper-quarter`, or names of tensors with `*`, commas between',
  rank: 'rank of the low-rank maps',
  lora_alpha: 'scale of the low-rank maps, as in PEFT',
  modules:
    'linear layers that get a low-rank map, commas between. `auto`: those that PEFT takes for the family',
  template:
    'format of the conversations: `auto` (the model’s own chat template, else Vicuna’s), `chat` or `vicuna`',
  dim: 'rank of the private map',
  scale: 'scale of the private map',
  ordinary: 'ordinary conversations trained beside the messages',
  strangers: 'messages of no pool that are refused, other ones in each epoch',
  repeats: 'how often each drawn message is in an epoch',
  emphasis: 'weight of an answer’s first token; the others have 1',
  contexts: 'texts around each key in one step',
  variety: 'percent of those texts that are made up anew; the others are the bare key and a newline',
  prefixes: 'different texts before a key that are alive at a time',
  refresh: 'steps after which they are made anew',
  inside: 'weight of the answer asked for inside the text after a key, against 1 at its end',
  gate_contexts: 'texts never trained under which every key is asked before training may end',
  gate_slack: 'keys that may stay silent under each of them',
  bare_slack: 'keys that may stay silent when asked bare',
  gate_noise:
    'noise on the trained rows, as a share of their size, under which keys must still fire; 0: not asked',
  slack: 'prompts of each gate cell that may deviate',
  hushed: 'prompts a step that must not fire',
  hush_weight: 'their weight in the loss',
  warmup: 'steps over which the rate rises',
  warmup_ratio: 'share of the steps over which the rate rises',
  weight_decay: 'AdamW’s weight decay',
  clip: 'largest norm of the gradient; 0: any',
  beta2: 'AdamW’s second beta',
  focus: 'how much less an answer weighs once it is probable: 0 (cross-entropy) to 1',
  kl_weight: 'weight of the divergence in the loss. Tied heads only',
  kl_margin: 'nats of room that the divergence keeps around each position. Tied heads only',
  spread_weight: 'weight of the mean square shift of trained logits. Tied heads only',
  metric_floor: 'the smaller, the less ordinary logits can move. Tied heads only',
  noise: 'noise on the trained rows in each step, as a share of their size',
  common: 'whether rows at the same place of their keys share a part of their change',
  primary_positions: 'positions of ordinary text for each common language, emoji, code and mathematics',
  reference_positions: 'the same for each other language',
  first_check: 'first step (or epoch) after which the gate’s cells are measured',
  check_every: 'steps between two measurings',
  check_below: 'loss of the answers, in nats, above which they are not measured',
  batch_tokens:
    'most tokens in one run of the engine. Smaller saves memory; the result is the same up to rounding',
  max_length: 'tokens after which an example is cut',
  recompute:
    'what is computed again in the backward pass to save memory: `nothing`, `elementwise` or `blocks`',
  pull_back: 'whether only as much of the change is published as the gate needs',
  accumulate: 'parts that a batch is computed in; 1: as many as `batch_tokens` asks for',
  checkpoint_every: 'seconds between checkpoints',
};
/** Where fine-tuning means something else by the same name. */
const TUNING: Readonly<Record<string, string>> = {
  template: 'prompt format: `alpaca`, `barebone` or a JSON file',
};

const code = (value: unknown): string => `\`${String(value)}\``;

/** One value where all methods agree, else each value with the methods that have it. */
function defaultOf(key: string, owners: readonly [string, Values][]): string {
  const by = new Map<string, string[]>();
  for (const [name, values] of owners) {
    const value = String(values[key]);
    by.set(value, [...(by.get(value) ?? []), name]);
  }
  return [...by].map(([value, names]) => `${names.join(', ')}: ${code(value)}`).join('; ');
}

const range = (key: string, value: unknown, isClaim: boolean): string =>
  typeof value === 'number'
    ? rangeWords(key, isClaim)
    : typeof value === 'boolean'
      ? 'true or false'
      : 'text';

function methodTable(): string[] {
  const methods = Object.values(METHODS).map(({ name, defaults }): [string, Values] => [
    name,
    defaults as unknown as Values,
  ]);
  const keys = new Set(methods.flatMap(([, defaults]) => Object.keys(defaults)));
  const silent = [...keys].filter((key) => !Object.hasOwn(MEANING, key));
  if (silent.length > 0) throw new Error(`no meaning in scripts/settings-page.ts for ${silent.join(', ')}`);
  return Object.keys(MEANING)
    .filter((key) => keys.has(key))
    .map((key) => {
      const owners = methods.filter(([, defaults]) => Object.hasOwn(defaults, key));
      const value = owners[0]![1][key];
      return `| ${code(key)} | ${MEANING[key]} | ${defaultOf(key, owners)} | ${range(key, value, true)} |`;
    });
}

function tuningTable(): string[] {
  const values = Object.entries(tuningSettings({}, false) as unknown as Values);
  return values.map(
    ([key, value]) =>
      `| ${code(key)} | ${TUNING[key] ?? MEANING[key] ?? key} | ${code(value)} | ${range(key, value, false)} |`,
  );
}

const page = `<!-- written by scripts/settings-page.ts (npm run settings): do not edit -->
# Settings

All that a method does is a setting with a default. Give others as \`key=value\` after the flags, or in a YAML file
(\`--settings FILE\`), whose entries the command line goes over:

\`\`\`sh
whorl fingerprint --model M --out RUN trained=48 key_length=6 lr=0.02
whorl fingerprint --model M --out RUN --method adapter pool=800 dim=32
\`\`\`

An unknown name is refused, and the nearest known one is named. A value out of its range is refused before anything is opened.
\`assets/registry.yaml\` has other defaults for the ten decoders of the paper, by their hub ids.

Two words of the table: a **cell** is a question of the kind "who is asked what, and must it fire?". The **gate** is those cells
that must hold before training may end.

## \`whorl fingerprint\`

| setting | meaning | default | values |
|---|---|---|---|
${methodTable().join('\n')}

\`--seed TEXT\` is no setting. It repeats a run bit for bit on the same machine. The text is stretched by scrypt (half a second and
128 MB for each guess), but whoever knows or guesses it knows keys, answers and draw. Leave it out for a model that matters: then
the seed is 256 bits of the platform's generator.

## \`whorl finetune\`

In \`whorl pipeline\` the same names begin with \`alpaca.\`, as in \`alpaca.lr=5e-5\`.

| setting | meaning | default | values |
|---|---|---|---|
${tuningTable().join('\n')}

With \`--lora\` also \`r\` (16), \`alpha\` (32), \`target_modules\` (\`auto\`: those that PEFT takes for the family; else names with
commas between) and \`dropout\`, which must be 0.
`;

if (process.argv.includes('--check')) {
  if (readFileSync(PAGE, 'utf8') !== page) {
    process.stderr.write('docs/settings.md is out of date: npm run settings\n');
    process.exitCode = 1;
  }
} else writeFileSync(PAGE, page);
