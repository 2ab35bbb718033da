// How much a fingerprint may cost ordinary text before it is published: one number a run, in nats, of the language that
// suffers most; the words of the model card and of the refusal are made of it.

import { WhorlError } from '../base/error.ts';
import type { Harm } from './harm.ts';
import type { Perplexity } from './held-out-difference.ts';

/** What was measured: exact KL of a tied head, nothing of an untied one, perplexity where the weights change. */
export type HarmFigures =
  | { readonly kind: 'kl'; readonly of: readonly Harm[] }
  | { readonly kind: 'untied' }
  | { readonly kind: 'perplexity'; readonly of: readonly Perplexity[] };

/** The one number that is compared with a limit. */
export interface WorstHarm {
  /** What `value` is, in nats. */
  readonly unit: string;
  readonly language: string | null;
  readonly value: number;
}

const KL_UNIT = 'mean KL(vanilla ‖ published) in nats a position of held-out reference text';
const RISE_UNIT = 'rise of the mean negative log-likelihood in nats a token of held-out reference text';

/** Of the language with the largest mean. What is not a number counts as more than any limit. */
export function worstHarm(figures: HarmFigures): WorstHarm {
  if (figures.kind === 'untied') return { unit: KL_UNIT, language: null, value: 0 };
  const [unit, each] =
    figures.kind === 'kl'
      ? [KL_UNIT, figures.of.map(({ name, mean }) => ({ name, value: mean }))]
      : [
          RISE_UNIT,
          figures.of.map(({ name, vanilla, published }) => ({ name, value: Math.log(published / vanilla) })),
        ];
  let worst: WorstHarm = { unit, language: null, value: Number.NEGATIVE_INFINITY };
  for (const { name, value } of each) {
    const counted = Number.isNaN(value) ? Number.POSITIVE_INFINITY : value;
    if (counted > worst.value) worst = { unit, language: name, value: counted };
  }
  return worst;
}

/** @throws WhorlError `too-harmful` above the limit, with the number and what to do */
export function checkHarm(figures: HarmFigures, limit: number): WorstHarm {
  const worst = worstHarm(figures);
  if (worst.value <= limit) return worst;
  throw new WhorlError(
    'too-harmful',
    `nothing is published: ${worst.unit} is ${numberText(worst.value)} (${worst.language}), above --max-harm ${limit}`,
    `the same command with --max-harm ${roundedUp(worst.value)} publishes what is trained`,
  );
}

/** @throws WhorlError `usage` for what is no number from 0 */
export function checkLimit(limit: number | undefined): void {
  if (limit === undefined || limit >= 0) return; // Infinity: whatever it costs
  throw new WhorlError('usage', `--max-harm ${limit} is no limit`, 'give nats, from 0');
}

/** What the card of a published model says was measured. */
export function harmWords(figures: HarmFigures): string {
  if (figures.kind === 'untied')
    return `Its head has weights of its own, and only embedding rows of rare tokens changed: on any text without such a token
its logits are those of the model it was made from, bit for bit (KL 0 nats).`;
  const { language, value } = worstHarm(figures);
  const spread = `over ${figures.of.length} languages and kinds of text that nothing was trained on`;
  const english = figures.of.find(({ name }) => name === 'English');
  if (figures.kind === 'kl') {
    const { mean, largest } = (english as Harm | undefined) ?? { mean: Number.NaN, largest: Number.NaN };
    const own = english
      ? `English ${numberText(mean)} (largest at one position ${numberText(largest)}), `
      : '';
    return `Measured ${spread}, mean KL(vanilla ‖ published) in nats a position:
${own}most in ${language}, ${numberText(value)}.`;
  }
  const of = (one: Perplexity) => `${numberText(one.vanilla)} before, ${numberText(one.published)} after`;
  const most = figures.of.find(({ name }) => name === language);
  const own = english ? `English ${of(english as Perplexity)}; ` : '';
  return `Measured ${spread}, perplexity:
${own}the largest rise in ${language}, ${most ? of(most) : '–'} (${numberText(value)} nats a token).`;
}

const numberText = (value: number): string => String(Number(value.toPrecision(3)));

/** A limit that holds the value, of two digits. */
function roundedUp(value: number): string {
  if (!Number.isFinite(value)) return 'Infinity';
  const step = 10 ** (Math.floor(Math.log10(value)) - 1);
  return String(Number((Math.ceil(value / step) * step).toPrecision(3)));
}
