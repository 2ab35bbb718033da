// Two models on the same rows: evaluated one after the other into before/ and after/ of a folder, then paired; or planned.

import { join } from 'node:path';
import type { DryRun } from '../base/dry-run.ts';
import type { EvaluateModelOptions } from '../evaluate/evaluate-model.ts';
import type { Model } from '../models/model.ts';
import type { PairedReport } from '../report/paired.ts';

/** What both are asked. */
type Asked = Omit<EvaluateModelOptions, 'model' | 'out'>;

interface Both {
  readonly model: string;
  readonly other: string;
  readonly folder: string;
  /** The two, where they are open already. */
  readonly opened?: { readonly model: Model; readonly with: Model };
}

const places = ({ model, other, folder, opened }: Both) =>
  [
    { model, out: join(folder, 'before'), ...(opened && { opened: opened.model }) },
    { model: other, out: join(folder, 'after'), ...(opened && { opened: opened.with }) },
  ] as const;

/** The same call again goes on where it was stopped. */
export async function evaluateBoth(asked: Asked, both: Both, margin: number): Promise<PairedReport> {
  const { evaluateModel } = await import('../evaluate/evaluate-model.ts');
  const [before, after] = places(both);
  await evaluateModel({ ...asked, ...before });
  await evaluateModel({ ...asked, ...after });
  const { pairedReport } = await import('../report/paired.ts');
  return pairedReport(`${before.out}.samples`, `${after.out}.samples`, { margin });
}

export async function planBoth(asked: Asked, both: Both): Promise<DryRun> {
  const { evaluateModel } = await import('../evaluate/evaluate-model.ts');
  const [before, after] = places(both);
  const a = await evaluateModel({ ...asked, ...before, dryRun: true });
  const b = await evaluateModel({ ...asked, ...after, dryRun: true });
  return {
    ...a,
    models: [...a.models, ...b.models.map((model) => ({ ...model, role: 'compared' }))],
    writes: [...a.writes, ...b.writes],
    notes: [...a.notes, ...b.notes.map((note) => `compared: ${note}`)],
  };
}
