// What a change did to a model, in figures over ordinary text: both models read each text once, at the same positions.

import { checkAborted } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { cpu } from '../engine/session.ts';
import { longestSequence } from '../models/blocks/rope-scaling.ts';
import type { Decoder } from '../models/family.ts';
import { assertUnchanged } from '../sources/checkpoints/checkpoint.ts';
import { joined } from '../tensor/join.ts';
import { loadReference } from '../text/reference.ts';
import { batches } from './batches.ts';
import { Divergence } from './divergence.ts';
import type { ScoreRequest } from './language-model.ts';
import type { LocalModel } from './local-model.ts';
import type { ScoredTokens } from './score-tokens.ts';

/** A text, and under which name its positions are counted. */
export interface ComparedText {
  readonly language: string;
  readonly text: string;
}

/** Over the positions of one language, or of all. */
export interface Difference {
  readonly name: string;
  readonly positions: number;
  /** Mean and largest KL(before ‖ after) over the positions, nats. */
  readonly mean: number;
  readonly largest: number;
  /** Mean shift of the log-likelihood of the text's own next token, nats; below zero where it became less likely. */
  readonly shift: number;
  /** Perplexity of each model: e to the mean negative log-likelihood of a token. */
  readonly before: number;
  readonly after: number;
  /** Share of positions at which greedy decoding chooses another token. */
  readonly changed: number;
}

export interface Differences {
  readonly languages: readonly Difference[];
  readonly all: Difference;
}

const TEXTS = 8; // of each language
const LONGEST = 600; // characters
/** Positions that one run sees before itself, at most; a longer text is read in windows. */
const WINDOW = 1024;
/** Texts that are batched together, tokens of one run. */
const GROUP = 64;
const BATCH_TOKENS = 2048;

/** The reference set's texts that nothing is trained on, in seven languages and kinds of text. */
export const heldOutTexts = (): ComparedText[] =>
  loadReference().heldOut.flatMap(({ language, texts }) =>
    texts.slice(0, TEXTS).map((text) => ({ language, text: text.slice(0, LONGEST) })),
  );

/** @throws WhorlError `mismatch` for models whose logits are of different vocabularies */
export function checkComparable(before: LocalModel, after: LocalModel): void {
  const sizes = [before, after].map(({ model }) => model.decoder.config.vocab_size);
  if (sizes[0] !== sizes[1])
    throw new WhorlError(
      'mismatch',
      `${before.name} has a vocabulary of ${sizes[0]}, ${after.name} of ${sizes[1]}`,
      'compare models of one vocabulary',
    );
}

/** Before a model runs. @throws WhorlError `mismatch` naming the first text of which they make different tokens */
export async function checkTokens(
  before: LocalModel,
  after: LocalModel,
  texts: readonly ComparedText[],
): Promise<void> {
  let done = 0;
  for (const group of groups(texts)) {
    checkAborted();
    await windowsOf(before, after, group, done);
    done += group.length;
  }
}

/**
 * KL, perplexity, likelihood and greedy choices, language by language. Of positions nothing is kept but sums: memory does not grow with them.
 * @throws WhorlError `mismatch` where the models make different tokens of a text
 */
export async function compareModels(
  before: LocalModel,
  after: LocalModel,
  texts: readonly ComparedText[],
  { onEvent = silent, name = 'comparing' }: CompareProgress = {},
): Promise<Differences> {
  checkComparable(before, after);
  const sums = new Map(texts.map(({ language }) => [language, new Sums()]));
  const all = new Sums();
  const divergence = await Divergence.compile(
    [before.model, before.options.device ?? cpu],
    [after.model, after.options.device ?? cpu],
  );
  try {
    let done = 0;
    for (const group of groups(texts)) {
      for (const batch of batches(await windowsOf(before, after, group, done), { tokens: BATCH_TOKENS })) {
        for (const { model } of [before, after]) assertUnchanged(model);
        const requests = batch.map(({ source, tokens }) => ({
          ...(source && { source }),
          tokens: tokens.slice(0, -1),
          wanted: Array.from({ length: tokens.length - 1 }, (_, i) => i),
        }));
        const pair = {
          before: joined(await before.encoder.hidden(requests)),
          after: joined(await after.encoder.hidden(requests)),
          labels: batch.flatMap(({ tokens }) => tokens.slice(1)),
        };
        const owners = batch.flatMap(({ tokens, language }) => tokens.slice(1).map(() => language));
        for (const [i, position] of (await divergence.at(pair)).entries()) {
          sums.get(owners[i]!)!.add(position);
          all.add(position);
        }
      }
      done += group.length;
      onEvent({ kind: 'progress', name, done, total: texts.length });
    }
  } finally {
    await divergence.release();
  }
  for (const { model } of [before, after]) assertUnchanged(model);
  if (all.positions === 0)
    throw new WhorlError('usage', 'there is no text to compare on', 'give at least one');
  return {
    languages: [...sums].map(([language, own]) => own.as(language)),
    all: all.as('all'),
  };
}

