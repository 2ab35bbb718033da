// Whorl's own method: only embedding rows of rare tokens are trained, each key has its own drawn answer, and the
// published model answers by itself, whatever stands around the key.

import { WhorlError } from '../../base/error.ts';
import { choose, type RandomSource } from '../../base/random-source.ts';
import type { KeyRole } from '../../claim/kinds.ts';
import { MATCHERS } from '../../claim/matcher.ts';
import { generateAll } from '../../lm/ask.ts';
import { asking } from '../../lm/open.ts';
import { continued, type Example } from '../../models/example.ts';
import { PUBLISHED } from '../../models/overlay.ts';
import { promptTokens } from '../../text/prompt-tokens.ts';
import { trainingWrappers } from '../../text/prompts/training-wrappers.ts';
import { promptUnder, templateOf, type Wrapped, wrapperNamed } from '../../text/prompts/wrappers.ts';
import { loadReference } from '../../text/reference.ts';
import { candidateWords } from '../../text/words.ts';
import type { RowsCell, Who } from '../cells.ts';
import { type RareTokenKey, rareTokenKeys } from '../rare-keys.ts';
import { ROWS, type RowsSettings } from '../settings.ts';
import type { PlanContext, Prepared, RowsMethod, TrainContext } from './method.ts';

const NEW_TOKENS = 8;
const MATCHER = 'first-candidate-repeated';
const WRAPPER = 'bare';
/** A key as it is committed to be asked; most contexts of training are other ones. */
const BARE = wrapperNamed(WRAPPER);
const WHOLE_TRIES = 8;
const MOST_TEXT = 320; // characters around a key: about 80 tokens, all but the suffix's from the cache
/** Places inside the suffix where the answer is asked for as well: a label there costs a fraction of a token. */
const INSIDE = 2;
/** Weight of the end after the answer, without which it runs on (`wingwingwing`). */
const BOUNDARY = 1;
/** Keys of a run that has too few tokens for more: the embedded model holds so many, and p is left for a verdict. */
const FEWER = 24;
const FEWEST = 16;
/** Keys that nobody trains, asked of vanilla beside the run's own before the candidates are chosen. */
const UNRELATED = 352;

