// `eval` as a call: a model, names of tasks and shots in; opened for its identity, its programs are compiled only where a
// row is left to ask. Or only planned.

import type { Abortable } from '../base/abort.ts';
import { type DryRun, type Plannable, plannable } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { silent } from '../base/events.ts';
import type { LocalModel } from '../lm/local-model.ts';
import { asking, type OpenOptions } from '../lm/open.ts';
import type { Model } from '../models/model.ts';
import { catalogue, chosen } from './catalogue.ts';
import { type FramingOptions, framingOf } from './chat.ts';
import { type EvaluateOptions, type EvaluateReport, evaluate, shotsNamed } from './evaluate.ts';
import { rowsAt } from './hub-rows.ts';
import { modelIdentity } from './model-identity.ts';
import { MODES, type ModeName } from './modes.ts';
import { planEvaluation } from './plan.ts';
import type { RowPlace } from './rows.ts';

export interface EvaluateModelOptions
  extends Omit<OpenOptions, 'scoring' | 'sequences'>,
    FramingOptions,
    Abortable {
  /** A folder, a GGUF file or a hub id. */
  readonly model: string;
  /** The same, where it is open already. */
  readonly opened?: Model;
  /** Tasks, groups or tags; `paper`: those of the paper; `all`. */
  readonly tasks: readonly string[];
  /** Examples before each row; default: 0, 1 and 5. */
  readonly shots?: readonly number[];
  /** Folder of rows: `{task}/{split}.jsonl` or .parquet, with the columns of the hub. Default: the hub's own files. */
  readonly data?: string | RowPlace;
  /** Results: `{tasks}/{shots}.json`; beside it, in `OUT.samples`, each row's. */
  readonly out: string;
  /** Which harness is followed; default: today's. */
  readonly harness?: ModeName;
  /** Most rows of a task. */
  readonly limit?: number;
  /** Folder of more tasks: YAML files in the harness's words. */
  readonly taskDir?: string;
}

/**
 * Scores tasks as lm-evaluation-harness does. The same call again goes on from where it was stopped. With `dryRun`
 * nothing is written.
 * @throws WhorlError `usage` for tasks or shots that are none, `exists` where results of other settings stand, and what rows
 *   and the model give rise to
 */
export const evaluateModel: Plannable<EvaluateModelOptions, EvaluateReport> = plannable(
  (options) => openedFor<DryRun>(options, (evaluation, { model }) => planEvaluation(evaluation, model)),
  (options) => openedFor(options, evaluate),
);

/** Refuses what needs no model, and opens it for as long as the call takes. */
export async function openedFor<T>(
  options: EvaluateModelOptions,
  call: (evaluation: EvaluateOptions, model: LocalModel) => Promise<T>,
): Promise<T> {
  const {
    model,
    opened: already,
    tasks,
    shots = [0, 1, 5],
    data,
    out,
    harness = 'main',
    limit,
    taskDir,
    applyChatTemplate,
    systemInstruction,
    fewshotAsMultiturn,
    onEvent = silent,
    ...open
  } = options;
  const counts = shotsNamed(shots.join());
  const mode = MODES[harness];
  const picked = chosen(catalogue(taskDir, mode), tasks);
  const chat: FramingOptions = {
    ...(applyChatTemplate !== undefined && { applyChatTemplate }),
    ...(systemInstruction !== undefined && { systemInstruction }),
    ...(fewshotAsMultiturn !== undefined && { fewshotAsMultiturn }),
  };
  if (mode !== MODES.main && Object.keys(chat).length > 0)
    throw new WhorlError('usage', `the harness ${mode.name} had no chat templates`, 'leave out --harness');
  const place = await rowsAt(data, picked.tasks, counts, { onEvent });
  if (!already) onEvent({ kind: 'phase', name: 'opening', detail: model });
  return asking(
    { kind: 'model', model: already ?? model },
    { ...open, onEvent, scoring: mode.scoring },
    (asked) => {
      const { precision, tokenizer } = asked;
      const bos = tokenizer.specialTokens.bos_token;
      return call(
        {
          framing: framingOf(chat, tokenizer, model),
          ...(bos !== undefined && { bos }),
          model: asked,
          modelName: model,
          modelIdentity: modelIdentity(asked.model, precision),
          ...(precision && { precision }),
          chosen: picked,
          shots: counts,
          data: place,
          out,
          label: tasks.join(),
          mode,
          onEvent,
          ...(limit !== undefined && { limit }),
        },
        asked,
      );
    },
  );
}
