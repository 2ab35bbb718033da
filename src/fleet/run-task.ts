// `whorl task FOLDER`: does one task, wherever a launcher started it. A task that has its result is not done again.

import { join } from 'node:path';
import type { Abortable } from '../base/abort.ts';
import { type DryRun, type Plannable, plannable, planOf } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { SOFTWARE } from '../base/software.ts';
import { systemError } from '../base/system-errors.ts';
import type { Unlock } from '../claim/secret-file.ts';
import { digestModel } from './digests.ts';
import { evalTask } from './eval-task.ts';
import { takeLock } from './lock.ts';
import { readResult, writeFailure, writeResult } from './result.ts';
import { type Command, readTask, resultFile, type Task, type TaskRun } from './task.ts';
import { verifyTask } from './verify-task.ts';

export interface RunTaskOptions extends Abortable {
  /** Of the task: DIR/tasks/ID. */
  readonly folder: string;
  /** Where this machine has the model, and files that the task names; default: where the task says. */
  readonly model?: string;
  readonly files?: Readonly<Record<string, string>>;
  /** What opens the secret. */
  readonly unlock?: Unlock;
  /** Threads of one operation. */
  readonly threads?: number;
  readonly onEvent?: OnEvent;
}

export interface TaskReport {
  readonly id: string;
  readonly name: string;
  /** Whether its result was there already. */
  readonly before: boolean;
}

const RUNS: Readonly<Record<Command, (task: Task, run: TaskRun) => Promise<object>>> = {
  verify: verifyTask,
  eval: evalTask,
};

/**
 * Why a task has no result is also written into its folder.
 * @throws WhorlError `changed` for a suspect that is not the one of the task, `mismatch` for another claim, version or rows,
 *   `not-writable` where another process does it, and what verifying or evaluating throws
 */
export const runTask: Plannable<RunTaskOptions, TaskReport> = plannable(
  async ({ folder, model }): Promise<DryRun> => {
    const written = readTask(folder);
    const { name, command } = written;
    const said = { settings: { task: name, does: command } };
    if (readResult(folder, written))
      return planOf('task', { ...said, notes: ['it has its result already: nothing would be done'] });
    checked(written, model);
    return planOf('task', {
      ...said,
      writes: [{ path: resultFile(folder), what: 'its result, or beside it why there is none' }],
    });
  },
  async ({ signal: _, model, onEvent = silent, ...more }) => {
    const run = { ...more, onEvent };
    const { folder } = run;
    const written = readTask(folder);
    const { id, name, command } = written;
    if (readResult(folder, written)) return { id, name, before: true };
    const release = takeLock(join(folder, 'lock'), 'take-over');
    try {
      if (readResult(folder, written)) return { id, name, before: true };
      const task = checked(written, model);
      writeResult(folder, written, await RUNS[command](task, run));
      return { id, name, before: false };
    } catch (cause) {
      const error = systemError(cause) ?? cause;
      // One that was ended is only not done yet.
      if (error instanceof WhorlError && error.code !== 'aborted') writeFailure(folder, written, error);
      throw cause;
    } finally {
      release();
    }
  },
);

/** With the model where this machine has it; it and Whorl are those that the task was written for. */
function checked(written: Task, model: string | undefined): Task {
  const task = model === undefined ? written : { ...written, who: { kind: 'files', path: model } as const };
  checkSoftware(task);
  checkModel(task);
  return task;
}

function checkSoftware({ software }: Task): void {
  if (software.version !== SOFTWARE.version)
    throw new WhorlError(
      'mismatch',
      `the task was written by ${software.name} ${software.version}, this is ${SOFTWARE.version}`,
      'install the same version here',
    );
}

function checkModel({ who, sha256, name }: Task): void {
  if (who.kind !== 'files' || sha256 === null) return;
  if (digestModel(who.path) !== sha256)
    throw new WhorlError(
      'changed',
      `${name}: ${who.path} is not the model that the task was written for`,
      'repeat the command that wrote it',
    );
}