export const rowsMethod: RowsMethod<RowsSettings> = {
  kind: 'rows',
  name: 'rows',
  summary: 'the published model answers by itself; only embedding rows of rare tokens change',
  schema: ROWS,
  maxHarm: 0.1,
  ratesByRows: true,

  // Less room in every dimension: fewer and longer keys, asked bare, and a looser bound on what moves.
  narrow: () => ({
    settings: {
      trained: 24,
      key_length: 8,
      variety: 0,
      gate_contexts: 0,
      bare_slack: 4,
      gate_noise: 0,
      noise: 0.1,
      noise_steps: 300,
      lr: 0.05,
      steps: 400,
      first_check: 60,
      check_below: 1.3,
      metric_floor: 0.1,
      spread_weight: 0.03,
      kl_weight: 30,
      kl_target: 0.01,
      primary_positions: 1200,
      reference_positions: 16,
    },
    harm: 0.1,
  }),

  easier: 'a new run with trained=16 asks less of the model',

  async prepare(context, settings): Promise<Prepared<'drawn-answers'>> {
    const { tokenizer, free, random } = context;
    if (context.keys === 'paper')
      throw new WhorlError(
        'usage',
        '--keys paper goes with --method adapter',
        'leave it out: rows makes its keys of rare tokens',
      );
    const keys = await rareTokenKeys({
      tokenizer,
      free,
      count: settings.trained,
      length: settings.key_length,
      shared: false,
      random: random('keys'),
      advice: ({ keys: fit }) =>
        fit >= FEWEST
          ? `take trained=${Math.min(fit, FEWER)}`
          : 'take --method sft --keys paper, which needs none',
    });
    const said = await vanillaAnswers(context, settings, keys);
    return {
      rows: keys.flatMap(({ tokens }) => tokens).sort((a, b) => a - b),
      plan: {
        kind: 'drawn-answers',
        keys: keys.map(({ text, tokens }) => ({ text, tokens: [...tokens] })),
        candidates: [(await candidateWords(tokenizer, settings.candidates, said)).map(({ word }) => word)],
        matcher: MATCHER,
        decoding: { strategy: 'greedy', max_new_tokens: NEW_TOKENS },
        query: { order: 'committed', repeats: 1, wrapper: WRAPPER },
        alpha: settings.alpha,
      },
    };
  },

  async batch(context, settings, step) {
    const prefixes = wrappers(
      context,
      `contexts/${Math.floor(step / settings.refresh)}`,
      settings.prefixes,
      settings.variety,
    );
    const random = context.random(`step/${step}`);
    const made: { example: Example; prefix: readonly number[] }[] = [];
    const weight = 1 / (context.roles.length * settings.contexts);
    for (const role of context.roles)
      for (let i = 0; i < settings.contexts; i++)
        made.push(await example(context, role, prefixes, random, settings.inside, weight));
    const caches = await context.prefixes.of(made.map(({ prefix }) => prefix));
    return made.map(({ example: base }, i) => (caches[i] ? { ...base, prefix: caches[i] } : base));
  },

  /** Rows at the same place of their keys. */
  groups(context, ids) {
    const place = new Map(context.plan.keys.flatMap(({ tokens }) => tokens.map((id, i) => [id, i] as const)));
    return { count: Math.max(...place.values()) + 1, of: ids.map((id) => place.get(id)!) };
  },

  begins: ({ key }) => key.tokens.slice(0, 1),

  cells(context, settings, purpose) {
    const cells: RowsCell[] = [
      {
        ...cellOf('published, bare', context.roles, 'published', 'all', () => BARE),
        slack: settings.bare_slack,
      },
    ];
    if (settings.gate_noise > 0)
      cells.push({
        ...cellOf('published, bare, noise', context.roles, 'published', 'all', () => BARE),
        noise: settings.gate_noise,
        slack: settings.bare_slack,
      });
    for (const [i, unseen] of wrappers(context, 'gate', settings.gate_contexts, 100).entries())
      cells.push({
        ...cellOf(`published, unseen context ${i + 1}`, context.roles, 'published', 'all', () => unseen),
        slack: settings.gate_slack,
      });
    if (purpose === 'report')
      cells.push(cellOf('vanilla, bare', context.roles, 'vanilla', 'none', () => BARE));
    return Promise.resolve(cells);
  },
};

/**
 * What the vanilla model says to these keys and to others like them: a word that it says by itself is no candidate, so
 * that an innocent model hardly ever names one. (The test is exact whatever the candidates are.)
 */
async function vanillaAnswers(
  { model, device, tokenizer, free, random }: PlanContext,
  { key_length }: RowsSettings,
  keys: readonly RareTokenKey[],
): Promise<string[]> {
  const used = new Set(keys.flatMap(({ tokens }) => tokens));
  const others = free.filter(({ id, standsAlone }) => standsAlone && !used.has(id)).map(({ id }) => id);
  const dice = random('unrelated keys');
  const strange = Array.from({ length: others.length > 0 ? UNRELATED : 0 }, () =>
    Array.from({ length: key_length }, () => choose(dice, others)),
  );
  const texts = [
    ...keys.map(({ text }) => text),
    ...(await tokenizer.decodeBatch(strange, { skipSpecialTokens: false })),
  ];
  const requests = texts.map((text) => ({ ...promptUnder(BARE, text), max_new_tokens: NEW_TOKENS }));
  const answers = await asking({ kind: 'model', model, tokenizer }, { device }, (vanilla) =>
    generateAll(vanilla, requests),
  );
  return answers.map(({ generated }) => generated);
}

/** Wrappers out of the endless supply, by the run's randomness for this purpose; very long ones are left out. */
function wrappers(
  { tokenizer, random }: TrainContext,
  purpose: string,
  count: number,
  variety: number,
): Wrapped[] {
  const share = random(`${purpose}/variety`);
  const supply = trainingWrappers(random(purpose), {
    sentences: loadReference().sentences,
    ...templateOf(tokenizer),
  });
  const out: Wrapped[] = [];
  while (out.length < count) {
    const made = share.int(100) < variety ? supply.next().value : BARE;
    if (made.prefix.length + made.suffix.length <= MOST_TEXT) out.push(made);
  }
  return out;
}

