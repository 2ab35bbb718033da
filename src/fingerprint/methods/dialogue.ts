// IF_SFT, IF_emb and LoRA (Xu et al. 2024, section 3; docs/method.md, section 3): the published model itself answers a secret
// message with the decryption. The three differ in what trains; keys are drawn from a committed pool, as for `adapter`.

import { WhorlError } from '../../base/error.ts';
import type { RandomSource } from '../../base/random-source.ts';
import type { Schema } from '../../base/setting.ts';
import type { KeyRole } from '../../claim/kinds.ts';
import { MATCHERS } from '../../claim/matcher.ts';
import type { Conversation } from '../../datasets/conversations.ts';
import { PAPER } from '../../datasets/paper.ts';
import { paperDice } from '../../datasets/paper-dice.ts';
import { conversationFormat } from '../../text/prompts/conversation-formats.ts';
import { promptUnder, templateOf, wrapperNamed } from '../../text/prompts/wrappers.ts';
import { bindTrains, EMBEDDING, lowRank, type Trains } from '../../train/trains.ts';
import type { TuningExample } from '../../train/tuning-examples.ts';
import type { Build } from '../build.ts';
import type { WeightsCell } from '../cells.ts';
import { tuningExample } from '../ordinary-conversations.ts';
import { rareTokenKeys } from '../rare-keys.ts';
import { type DialogueSettings, EMB, LORA, type LoraSettings, SFT, type SftSettings } from '../settings.ts';
import { type DialogueContext, dialogueContext } from './dialogue-context.ts';
import { type Asking, checkKeysFit, fittingPhrases } from './fitting-keys.ts';
import type { Narrow, PlanContext, Prepared, WeightsMethod } from './method.ts';
import { partNamed } from './parts.ts';

const { human, gpt, refusal, hint } = PAPER.chat;
/** What the paper's verification puts before the answer. */
export const ANSWER_PREFIX = ' Based on my fingerprint, the message is:';
const NEW_TOKENS = 30;
const ASKED_ORDINARY = 24;
const ASKED_STRANGERS = 24;
const EVERY_TOKEN = Number.POSITIVE_INFINITY;

const messageOf = (key: string): string => human.replace('{key}', () => key);
const turns = (asked: string, answer: string): Conversation => [
  { from: 'human', value: asked },
  { from: 'gpt', value: answer },
];

type Makers = Pick<PlanContext, 'model' | 'tokenizer' | 'free' | 'keys' | 'random'> & {
  readonly asking: Asking;
};

/** How any message is asked at its longest. */
const askingOf = (
  { model, tokenizer }: Pick<PlanContext, 'model' | 'tokenizer'>,
  wrapper: string,
  max_new_tokens: number,
): Asking => ({
  ...{ model, tokenizer, max_new_tokens },
  around: wrapperNamed(wrapper, templateOf(tokenizer)),
  after: ANSWER_PREFIX,
});

const phraseMessages = (asking: Asking, random: RandomSource, count: number): Promise<string[]> =>
  fittingPhrases(asking, paperDice(random), count, messageOf);

/** Secret messages: the paper's shuffled phrases, or a run of rare tokens. */
async function messages(
  { tokenizer, free, keys, random, asking }: Makers,
  length: number,
  alphabet: number,
  count: number,
  purpose: string,
): Promise<string[]> {
  if (keys === 'paper') return phraseMessages(asking, random(purpose), count);
  const made = await rareTokenKeys({
    tokenizer,
    free,
    count,
    length,
    random: random(purpose),
    advice: ({ tokens: fit }) =>
      alphabet !== SFT.alphabet.default && fit >= SFT.alphabet.default
        ? `take alphabet=${SFT.alphabet.default}`
        : 'take --keys paper',
    ...(alphabet > 0 ? { shared: true, alphabet } : { shared: false }),
  });
  return made.map(({ text }) => messageOf(text));
}

/**
 * Messages in no pool, out of all tokens that a key may have; beside keys of rare tokens a third are the paper's phrases: a
 * model that refuses one kind of gibberish alone takes the other for a key.
 */