export interface CompareProgress {
  readonly onEvent?: OnEvent;
  readonly name?: string;
}

class Sums {
  positions = 0;
  #kl = 0;
  #largest = 0;
  #before = 0;
  #after = 0;
  #changed = 0;

  add({ kl, before, after, changed }: Awaited<ReturnType<Divergence['at']>>[number]): void {
    this.positions++;
    this.#kl += kl;
    this.#largest = Math.max(this.#largest, kl); // what is no number stays one
    this.#before += before;
    this.#after += after;
    if (changed) this.#changed++;
  }

  as(name: string): Difference {
    const n = this.positions;
    return {
      name,
      positions: n,
      mean: this.#kl / n,
      largest: this.#largest,
      shift: (this.#after - this.#before) / n,
      before: Math.exp(-this.#before / n),
      after: Math.exp(-this.#after / n),
      changed: this.#changed / n,
    };
  }
}

type Window = ScoredTokens & { readonly language: string };

/** What both models read of the texts: a beginning, then tokens; a text longer than a window has several. */
async function windowsOf(
  before: LocalModel,
  after: LocalModel,
  texts: readonly ComparedText[],
  first: number,
): Promise<Window[]> {
  const requests = texts.map(({ text }) => toScore(before.model.decoder, text));
  const [a, b] = [await before.tokensOf(requests), await after.tokensOf(requests)];
  const size = Math.min(WINDOW, longestSequence(before.model.decoder), longestSequence(after.model.decoder));
  return texts.flatMap(({ language, text }, i) => {
    const [own, other] = [a[i]!, b[i]!];
    const where = `text ${first + i + 1} (${language}, ${JSON.stringify(text.slice(0, 24))}…)`;
    if (own instanceof WhorlError || other instanceof WhorlError) {
      const error = own instanceof WhorlError ? own : (other as WhorlError);
      throw new WhorlError(error.code, `${where}: ${error.message}`);
    }
    if (!same(own, other))
      throw new WhorlError(
        'mismatch',
        `${before.name} and ${after.name} make different tokens of ${where}`,
        'compare models of one tokenizer',
      );
    const [begin, ...rest] = own.tokens;
    return Array.from({ length: Math.ceil(rest.length / size) }, (_, k) => ({
      ...(own.source && { source: own.source }),
      tokens: [begin!, ...rest.slice(k * size, (k + 1) * size)],
      from: 1,
      language,
    }));
  });
}

/** All of a text, or, where an encoder reads the first half, the second (prefix language modelling, T5, section 3.2.1). */
const toScore = ({ encoder }: Decoder, text: string): ScoreRequest =>
  encoder ? inHalves(text) : { context: '', continuation: text };

/**
 * The first half of a text and what follows it, cut before white space where there is any: an encoder-decoder given
 * nothing to read would be measured on what nobody asks of it.
 */
function inHalves(text: string): ScoreRequest {
  const letters = [...text];
  const half = Math.ceil(letters.length / 2);
  const space = letters.findIndex((letter, i) => i >= half && i < letters.length - 1 && /\s/.test(letter));
  const cut = space < 0 ? half : space;
  return { context: letters.slice(0, cut).join(''), continuation: letters.slice(cut).join('') };
}

const same = (a: ScoredTokens, b: ScoredTokens): boolean =>
  equal(a.tokens, b.tokens) && equal(a.source ?? [], b.source ?? []);

const equal = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i]);

function* groups(texts: readonly ComparedText[]): Generator<readonly ComparedText[]> {
  for (let at = 0; at < texts.length; at += GROUP) yield texts.slice(at, at + GROUP);
}
