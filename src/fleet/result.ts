// What a task leaves: its result, bound to the task by its id, or in one line why there is none. Read as a stranger's file.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { z } from 'zod';
import { writeFileAtomic } from '../base/atomic.ts';
import { type ErrorCode, WhorlError } from '../base/error.ts';
import { jsonOrNothing } from '../base/json.ts';
import { sha256Hex } from '../base/sha256.ts';
import { hex256 } from '../claim/shapes.ts';
import { failureFile, resultFile, type Task } from './task.ts';

const FORMAT = 'whorl-task-result';
const FAILED = 'whorl-task-failure';

const resultSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(1),
  task: z.string(),
  /** Of the report as JSON: against damage, not against forgers. */
  sha256: hex256,
  report: z.record(z.string(), z.unknown()),
});

const failureSchema = z.object({
  format: z.literal(FAILED),
  task: z.string(),
  code: z.string(),
  message: z.string(),
});
export type Failure = Pick<z.infer<typeof failureSchema>, 'code' | 'message'>;

export type Report = Readonly<Record<string, unknown>>;

export function writeResult(folder: string, task: Task, report: object): void {
  const plain = JSON.parse(JSON.stringify(report)) as Report;
  const sha256 = sha256Hex(JSON.stringify(plain));
  const result = { format: FORMAT, version: 1, task: task.id, sha256, report: plain };
  writeFileAtomic(resultFile(folder), `${JSON.stringify(result, null, 1)}\n`, 0o600);
  rmSync(failureFile(folder), { force: true });
}

/** undefined where there is none yet. @throws WhorlError `changed`, `mismatch` for another task's */
export function readResult(folder: string, task: Task): Report | undefined {
  const path = resultFile(folder);
  if (!existsSync(path)) return undefined;
  const again = 'restore it, or remove it: that model is then asked anew';
  const read = resultSchema.safeParse(jsonOrNothing(readFileSync(path, 'utf8')));
  if (!read.success || sha256Hex(JSON.stringify(read.data.report)) !== read.data.sha256)
    throw new WhorlError('changed', `${path} was changed after it was written`, again);
  if (read.data.task !== task.id)
    throw new WhorlError('mismatch', `${path} is the result of another claim, suspect or setting`, again);
  return read.data.report;
}

export function writeFailure(folder: string, task: Task, { code, message }: Failure): void {
  const failure = { format: FAILED, task: task.id, code, message };
  writeFileAtomic(failureFile(folder), `${JSON.stringify(failure, null, 1)}\n`, 0o600);
}

export function readFailure(folder: string, task: Task): Failure | undefined {
  if (!existsSync(failureFile(folder))) return undefined;
  const read = failureSchema.safeParse(jsonOrNothing(readFileSync(failureFile(folder), 'utf8')));
  if (!read.success || read.data.task !== task.id) return undefined; // half of another run's: as if there were none
  return { code: read.data.code, message: read.data.message };
}

/** A task whose runs ended without a word. */
export const died = (words: string): Failure => ({
  code: 'job-failed' satisfies ErrorCode,
  message: words,
});

/** Of a task without a result. */
export const failureOf = (folder: string, task: Task): Failure =>
  readFailure(folder, task) ?? died('it was not run yet');