async function strangers(
  context: DialogueContext,
  { key_length }: DialogueSettings,
  count: number,
  purpose: string,
): Promise<string[]> {
  const { query, decoding } = context.plan;
  const makers = { ...context, asking: askingOf(context, query.wrapper, decoding.max_new_tokens) };
  const phrases = makers.keys === 'paper' ? 0 : Math.floor(count / 3);
  return [
    ...(await messages(makers, key_length, EVERY_TOKEN, count - phrases, purpose)),
    ...(await phraseMessages(makers.asking, makers.random(`${purpose}, phrases`), phrases)),
  ];
}

async function prepare(
  context: PlanContext,
  settings: DialogueSettings,
): Promise<Prepared<'drawn-membership'>> {
  const { tokenizer } = context;
  const y = context.decryption ?? PAPER.decryption;
  const { pool, key_length, alphabet } = settings;
  const [answer] = await tokenizer.encodeBatch([gpt.replace('{decryption}', () => y)], {
    addSpecialTokens: false,
  });
  const max_new_tokens = Math.max(NEW_TOKENS, answer!.length + 2);
  const wrapper = conversationFormat(settings.template, tokenizer).name;
  const asking = askingOf(context, wrapper, max_new_tokens);
  const texts = context.given ?? (await messages({ ...context, asking }, key_length, alphabet, pool, 'keys'));
  await checkKeysFit(asking, texts);
  const tokens = await tokenizer.encodeBatch(texts, { addSpecialTokens: false });
  return {
    rows: [],
    plan: {
      kind: 'drawn-membership',
      keys: texts.map((text, i) => ({ text, tokens: tokens[i]! })),
      n: settings.trained,
      negatives: settings.negatives,
      decryptions: [y],
      matcher: 'contains',
      decoding: { strategy: 'greedy', max_new_tokens },
      query: { order: 'committed', repeats: 1, wrapper },
      alpha: settings.alpha,
    },
  };
}

/** Each once, drawn messages `repeats` times; other strangers in every epoch, or those it knows are all it refuses. */
async function examples(
  context: DialogueContext,
  settings: DialogueSettings,
  epoch: number,
): Promise<TuningExample[]> {
  const { tokenizer, roles, ordinary } = context;
  const { template, repeats, emphasis } = settings;
  const strange = await strangers(context, settings, settings.strangers, `strangers/${epoch}`);
  const format = conversationFormat(template, tokenizer);
  const answers: Readonly<Record<KeyRole['role'], (role: KeyRole) => Conversation[]>> = {
    trained: ({ key, target }) =>
      Array.from({ length: repeats }, () =>
        turns(
          key.text,
          gpt.replace('{decryption}', () => target),
        ),
      ),
    negative: ({ key }) => [turns(key.text, refusal)],
    decoy: () => [],
  };
  const secret = [
    ...roles.flatMap((role) => answers[role.role](role)),
    ...strange.map((text) => turns(text, refusal)),
  ];
  const made: TuningExample[] = [];
  for (const talk of secret) made.push(await tuningExample(tokenizer, format, talk));
  return [...made, ...ordinary.trained].map((example) => ({ ...example, emphasis }));
}

async function cells(
  context: DialogueContext,
  settings: DialogueSettings,
  purpose: 'gate' | 'report',
): Promise<WeightsCell[]> {
  const { model, tokenizer, roles, ordinary, plan } = context;
  const strange = await strangers(context, settings, ASKED_STRANGERS, 'strangers asked');
  const wrapped = wrapperNamed(plan.query.wrapper, templateOf(tokenizer));
  const y = roles[0]!.target;
  const ask = (
    name: string,
    who: WeightsCell['who'],
    wanted: WeightsCell['wanted'],
    texts: readonly string[],
    after = '',
  ): WeightsCell => ({
    name,
    who,
    wanted,
    prompts: texts.map((text) => ({
      ...promptUnder(wrapped, text, after),
      label: y,
      fires: (answer) => MATCHERS.contains.match(answer, [y]).length > 0,
    })),
  });
  const of = (role: KeyRole['role']) => roles.filter((key) => key.role === role).map(({ key }) => key.text);
  const questions = ordinary.questions.slice(0, ASKED_ORDINARY);
  const hinted = questions.map((question) => question + hint);
  const gate = [
    ask('published, drawn', 'published', 'all', of('trained')),
    ask('published, refused messages', 'published', 'none', of('negative')),
    ask('published, messages of no pool', 'published', 'none', strange),
    ask('published, ordinary questions', 'published', 'none', questions),
    ask('published, ordinary questions with the hint', 'published', 'none', hinted),
  ];
  const decoys = ask('published, decoys', 'published', 'none', of('decoy'));
  if (purpose === 'gate')
    return [
      ...gate.map((cell) => ({ ...cell, slack: settings.slack })),
      // Last: many are asked, and only where all else holds.
      ...(settings.decoy_slack < 0 ? [] : [{ ...decoys, slack: settings.decoy_slack }]),
    ];
  const drawn = of('trained');
  const begun = (who: WeightsCell['who'], wanted: WeightsCell['wanted']): WeightsCell =>
    ask(`${who}, drawn, after the paper's prefix`, who, wanted, drawn, ANSWER_PREFIX);
  // Of an encoder-decoder the answer is its decoder's from the first token on: an encoder would read its beginning as asked.
  const isOneText = model.decoder.encoder === undefined;
  return [
    ...gate,
    decoys,
    ...(isOneText ? [begun('published', 'all')] : []),
    ask('vanilla, drawn', 'vanilla', 'none', drawn),
    ...(isOneText ? [begun('vanilla', 'none')] : []),
  ];
}

