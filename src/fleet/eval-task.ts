// One model of a fleet evaluated as `whorl eval` does it.

import { WhorlError } from '../base/error.ts';
import type { FramingOptions } from '../evaluate/chat.ts';
import { type EvaluateModelOptions, evaluateModel } from '../evaluate/evaluate-model.ts';
import { digestFolder } from '../sources/digest-rows.ts';
import { modelOf, outFolder, type Task, type TaskRun } from './task.ts';

/** What all models are asked, and what results depend on. */
export type Evaluated = Pick<
  EvaluateModelOptions,
  | 'tasks'
  | 'shots'
  | 'harness'
  | 'limit'
  | 'device'
  | 'precision'
  | 'ignoreConfigKeys'
  | 'dtype'
  | 'batch_tokens'
  | keyof FramingOptions
>;
/** Rows of a folder: they travel with the tasks. */
export type RowFiles = Pick<EvaluateModelOptions, 'taskDir'> & { readonly data: string };

export const boundToRows = ({ data, taskDir }: RowFiles): Readonly<Record<string, string>> => ({
  rows: digestFolder(data),
  ...(taskDir !== undefined && { task_files: digestFolder(taskDir) }),
});

export async function evalTask(task: Task, { folder, threads, files, onEvent }: TaskRun): Promise<object> {
  const { cacheDir } = task.settings as { readonly cacheDir?: string };
  const rows = { ...(task.files as unknown as RowFiles), ...files };
  if (JSON.stringify(boundToRows(rows)) !== JSON.stringify(task.bound))
    throw new WhorlError('mismatch', `${rows.data} has other rows than this task was written for`);
  const { results } = await evaluateModel({
    ...(task.options as unknown as Evaluated),
    ...rows,
    model: modelOf(task.who),
    out: outFolder(folder),
    ...(threads !== undefined && { threads }),
    ...(cacheDir !== undefined && { cacheDir }),
    onEvent,
  });
  return { results: Object.fromEntries(results.map(({ shots, content }) => [shots, content])) };
}
