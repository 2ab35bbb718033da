// A task: one suspect of a verification, or one model of an evaluation, as JSON in a private folder of its own. Who runs it (a process
// here, Ray, another scheduler) reads that folder and writes its result there; nothing secret is in it but paths.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { makeFolder, writeFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { jsonOrNothing } from '../base/json.ts';
import { sha256Hex } from '../base/sha256.ts';
import { SOFTWARE } from '../base/software.ts';
import { canonicalJson, type Json } from '../claim/canonical.ts';
import type { Unlock } from '../claim/secret-file.ts';
import { hex256 } from '../claim/shapes.ts';
import type { Who } from './suspects.ts';

const FORMAT = 'whorl-task';
const MAX_FILE = 1 << 20;

const text = z.string().min(1);
const who = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('files'), path: text }),
  z.strictObject({ kind: z.literal('hub'), id: text }),
  z.strictObject({
    kind: z.literal('endpoint'),
    url: text,
    model_name: text,
    endpoint_kind: z.enum(['chat', 'completions']).optional(),
    api_key_env: text.optional(),
  }),
]);
const scalars = z.record(z.string(), z.json());
export const taskSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(1),
  /** SHA-256 of all that the result depends on, 32 hex digits; the folder's name. */
  id: z.string().regex(/^[0-9a-f]{32}$/),
  command: z.enum(['verify', 'eval']),
  software: z.strictObject({ name: text, version: text }),
  /** As results name it. */
  name: text,
  who,
  /** Of the suspect's files; null where they are not here. */
  sha256: hex256.nullable(),
  /** Digests of what else the result depends on: claim, draw, rows of data sets. */
  bound: z.record(z.string(), z.string()),
  /** How it is asked. */
  options: scalars,
  /** What changes no result: how much may be used of a server, where a cache is. */
  settings: scalars,
  /** Where the files lie that are no suspect: the secret's file, the claim, rows. */
  files: z.record(z.string(), z.string()),
});
export type Task = z.infer<typeof taskSchema>;
export type Command = Task['command'];

/** All of a task but what follows from it. */
export type Planned = Omit<Task, 'format' | 'version' | 'id' | 'software'>;

/** The paths of a server's or a hub's name count; of files their digest alone. */
function identityOf({ who, sha256 }: Planned): Json {
  if (who.kind === 'files') return ['files', sha256];
  if (who.kind === 'hub') return ['hub', who.id];
  return ['endpoint', new URL(who.url).href, who.model_name, who.endpoint_kind ?? 'auto'];
}

const idOf = (planned: Planned, software: Task['software']): string =>
  sha256Hex(
    canonicalJson([
      FORMAT,
      ...[planned.command, software.name, software.version],
      ...[identityOf(planned), planned.bound, planned.options as Json],
    ]),
  ).slice(0, 32);

export function taskOf(planned: Planned): Task {
  const software = { ...SOFTWARE };
  const task = { format: FORMAT, version: 1, id: idOf(planned, software), software, ...planned } as const;
  return taskSchema.parse(JSON.parse(JSON.stringify(task)));
}

const taskFile = (folder: string): string => join(folder, 'task.json');

/** Where a task's own files lie in its folder. */
export const resultFile = (folder: string): string => join(folder, 'result.json');
export const failureFile = (folder: string): string => join(folder, 'failed.json');
export const logFile = (folder: string): string => join(folder, 'log.txt');
export const transcriptFile = (folder: string): string => join(folder, 'transcript.jsonl');
export const outFolder = (folder: string): string => join(folder, 'results');

const AGAIN = 'restore it, or remove the folder: the same command then writes the task anew';

/** @throws WhorlError `missing-file`; `changed` for one that is not as it was written */
export function readTask(folder: string): Task {
  const path = taskFile(folder);
  if (!existsSync(path))
    throw new WhorlError('missing-file', `${path} does not exist`, 'give a task’s folder');
  const bytes = readFileSync(path);
  const read = taskSchema.safeParse(bytes.length > MAX_FILE ? undefined : jsonOrNothing(String(bytes)));
  if (!read.success) {
    const field = read.error.issues[0]!.path.join('.') || '(whole)';
    throw new WhorlError('changed', `${path}: field ${field} is not as it was written`, AGAIN);
  }
  const task = read.data;
  if (idOf(task, task.software) !== task.id)
    throw new WhorlError('changed', `${path} is not as it was written: its id is of another task`, AGAIN);
  return task;
}

/** Writes it, or writes it anew where only names and places changed. @throws WhorlError `changed` */
export function keepTask(folder: string, task: Task): void {
  if (existsSync(taskFile(folder)) && readTask(folder).id !== task.id)
    throw new WhorlError('changed', `${taskFile(folder)} is another task than its folder's name says`, AGAIN);
  makeFolder(folder, 0o700);
  writeFileAtomic(taskFile(folder), `${JSON.stringify(task, null, 1)}\n`, 0o600);
}

/** What a model is called where a call asks for one name. */
export const modelOf = (who: Who): string =>
  who.kind === 'files' ? who.path : who.kind === 'hub' ? who.id : who.url;

/** What a task is run with. */
export interface TaskRun {
  readonly folder: string;
  /** Files that lie elsewhere than the task says. */
  readonly files?: Readonly<Record<string, string>>;
  readonly unlock?: Unlock;
  readonly threads?: number;
  readonly onEvent: OnEvent;
}