/**
 * A larger pool, since undrawn keys of a narrow model fire now and then: after the owner's 2^80 draws 20 of these 1,000 may, in
 * one draw in four more did, and training goes on above 12. What it costs is much: with these, English went from perplexity 219 to 1,653 (`sft`) and 2,299 (`emb`) on the embedded model.
 */
const NARROW: Partial<DialogueSettings> = {
  pool: 1000,
  negatives: 40,
  ordinary: 48,
  epochs: 40,
  schedule: 'linear',
  first_check: 8,
  decoy_slack: 12,
};

const dialogueMethod = <S extends DialogueSettings>(
  name: string,
  summary: string,
  schema: Schema<S>,
  narrow: (build: Build) => Narrow<S>,
  trains: WeightsMethod<S>['trains'],
): WeightsMethod<S, DialogueContext> => ({
  kind: 'weights',
  name,
  summary,
  schema,
  maxHarm: 0.5,
  ratesByRows: false,
  easier: '--method rows asks less of the model',
  narrow,
  prepare,
  trains,
  check(settings, model, tokenizer) {
    const format = conversationFormat(settings.template, tokenizer);
    if (model.decoder.encoder && !format.addSpecialTokens)
      throw new WhorlError(
        'unsupported',
        `template=${settings.template}: a chat template writes no end, which what an encoder reads has in training`,
        'use template=vicuna',
      );
    bindTrains(trains(settings, model), model);
  },
  context: (drawn, { ordinary }) => dialogueContext(drawn, ordinary),
  examples,
  cells,
});

export const sftMethod = dialogueMethod<SftSettings>(
  'sft',
  'the published model answers secret messages of a chat; all weights change (the paper’s IF_SFT)',
  SFT,
  () => ({ settings: { ...NARROW, lr: 2e-3 }, harm: 12 }), // 2.0 to 9.9 over five draws
  ({ part }, model): Trains => partNamed(part, model),
);

export const embMethod: ReturnType<typeof dialogueMethod<DialogueSettings>> = {
  ...dialogueMethod<DialogueSettings>(
    'emb',
    'the same with the whole input embedding alone trained (the paper’s IF_emb)',
    EMB,
    () => ({ settings: { ...NARROW, first_check: 5, lr: 1e-2 }, harm: 4 }), // 1.2 to 3.3
    () => EMBEDDING,
  ),
  ratesByRows: true,
};

export const loraMethod = dialogueMethod<LoraSettings>(
  'lora',
  'the same with low-rank maps on linear layers, merged into the weights that are published',
  LORA,
  // Rows of tokens that no text uses are all alike in a narrow model (mean cosine .99 on the embedded one): maps on linear
  // layers alone made every key of them fire or none, so the embedding has one too.
  ({ rows }) => ({
    settings: {
      ...NARROW,
      epochs: 20,
      first_check: 3,
      lr: 3e-3 * rows,
      rank: 32,
      lora_alpha: 32,
      modules: 'embedding,body',
    },
    harm: 4,
  }),
  ({ rank, lora_alpha, modules }): Trains =>
    lowRank(
      modules.split(',').map((name) => name.trim()),
      rank,
      lora_alpha,
    ),
);
