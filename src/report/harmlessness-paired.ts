// The harmlessness report's rows, where `whorl eval` kept each row's answer before and after: paired tests of every model.

import { WhorlError } from '../base/error.ts';
import { isThere } from '../base/system-errors.ts';
import type { HarmlessnessReport } from './harmlessness.ts';
import { type PairedOptions, type PairedReport, pairedReport } from './paired.ts';

interface PairedModel extends PairedReport {
  readonly model: string;
  readonly run: string;
}

export interface PairedHarmlessness {
  readonly paired: readonly PairedModel[];
  /** Models whose rows are there and cannot be paired, and why. */
  readonly notes: readonly string[];
}

/** Rows lie beside the results, in `{results}.samples`. Holm's adjustment is over the tasks and shots of a model. */
export async function pairedHarmlessness(
  { models }: HarmlessnessReport,
  options: PairedOptions,
): Promise<PairedHarmlessness> {
  const paired: PairedModel[] = [];
  const notes: string[] = [];
  for (const { model, run, vanilla } of models) {
    const [before, after] = [vanilla, run].map((path) => `${path}.samples`) as [string, string];
    if (!isThere(before) || !isThere(after)) continue;
    try {
      paired.push({ model, run, ...(await pairedReport(before, after, options)) });
    } catch (cause) {
      if (!(cause instanceof WhorlError) || cause.code !== 'mismatch') throw cause;
      notes.push(`Rows of ${model} are not paired: ${cause.message}.`);
    }
  }
  return { paired, notes };
}