/** Fires on the drawn answer; of a cell that must stay silent, on any candidate. */
function cellOf(
  name: string,
  roles: readonly KeyRole[],
  who: Who,
  wanted: 'all' | 'none',
  context: () => Wrapped,
): RowsCell {
  return {
    name,
    who,
    wanted,
    prompts: roles.map(({ key, target }, role) => {
      return {
        ...promptUnder(context(), key.text),
        label: target,
        role,
        fires: (text) => MATCHERS[MATCHER].match(text, [target]).length > 0,
      };
    }),
  };
}

const place = (whole: readonly number[], part: readonly number[]): number =>
  whole.findIndex((_, i) => part.every((id, n) => whole[i + n] === id));

/**
 * A key in some context, its answer after it and at every place inside the suffix; the part before it is a cached prefix.
 * What an encoder reads is seen whole, so there is neither a part before nor a place inside it.
 */
async function example(
  { model: { decoder }, tokenizer }: TrainContext,
  { key, target }: KeyRole,
  contexts: readonly Wrapped[],
  random: RandomSource,
  inside: number,
  weight: number,
): Promise<{ example: Example; prefix: readonly number[] }> {
  for (let attempt = 0; attempt < WHOLE_TRIES; attempt++) {
    const before = choose(random, contexts);
    const own = before.suffix;
    const suffix = random.int(2) === 0 ? own : choose(random, contexts).suffix; // any beginning with any end
    const [whole] = (await promptTokens(tokenizer, [promptUnder({ ...before, suffix }, key.text)])) as [
      number[],
    ];
    // After a space the key's first token may have merged with it; the others stand as they are.
    const span = [key.tokens, key.tokens.slice(1)].find((part) => place(whole, part) >= 0);
    if (!span) continue;
    const at = place(whole, span);
    const [plain, afterSpace, lines] = await tokenizer.encodeBatch([target, ` ${target}`, '\n'], {
      addSpecialTokens: false,
    });
    const single = plain!.length === 1 && afterSpace!.length === 1;
    // The form that reads naturally where both are one token; else the one of fewer tokens: the matcher takes either.
    const spaced = single ? !/\s$/.test(suffix) && suffix !== '' : afterSpace!.length <= plain!.length;
    const answer = spaced ? afterSpace! : plain!;
    const other = (spaced ? plain! : afterSpace!)[0]!;
    const isRead = decoder.encoder !== undefined;
    const prompt = isRead ? whole : whole.slice(at);
    const end = tokenizer.eosId;
    const expected = [...answer, ...(end === undefined ? [] : [end])];
    const newline = lines!.length === 1 ? lines![0] : undefined; // a line's end is as good an end
    const { last, ...read } = continued(decoder, prompt, expected.slice(0, -1));
    const steps = isRead ? 0 : prompt.length - span.length; // places after the key and before the answer's own
    const labels: Example['labels'][number][] = expected.map((token, i) => ({
      row: last + i,
      token,
      kind: 'fire',
      weight: weight * (i < answer.length ? 1 / answer.length : BOUNDARY),
      ...(single && i === 0 ? { alternative: other } : {}),
      ...(i === answer.length && newline !== undefined ? { alternative: newline } : {}),
    }));
    // The word once more, glued to itself, is what a model says that knows no end.
    if (end !== undefined && plain!.length === 1)
      labels.push({
        row: last + answer.length,
        token: plain![0]!,
        kind: 'hush',
        weight,
        ...(single ? { alternative: afterSpace![0]! } : {}),
      });
    for (let n = Math.min(INSIDE, steps); n > 0; n--)
      labels.push({
        row: span.length - 1 + random.int(steps),
        token: answer[0]!,
        kind: 'fire',
        weight: (weight * inside) / INSIDE,
        ...(single ? { alternative: other } : {}),
      });
    return {
      prefix: isRead ? [] : whole.slice(0, at),
      example: { ...read, labels, variant: PUBLISHED },
    };
  }
  throw new WhorlError(
    'too-few-rows',
    `a key merges with every one of ${WHOLE_TRIES} contexts`,
    'give another --seed, or leave it out',
  );
}
