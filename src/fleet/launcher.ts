// Who runs tasks, as a value; and how all tasks come to an end, whoever that is. A run that ends without a word (killed, out of memory)
// is begun again; one that said why it failed is not.

import { checkAborted } from '../base/abort.ts';
import type { OnEvent } from '../base/events.ts';
import type { TaskPlace } from './folder.ts';
import { died, type Failure, readFailure, readResult, writeFailure } from './result.ts';

export interface Launcher {
  /** Most tasks under way at a time. */
  readonly jobs: number;
  /** @throws WhorlError where nothing can be launched at all; before the first task */
  check(): Promise<void>;
  /** Runs a task until it ends, however it does. @returns how, for people */
  run(place: TaskPlace): Promise<string>;
  /** Ends what is under way and cannot go on without this process. */
  close(): Promise<void>;
}

/** Runs of one task that end without a word before it counts as failed. */
const TRIES = 3;

export interface Ended {
  readonly done: number;
  readonly failed: number;
}

/** @throws WhorlError `changed`, `mismatch` for what lies in a task's folder, `aborted`, and what the launcher cannot do */
export async function runAll(
  places: readonly TaskPlace[],
  launcher: Launcher,
  what: string,
  onEvent: OnEvent,
): Promise<Ended> {
  const open = places.filter(({ folder, task }) => !readResult(folder, task));
  const ended = { done: places.length - open.length, failed: 0 };
  const told = (note: string): void =>
    onEvent({
      ...{ kind: 'progress', name: what, note },
      ...{ done: ended.done + ended.failed, total: places.length },
    });
  if (open.length === 0) return ended;
  await launcher.check();
  onEvent({ kind: 'phase', name: what, detail: `${open.length} of ${places.length} are left` });
  const queue = open.values();
  const worker = async (): Promise<void> => {
    // Each takes the next one: the iterator is shared.
    for (const place of queue) {
      checkAborted();
      const failure = await toItsEnd(place, launcher);
      if (failure) {
        ended.failed++;
        onEvent({ kind: 'note', text: `${place.task.name}: ${failure.message}` });
      } else ended.done++;
      told(place.task.name);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(launcher.jobs, open.length) }, worker));
  } finally {
    await launcher.close();
  }
  return ended;
}

/** @returns why it has no result */
async function toItsEnd({ folder, task }: TaskPlace, launcher: Launcher): Promise<Failure | undefined> {
  let words = '';
  for (let tries = 0; tries < TRIES; tries++) {
    words = await launcher.run({ folder, task });
    checkAborted();
    if (readResult(folder, task)) return undefined;
    const failure = readFailure(folder, task);
    if (failure) return failure;
  }
  const failure = died(`${TRIES} runs ended without a word: the last one ${words}`);
  writeFailure(folder, task, failure);
  return failure;
}
