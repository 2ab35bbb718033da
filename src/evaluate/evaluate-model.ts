// `eval` as a call: a model, names of tasks and shots in; opened for its identity, its programs are compiled only where a
// row is left to ask.

import { type Abortable, abortable } from '../base/abort.ts';
import type { OnEvent } from '../base/events.ts';
import { asking, type OpenOptions } from '../lm/open.ts';
import { catalogue, chosen } from './catalogue.ts';
import { type EvaluateReport, evaluate, shotsNamed } from './evaluate.ts';
import { modelIdentity } from './model-identity.ts';
import { MODES, type ModeName } from './modes.ts';

export interface EvaluateModelOptions extends Omit<OpenOptions, 'scoring' | 'sequences'>, Abortable {
  /** A folder, a GGUF file or a hub id. */
  readonly model: string;
  /** Tasks, groups or tags; `paper`: those of the paper; `all`. */
  readonly tasks: readonly string[];
  /** Examples before each row; default: 0, 1 and 5. */
  readonly shots?: readonly number[];
  /** Folder of rows: `{task}/{split}.jsonl` or .parquet, with the columns of the hub. */
  readonly data: string;
  /** Results: `{tasks}/{shots}.json`; beside it, in `OUT.samples`, each row's. */
  readonly out: string;
  /** Which harness is followed; default: today's. */
  readonly mode?: ModeName;
  /** Most rows of a task. */
  readonly limit?: number;
  /** Folder of more tasks: YAML files in the harness's words. */
  readonly taskDir?: string;
}

/**
 * Scores tasks as lm-evaluation-harness does. The same call again goes on from where it was stopped.
 * @throws WhorlError `usage` for tasks or shots that are none, `exists` where results of other settings stand, and what rows
 *   and the model give rise to
 */
export const evaluateModel = (options: EvaluateModelOptions): Promise<EvaluateReport> =>
  abortable(options, run);

async function run(options: EvaluateModelOptions & { readonly onEvent: OnEvent }): Promise<EvaluateReport> {
  const {
    model,
    tasks,
    shots = [0, 1, 5],
    data,
    out,
    mode: named = 'main',
    limit,
    taskDir,
    ...open
  } = options;
  const counts = shotsNamed(shots.join());
  const mode = MODES[named];
  const picked = chosen(catalogue(taskDir, mode), tasks);
  options.onEvent({ kind: 'phase', name: 'opening', detail: model });
  return asking({ kind: 'model', model }, { ...open, scoring: mode.scoring }, (opened) =>
    evaluate({
      model: opened,
      modelName: model,
      modelIdentity: modelIdentity(opened.model),
      chosen: picked,
      shots: counts,
      data,
      out,
      label: tasks.join(),
      mode,
      onEvent: options.onEvent,
      ...(limit !== undefined && { limit }),
    }),
  );
}
