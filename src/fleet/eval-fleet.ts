// `whorl eval --models LIST`: one task a model, wherever it runs, and all results in one file.

import { join, resolve } from 'node:path';
import { writeJsonAtomic } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { silent } from '../base/events.ts';
import { SOFTWARE } from '../base/software.ts';
import { catalogue, chosen } from '../evaluate/catalogue.ts';
import { MODES } from '../evaluate/modes.ts';
import { boundToRows, type Evaluated, type RowFiles } from './eval-task.ts';
import { failureOf, readResult } from './result.ts';
import {
  type FleetOptions,
  type FleetPlan,
  plain,
  planFleet,
  refuseOpenDevice,
  runFleet,
  type WaitingFleet,
} from './run-fleet.ts';
import { byName, type FailedSuspect } from './verdict.ts';

export interface EvaluateFleetOptions extends FleetOptions, Evaluated, RowFiles {
  /** A file: a model on each line (docs/fleets.md). */
  readonly models: string;
}

/** Of one model: number of shots → its results, in lm-evaluation-harness's layout. */
interface ModelResults {
  readonly name: string;
  readonly results: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface FleetResults {
  readonly format: 'whorl-fleet-results';
  readonly version: 1;
  readonly software: typeof SOFTWARE;
  readonly models: readonly ModelResults[];
  readonly failed: readonly FailedSuspect[];
}

export interface EvaluateFleetReport {
  readonly kind: 'ended';
  readonly file: string;
  readonly results: FleetResults;
}

/** The same call again goes on. @throws WhorlError as `verifyFleet`; a model that cannot be evaluated stands in the report */
export const evaluateFleet: Plannable<EvaluateFleetOptions, EvaluateFleetReport | WaitingFleet> = plannable(
  async (options): Promise<DryRun> => planFleet(planOf(options), options),
  async (options) => {
    const { onEvent = silent } = options;
    const ended = await runFleet(planOf(options), { ...options, onEvent });
    if (ended.kind === 'waiting') return ended;
    const models: ModelResults[] = [];
    const failed: FailedSuspect[] = [];
    for (const { folder, task, listed } of ended.places) {
      if (!listed) continue;
      const report = readResult(folder, task) as Pick<ModelResults, 'results'> | undefined;
      if (report) models.push({ name: task.name, results: report.results });
      else failed.push({ name: task.name, ...failureOf(folder, task) });
    }
    const file = join(ended.folder.path, 'results.json');
    const results: FleetResults = {
      ...{ format: 'whorl-fleet-results', version: 1, software: SOFTWARE },
      models: models.toSorted(byName),
      failed: failed.toSorted(byName),
    };
    writeJsonAtomic(file, results, 0o600);
    return { kind: 'ended', file, results };
  },
);

function planOf(options: EvaluateFleetOptions): FleetPlan {
  const { models, data, taskDir, cacheDir } = options;
  const { applyChatTemplate, systemInstruction, fewshotAsMultiturn } = options;
  const {
    tasks,
    shots,
    harness = 'main',
    limit,
    device,
    precision,
    ignoreConfigKeys,
    dtype,
    batch_tokens,
  } = options;
  chosen(catalogue(taskDir, MODES[harness]), tasks); // their names, before anything is read
  refuseOpenDevice(device);
  const files = { data: resolve(data), ...(taskDir !== undefined && { taskDir: resolve(taskDir) }) };
  return {
    list: models,
    what: 'models',
    common: {
      command: 'eval',
      bound: boundToRows({ data, ...(taskDir !== undefined && { taskDir }) }),
      options: plain({
        ...{ tasks, shots, harness, limit, device, precision },
        ...{ applyChatTemplate, systemInstruction, fewshotAsMultiturn },
        ...{ ignoreConfigKeys, dtype, batch_tokens },
      }),
    },
    settings: plain({ cacheDir }),
    files,
    check({ who }, where) {
      if (who.kind === 'endpoint')
        throw new WhorlError(
          'bad-file',
          `${where} names a server, and tasks are scored on weights`,
          'name a folder, a GGUF or a hub id',
        );
    },
  };
}
