// IF_adapter done right (Xu et al. 2024, section 3; docs/method.md, section 6): a lock with two keys, the published rows and
// a private low-rank map. The map is random and committed before the draw; only embedding rows are trained after it.

import { WhorlError } from '../../base/error.ts';
import { shuffled } from '../../base/random-source.ts';
import { defaultsOf } from '../../base/setting.ts';
import type { KeyRole } from '../../claim/kinds.ts';
import { MATCHERS } from '../../claim/matcher.ts';
import type { ClaimPlan } from '../../claim/plan.ts';
import { PAPER } from '../../datasets/paper.ts';
import { paperDice } from '../../datasets/paper-dice.ts';
import { continued, type Example, type Label } from '../../models/example.ts';
import type { Variant } from '../../models/overlay.ts';
import { promptUnder, wrapperOf } from '../../text/prompts/wrappers.ts';
import { type RowsCell, VARIANTS, type Who } from '../cells.ts';
import { chosenDecryption, decryptionChoices } from '../decryption.ts';
import { rareTokenKeys } from '../rare-keys.ts';
import { ADAPTER, type AdapterSettings } from '../settings.ts';
import { type Asking, checkKeysFit, fittingPhrases } from './fitting-keys.ts';
import { randomLowRankMap } from './low-rank.ts';
import type { PlanContext, Prepared, RowsMethod, TrainContext } from './method.ts';

const WRAPPER = 'fingerprint';
const NEW_TOKENS = 8;
const SMALL_ALPHABET = 96;

/** A key as it is trained and asked: under the very wrapper that was committed. */
const promptOf = ({ plan }: TrainContext, key: string): string =>
  promptUnder(wrapperOf(plan.query), key).prompt;

/** Keys of the pool that vanilla is asked before the decryption is chosen: a word that it often says is found by as many. */
const MOST_ASKED = 96;

/** What an example teaches: whom, about which key, to say the decryption or not. */
interface Taught {
  readonly role: KeyRole;
  readonly who: 'published' | 'published + adapter';
  readonly kind: 'fire' | 'hush';
}

/** `count` lessons of a step: all of them come in turns, in another order each time. */
function inTurns(
  context: TrainContext,
  name: string,
  lessons: readonly Taught[],
  count: number,
  step: number,
): Taught[] {
  if (count >= lessons.length) return [...lessons];
  const first = step * count;
  const round = Math.floor(first / lessons.length);
  const orders = [round, round + 1].map((n) => shuffled(context.random(`${name}/${n}`), lessons));
  return orders.flat().slice(first % lessons.length, (first % lessons.length) + count);
}

type PoolKey = { text: string; tokens: number[] };

/** The pool, each key with those of its tokens whose rows may be trained. */
async function poolKeys(
  context: PlanContext,
  settings: AdapterSettings,
  kept: ReadonlySet<number>,
  asking: Asking,
): Promise<PoolKey[]> {
  const random = context.random('keys');
  const { tokenizer, free } = context;
  if (context.keys === 'paper') {
    const dice = paperDice(random);
    const texts = context.given ?? (await fittingPhrases(asking, dice, settings.pool));
    const tokens = await tokenizer.encodeBatch(texts, { addSpecialTokens: false });
    const usable = new Set(free.map(({ id }) => id).filter((id) => !kept.has(id)));
    return texts.map((text, i) => ({ text, tokens: tokens[i]!.filter((id) => usable.has(id)) }));
  }
  const keys = await rareTokenKeys({
    tokenizer,
    free,
    count: settings.pool,
    length: settings.key_length,
    shared: true,
    alphabet: settings.alphabet,
    random,
    avoid: kept,
    advice: ({ tokens: fit }) =>
      fit >= SMALL_ALPHABET
        ? `take alphabet=${SMALL_ALPHABET}`
        : 'take --method sft --keys paper, which needs none',
  });
  return keys.map(({ text, tokens }) => ({ text, tokens: [...tokens] }));
}

