// Which tasks there are: files of assets/tasks and of a user's own folder, groups, and lists such as `paper`.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WhorlError } from '../base/error.ts';
import { nameHint } from '../base/near-name.ts';
import { packageRoot } from '../base/package-root.ts';
import { systemError } from '../base/system-errors.ts';
import { MODES, type Mode } from './modes.ts';
import type { Task } from './task.ts';
import { checked, parseTask, read, taskOf } from './task-file.ts';

/** A score of several tasks together, every row weighing alike. */
export interface Group {
  readonly name: string;
  readonly alias: string;
  readonly version: number | string;
  /** Names of tasks or of other groups. */
  readonly members: readonly string[];
}

export interface Catalogue {
  readonly tasks: ReadonlyMap<string, Task>;
  readonly groups: ReadonlyMap<string, Group>;
}

/** The tasks of the paper (Instructional Fingerprinting, NAACL 2024), as its own list has them. */
const PAPER =
  'anli_r1 anli_r2 anli_r3 arc_challenge arc_easy piqa openbookqa headqa_en headqa_es winogrande logiqa sciq hellaswag boolq cb cola rte wic wsc copa multirc record lambada_openai lambada_standard mmlu'.split(
    ' ',
  );

const FAMILY = z.strictObject({
  group: z.string(),
  version: z.number(),
  /** Groups within it, or its subjects themselves. */
  groups: z
    .record(z.string(), z.strictObject({ alias: z.string(), subjects: z.array(z.string()) }))
    .default({}),
  subjects: z.array(z.string()).default([]),
  each: z.record(z.string(), z.unknown()),
});

/** @param own a user's folder; a task of a name that is there already replaces it */
export function catalogue(own?: string, mode: Mode = MODES.main): Catalogue {
  const [tasks, groups] = [new Map<string, Task>(), new Map<string, Group>()];
  for (const folder of [join(packageRoot(), 'assets', 'tasks'), ...(own === undefined ? [] : [own])])
    for (const path of filesOf(folder)) addFile(path, tasks, groups);
  for (const [name, change] of Object.entries(mode.tasks)) {
    const task = tasks.get(name);
    if (task) tasks.set(name, { ...task, ...change });
  }
  return { tasks, groups };
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /\.ya?ml$/.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch (cause) {
    throw systemError(cause, folder, 'reading') ?? cause;
  }
}

function addFile(path: string, tasks: Map<string, Task>, groups: Map<string, Group>): void {
  const text = readFileSync(path, 'utf8');
  const value = read(text, path);
  const isFamily = typeof value === 'object' && value !== null && Object.hasOwn(value, 'each');
  if (!isFamily) {
    const task = parseTask(text, path);
    tasks.set(task.name, task);
    return;
  }
  const parsed = FAMILY.safeParse(value);
  if (!parsed.success)
    throw new WhorlError(
      'bad-file',
      `${path}: ${parsed.error.issues[0]!.path.join('.')}: ${parsed.error.issues[0]!.message}`,
    );
  const { group, version, groups: parts, subjects: own, each } = parsed.data;
  const taken = (subject: string, tags: readonly string[]): string => {
    const task = taskOf(checked(filled(each, subject), path), path);
    tasks.set(task.name, { ...task, tags });
    return task.name;
  };
  for (const [name, { alias, subjects }] of Object.entries(parts)) {
    const members = subjects.map((subject) => taken(subject, [name]));
    groups.set(name, { name, alias, version, members });
  }
  groups.set(group, {
    name: group,
    alias: group,
    version,
    members: [...Object.keys(parts), ...own.map((subject) => taken(subject, []))],
  });
}

/** The same with the subject's name, and its words, wherever a text says so. */
function filled(value: unknown, subject: string): unknown {
  if (typeof value === 'string')
    return value.replaceAll('SUBJECT_WORDS', subject.replaceAll('_', ' ')).replaceAll('SUBJECT', subject);
  if (Array.isArray(value)) return value.map((each) => filled(each, subject));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, filled(each, subject)]));
}

export interface Chosen {
  readonly tasks: readonly Task[];
  /** Those whose members are all among the tasks because they were asked for, members before what they are in. */
  readonly groups: readonly Group[];
}

/** @throws WhorlError `usage` for a name that is none, with the nearest one */
export function chosen({ tasks, groups }: Catalogue, names: readonly string[]): Chosen {
  const [taken, inGroups] = [new Map<string, Task>(), new Map<string, Group>()];
  const tags = new Set([...tasks.values()].flatMap(({ tags: own }) => own));
  const lists: Readonly<Record<string, () => readonly string[]>> = {
    paper: () => PAPER,
    all: () => [...tasks.keys(), ...groups.keys()],
  };
  const take = (name: string): void => {
    const group = groups.get(name);
    const task = tasks.get(name);
    if (Object.hasOwn(lists, name)) for (const each of lists[name]!()) take(each);
    else if (group) {
      for (const member of group.members) take(member);
      inGroups.set(name, group);
    } else if (task) taken.set(name, task);
    else if (tags.has(name)) for (const each of tasks.values()) if (each.tags.includes(name)) take(each.name);
    if (Object.hasOwn(lists, name) || group || task || tags.has(name)) return;
    const known = [...Object.keys(lists), ...tasks.keys(), ...groups.keys(), ...tags];
    const hint = nameHint(name, known, { list: 'docs/evaluate.md lists them' });
    throw new WhorlError('usage', `there is no task ${name}`, hint);
  };
  for (const name of names) take(name);
  if (taken.size === 0)
    throw new WhorlError('usage', 'no task is named', 'give --tasks a,b or --tasks paper');
  return { tasks: [...taken.values()], groups: [...inGroups.values()] };
}

/** Every task below a group. */
export function leaves(group: Group, groups: ReadonlyMap<string, Group>): string[] {
  return group.members.flatMap((name) => {
    const inner = groups.get(name);
    return inner ? leaves(inner, groups) : [name];
  });
}
