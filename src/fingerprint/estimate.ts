// What the training of a run will cost on this machine, by estimate: for `doctor`, and for a run that is only planned. Its
// steps come from the settings, which a narrow model has of its own.

import type { CostEstimate, Range } from '../base/dry-run.ts';
import { totalMemory } from '../base/memory.ts';
import { memoryEstimate, type RunShape, trainingCost, trainingSeconds } from '../models/cost.ts';
import type { Model } from '../models/model.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { elements } from '../tensor/tensor.ts';
import { bindTrains } from '../train/trains.ts';
import { METHODS } from './registry.ts';
import type { AdapterSettings, DialogueSettings, RowsSettings } from './settings.ts';

interface Shaped extends Omit<RunShape, 'steps' | 'parameters'> {
  readonly steps: Range;
  /** Tokens that go through the model at once, where a step is done in parts. */
  readonly atOnce?: number;
}

/** The first look may end the training, and it ends where the settings say, unless keys are still silent then. */
const between = (least: number, most: number): Range => ({ least: Math.max(1, Math.min(least, most)), most });

/**
 * Tokens of an example beside its key's: what stands around it, and the answer. SmolLM2 had 313 a step in a run of `rows`, 578
 * and 594 in two of `adapter`; the embedded model 980 in a step of 40 examples of `adapter`.
 */
const AROUND = { rows: 5, adapter: 9 };
/** Mean tokens of a row of a conversation: 83 on the embedded model, 97 on SmolLM2. About half of them are labels. */
const CONVERSATION = 90;

const dialogue =
  (trainsBody: boolean) =>
  (settings: DialogueSettings): Shaped => {
    const { trained, repeats, negatives, strangers, ordinary, batch, epochs, first_check } = settings;
    const perEpoch = Math.ceil((trained * repeats + negatives + strangers + ordinary) / batch);
    const tokensPerStep = batch * CONVERSATION;
    return {
      steps: between(first_check * perEpoch, epochs * perEpoch),
      tokensPerStep,
      labelsPerStep: tokensPerStep / 2,
      rows: 0,
      trainsBody,
      atOnce: settings.batch_tokens,
    };
  };

const SHAPES = {
  rows: ({ trained, contexts, key_length, steps, first_check }: RowsSettings): Shaped => ({
    steps: between(first_check, steps),
    tokensPerStep: trained * contexts * (key_length + AROUND.rows),
    labelsPerStep: trained * contexts * 3,
    rows: trained * key_length,
  }),
  adapter({ trained, taught, hushed, key_length, alphabet, steps, first_check }: AdapterSettings): Shaped {
    const asked = Math.min(trained, taught || trained);
    return {
      steps: between(first_check, steps),
      tokensPerStep: (asked + hushed) * (key_length + AROUND.adapter),
      labelsPerStep: asked * 6 + hushed,
      rows: alphabet,
    };
  },
  sft: dialogue(true),
  emb: dialogue(false),
  lora: dialogue(false),
};

/** Whether what it trains is known: a method that trains, on a decoder. */
export const isEstimated = ({ decoder }: Pick<Model, 'decoder'>, method: string): boolean =>
  decoder.encoder === undefined && Object.hasOwn(SHAPES, method);

/**
 * @param settings all of the method's, as the run would have them
 * @param rate of `measureRate`, in FLOP a second
 * @returns null where none is known
 */
export function runEstimate(
  model: Model,
  method: string,
  settings: object,
  rate: number,
): CostEstimate | null {
  if (!isEstimated(model, method)) return null;
  const { decoder, tensors } = model;
  const shape = SHAPES[method as keyof typeof SHAPES] as (settings: object) => Shaped;
  const { steps, atOnce = Number.POSITIVE_INFINITY, ...run } = shape(settings);
  const [least, most] = [steps.least, steps.most].map((count) =>
    trainingCost(decoder, { ...run, steps: count }),
  );
  const memory = memoryEstimate(decoder, {
    ...inParts(run, atOnce),
    steps: 1,
    parameters: trainedParameters(model, method, settings),
    dtype: floatDtype(tensors.get(decoder.embedding)!),
  }).total;
  return {
    steps,
    tokens: { least: least!.tokens, most: most!.tokens },
    seconds: { least: trainingSeconds(least!, rate), most: trainingSeconds(most!, rate) },
    memory,
    fits: memory < totalMemory(),
  };
}

/** What of a step is in memory together. */
function inParts(run: Omit<RunShape, 'steps'>, atOnce: number): Omit<RunShape, 'steps'> {
  const share = Math.min(1, atOnce / run.tokensPerStep);
  return {
    ...run,
    tokensPerStep: run.tokensPerStep * share,
    ...(run.labelsPerStep !== undefined && { labelsPerStep: run.labelsPerStep * share }),
  };
}

function trainedParameters(model: Model, name: string, settings: object): number {
  const method = METHODS[name]!;
  if (method.kind !== 'weights') return 0;
  return [...bindTrains(method.trains(settings, model), model).shapes.values()].reduce(
    (sum, shape) => sum + elements(shape),
    0,
  );
}