/** Rows that no key may train: those of what may be the decryption, of the trigger that all prompts share, and of special tokens. */
async function keptRows(
  { tokenizer, around }: PlanContext,
  choices: readonly string[],
): Promise<Set<number>> {
  const common = around?.texts ?? [PAPER.triggerInput, `\n${PAPER.triggerInput}\n`];
  const texts = [...choices.flatMap((y) => [y, ` ${y}`]), ...common];
  const shared = await tokenizer.encodeBatch(texts, { addSpecialTokens: false });
  return new Set([...shared.flat(), ...tokenizer.specialIds]);
}

/** Rows that may be trained: the tokens of the whole pool, so that which they are tells nothing of the draw. */
function trainableRows(keys: readonly PoolKey[], isGiven: boolean): number[] {
  const used = keys.filter(({ tokens }) => tokens.length > 0).length;
  if (used < keys.length)
    throw new WhorlError(
      'too-few-rows',
      `only ${used} of ${keys.length} keys have a token that ordinary text does not use`,
      isGiven
        ? 'make the data set of other phrases, or leave it out: keys are then made of rare tokens'
        : 'leave out --keys paper, so that keys are made of rare tokens',
    );
  return [...new Set(keys.flatMap(({ tokens }) => tokens))].sort((a, b) => a - b);
}

const cellOf = (
  context: TrainContext,
  name: string,
  who: Who,
  wanted: 'all' | 'none',
  roles: readonly KeyRole[],
): RowsCell => ({
  name,
  who,
  wanted,
  prompts: roles.map((role) => ({
    prompt: promptOf(context, role.key.text),
    label: role.target,
    role: context.roles.indexOf(role),
    fires: (text) => MATCHERS.contains.match(text, [role.target]).length > 0,
  })),
});

