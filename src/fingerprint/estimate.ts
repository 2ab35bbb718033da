// What a run of a method will cost on this machine, by estimate: for `doctor`, and for a run that is only planned.

import type { CostEstimate } from '../base/dry-run.ts';
import { totalMemory } from '../base/memory.ts';
import { memoryEstimate, type RunShape, trainingCost, trainingSeconds } from '../models/cost.ts';
import type { Model } from '../models/model.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';

/** Runs as first experiments on SmolLM2 took them (LOG.md); a larger model takes the same steps, each dearer. */
const RUNS: Readonly<Record<string, RunShape>> = {
  rows: { tokensPerStep: 850, steps: 60, rows: 256, labelsPerStep: 64 },
  adapter: { tokensPerStep: 460, steps: 40, rows: 128, labelsPerStep: 120 },
};

export const ESTIMATED = Object.keys(RUNS);

/** @param rate of `measureRate`, in FLOP a second. @returns null for a method of which none is known */
export function runEstimate({ decoder, tensors }: Model, method: string, rate: number): CostEstimate | null {
  if (!Object.hasOwn(RUNS, method)) return null;
  const run = RUNS[method]!;
  const work = trainingCost(decoder, run);
  const dtype = floatDtype(tensors.get(decoder.embedding)!);
  const { total } = memoryEstimate(decoder, { ...run, dtype });
  return {
    tokens: work.tokens,
    seconds: trainingSeconds(work, rate),
    memory: total,
    fits: total < totalMemory(),
  };
}
