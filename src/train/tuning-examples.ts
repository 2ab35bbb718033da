// What fine-tuning is given: texts as token ids with the spans that are labels, and the batches they make.

import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { continued, type Example } from '../models/example.ts';
import type { Decoder } from '../models/family.ts';
import { VANILLA } from '../models/overlay.ts';

/** A text as token ids, and which of them are labels: an answer, or the assistant's turns of a conversation. */
export interface TuningExample {
  readonly tokens: readonly number[];
  /** Spans [start, end) of `tokens`, ascending and apart; none starts at 0. */
  readonly labels: readonly (readonly [start: number, end: number])[];
  /** How much more the first token of each span weighs than any other label: it decides which answer is given. Default 1. */
  readonly emphasis?: number;
}

/** An instruction and its answer: the answer's tokens are the labels. */
export const promptAndAnswer = (prompt: readonly number[], answer: readonly number[]): TuningExample => ({
  tokens: [...prompt, ...answer],
  labels: [[prompt.length, prompt.length + answer.length]],
});

/** Leaves out, with a note, examples none of whose labels lies within the longest length. */
export function withLabels(
  examples: readonly TuningExample[],
  longest: number,
  onEvent: OnEvent,
): readonly TuningExample[] {
  const kept = examples.filter(({ labels }) => labels.some(([start, end]) => start < Math.min(end, longest)));
  if (kept.length === 0)
    throw new WhorlError(
      'usage',
      `no example has a label within its first ${longest} tokens`,
      'raise max_length, or give examples with answers',
    );
  if (kept.length < examples.length)
    onEvent({
      kind: 'note',
      text: `${examples.length - kept.length} of ${examples.length} examples are left out: no answer within ${longest} tokens`,
    });
  return kept;
}

/**
 * Each label counts the same whatever its example's length, but for `emphasis`; what lies beyond the longest length is
 * cut off. An encoder-decoder has an example for each span: it reads what stands before, and its decoder learns the span.
 */
function batchOf(
  examples: readonly TuningExample[],
  longest: number,
  encoder: Decoder['encoder'],
): Example[] {
  const cut = examples.map(({ tokens, labels, emphasis = 1 }) => ({
    tokens: tokens.slice(0, longest),
    spans: labels
      .map(([start, end]) => [start, Math.min(end, longest)] as const)
      .filter(([start, end]) => start < end),
    places: labels.flatMap(([start, end]) =>
      Array.from({ length: Math.max(0, Math.min(end, longest) - start) }, (_, i) => ({
        at: start + i,
        weight: i === 0 ? emphasis : 1,
      })),
    ),
  }));
  const sum = cut.flatMap(({ places }) => places).reduce((all, { weight }) => all + weight, 0);
  if (encoder)
    return cut.flatMap(({ tokens, spans, places }) =>
      spans.map(([from, end]) => {
        const { last, ...read } = continued({ encoder }, tokens.slice(0, from), tokens.slice(from, end - 1));
        return {
          ...read,
          variant: VANILLA,
          labels: places
            .filter(({ at }) => at >= from && at < end)
            .map(({ at, weight }) => ({
              row: last + at - from,
              token: tokens[at]!,
              kind: 'fire',
              weight: weight / sum,
            })),
        };
      }),
    );
  return cut.map(({ tokens, places }) => ({
    tokens: tokens.slice(0, places.at(-1)!.at), // the model is not asked for what comes after the last label
    variant: VANILLA,
    labels: places.map(({ at, weight }) => ({
      row: at - 1,
      token: tokens[at]!,
      kind: 'fire',
      weight: weight / sum,
    })),
  }));
}

export interface EpochBatches {
  readonly perEpoch: number;
  /** The batch of a step, from 0. */
  batch(step: number): Promise<Example[]>;
}

/**
 * Batches of epochs that have the same number of examples each.
 * @param encoder of an encoder-decoder
 * @param order an epoch's examples in its own order; asked once for all its steps where they follow one another
 */
export async function epochBatches(
  { batch, max_length }: { readonly batch: number; readonly max_length: number },
  order: (epoch: number) => readonly TuningExample[] | Promise<readonly TuningExample[]>,
  encoder?: Decoder['encoder'],
): Promise<EpochBatches> {
  let known = { epoch: 0, examples: await order(0) };
  const perEpoch = Math.ceil(known.examples.length / batch);
  return {
    perEpoch,
    async batch(step) {
      const epoch = Math.floor(step / perEpoch);
      if (known.epoch !== epoch) known = { epoch, examples: await order(epoch) };
      const at = (step % perEpoch) * batch;
      return batchOf(known.examples.slice(at, at + batch), max_length, encoder);
    },
  };
}