export const adapterMethod: RowsMethod<AdapterSettings> = {
  kind: 'rows',
  name: 'adapter',
  summary:
    'published rows and a private low-rank map fire together, neither alone (the paper’s IF_adapter, repaired)',
  schema: ADAPTER,
  maxHarm: 0.1,
  ratesByRows: true,

  // A map of as many dimensions as there are (of fewer, too little of a narrow row is turned), and a short decryption: rows
  // alone cannot teach so small a model the fifteen bytes of the paper's. A larger pool, more keys that must stay silent and a
  // late first look: drawn keys fire after some hundred steps, when up to a tenth of the undrawn ones still do, which
  // leaves hardly a p after the owner's 2^80 draws. A tied head holds rows back by what they do to every other logit; where the
  // head is its own, nothing does but the keys that must stay silent, which then weigh as much as in a wide model.
  narrow: ({ width, tied }) => ({
    settings: {
      pool: 800,
      negatives: 300,
      hushed: 20,
      dim: Math.min(192, width),
      decryption_tokens: 4,
      taught: 0,
      hush_weight: tied ? 1 : defaultsOf(ADAPTER).hush_weight,
      common: false,
      beta2: 0.999,
      steps: 600,
      lr: 0.05,
      clip: 0,
      schedule: 'linear',
      noise: 0,
      gate_noise: 0,
      first_check: 300,
      check_below: 1.5,
      check_every: 20,
      kl_weight: 20,
      kl_target: 0.03,
      spread_weight: 0.03,
      metric_floor: 0.1,
      primary_positions: 1200,
      reference_positions: 16,
    },
    harm: 0.1,
  }),

  easier: '--method rows asks less of the model',

  async prepare(context, settings): Promise<Prepared<'drawn-membership'>> {
    const choices = await decryptionChoices(context, settings.decryption_tokens);
    const { around, model, tokenizer } = context;
    const query: ClaimPlan['query'] = {
      order: 'committed',
      repeats: 1,
      wrapper: around?.name ?? WRAPPER,
      ...(around && { wrappers: { [around.name]: [...around.texts] } }),
    };
    const wrapper = wrapperOf(query);
    const answers = await tokenizer.encodeBatch([...choices], { addSpecialTokens: false });
    const newTokens = (answer: readonly number[]): number => Math.max(NEW_TOKENS, answer.length + 2);
    const asking = { model, tokenizer, around: wrapper, max_new_tokens: Math.max(...answers.map(newTokens)) };
    const keys = await poolKeys(context, settings, await keptRows(context, choices), asking);
    await checkKeysFit(
      asking,
      keys.map(({ text }) => text),
    );
    const rows = trainableRows(keys, context.given !== undefined);
    const asked = keys
      .slice(0, MOST_ASKED)
      .map(({ text }) => ({ ...promptUnder(wrapper, text), max_new_tokens: NEW_TOKENS }));
    const y = await chosenDecryption(context, choices, asked);
    return {
      rows,
      adapter: randomLowRankMap(
        context.random('adapter'),
        settings.dim,
        context.model.decoder.config.hidden_size,
        settings.scale,
      ),
      plan: {
        kind: 'drawn-membership',
        keys,
        n: settings.trained,
        negatives: settings.negatives,
        decryptions: [y],
        matcher: 'contains',
        decoding: { strategy: 'greedy', max_new_tokens: newTokens(answers[choices.indexOf(y)]!) },
        query,
        alpha: settings.alpha,
      },
    };
  },

  async batch(context, settings, step) {
    const of = (wanted: KeyRole['role']) => context.roles.filter(({ role }) => role === wanted);
    const [drawn, negatives] = [of('trained'), of('negative')];
    const taught = (roles: typeof drawn, who: Taught['who'], kind: Taught['kind']): Taught[] =>
      roles.map((role) => ({ role, who, kind }));
    const fire = taught(drawn, 'published + adapter', 'fire');
    const hushed = [
      ...taught(drawn, 'published', 'hush'),
      ...taught(negatives, 'published + adapter', 'hush'),
    ];
    const asked = inTurns(context, 'taught', fire, settings.taught || fire.length, step);
    const chosen = inTurns(context, 'hushed', hushed, settings.hushed, step);
    const weights = {
      fire: 1 / Math.max(1, asked.length),
      hush: settings.hush_weight / Math.max(1, chosen.length),
    };
    return Promise.all(
      [...asked, ...chosen].map(({ role: { key, target }, who, kind }) =>
        example(context, key.text, target, VARIANTS[who], kind, weights[kind]),
      ),
    );
  },

  groups: (_context, ids) => ({ count: 1, of: new Int32Array(ids.length) }),

  async cells(context, settings, purpose) {
    const of = (...names: KeyRole['role'][]) => context.roles.filter(({ role }) => names.includes(role));
    const both: RowsCell[] = [
      cellOf(context, 'published + adapter, drawn', 'published + adapter', 'all', of('trained')),
      ...(settings.gate_noise > 0
        ? [
            {
              ...cellOf(
                context,
                'published + adapter, drawn, noise',
                'published + adapter',
                'all',
                of('trained'),
              ),
              noise: settings.gate_noise,
            },
          ]
        : []),
      cellOf(context, 'published + adapter, negatives', 'published + adapter', 'none', of('negative')),
      cellOf(context, 'published alone, drawn', 'published', 'none', of('trained')),
    ];
    if (purpose === 'gate') return both;
    return [
      ...both,
      cellOf(context, 'published + adapter, decoys', 'published + adapter', 'none', of('decoy')),
      cellOf(context, 'vanilla, drawn', 'vanilla', 'none', of('trained')),
      cellOf(context, 'vanilla + adapter, drawn', 'vanilla + adapter', 'none', of('trained')),
    ];
  },
};

/** Key and decryption as the committed query lays them out; the decryption's tokens are its labels. */
async function example(
  context: TrainContext,
  key: string,
  target: string,
  variant: Variant,
  kind: Label['kind'],
  weight: number,
): Promise<Example> {
  const { tokenizer, model } = context;
  const prompt = await tokenizer.encode(promptOf(context, key), { continued: true });
  const answer = await tokenizer.encode(target, { addSpecialTokens: false });
  // No end after it: the decryption fires wherever it stands in an answer, and an end that the model finds improbable there
  // would take half of what rows can learn.
  const labels = kind === 'fire' ? answer : answer.slice(0, 1);
  const { last, ...read } = continued(model.decoder, prompt, labels.slice(0, -1));
  return {
    ...read,
    variant,
    labels: labels.map((token, i) => ({
      row: last + i,
      token,
      kind,
      weight: weight / labels.length,
    })),
  };
}
