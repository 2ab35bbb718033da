// The folder of a fleet: what all its tasks have in common, a folder for each, and what was collected. Private: it says what is suspected.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { makeFolder, writeFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { jsonOrNothing } from '../base/json.ts';
import { sha256Hex } from '../base/sha256.ts';
import { SOFTWARE } from '../base/software.ts';
import { canonicalJson, type Json } from '../claim/canonical.ts';
import { takeLock } from './lock.ts';
import { keepTask, type Planned, readTask, type Task, taskOf, taskSchema } from './task.ts';

const FORMAT = 'whorl-fleet';

/** Which names of a fleet's tasks may not differ, and from what; of options and versions a digest is enough to tell. */
const fleetSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(1),
  command: taskSchema.shape.command,
  bound: z.record(z.string(), z.string()),
  /** Names the fleet where a scheduler keeps names for good: another one in the same folder is another fleet. */
  run: z.string().regex(/^[0-9a-f]{16}$/),
});
export type FleetFile = z.infer<typeof fleetSchema>;

export interface TaskPlace {
  readonly folder: string;
  readonly task: Task;
}

/** What the tasks of one fleet share. */
export type Common = Pick<Planned, 'command' | 'bound' | 'options'>;

export class FleetFolder {
  readonly path: string;
  constructor(path: string) {
    this.path = resolve(path);
  }

  get fleetFile(): string {
    return join(this.path, 'fleet.json');
  }
  get tasks(): string {
    return join(this.path, 'tasks');
  }

  /** undefined where no fleet is here yet. @throws WhorlError `changed`, `mismatch` naming what differs */
  read(common: Common): FleetFile | undefined {
    if (!existsSync(this.fleetFile)) {
      if (existsSync(this.path) && readdirSync(this.path).some((name) => name !== 'lock'))
        throw new WhorlError(
          'exists',
          `${this.path} is no folder of a fleet`,
          'name an empty or a new folder',
        );
      return undefined;
    }
    const read = fleetSchema.safeParse(jsonOrNothing(readFileSync(this.fleetFile, 'utf8')));
    if (!read.success)
      throw new WhorlError('changed', `${this.fleetFile} is not as it was written`, 'restore it');
    const { command, bound } = read.data;
    const now = boundOf(common);
    const names = new Set([...Object.keys(now), ...Object.keys(bound)]);
    const differs =
      command === common.command
        ? [...names].filter((name) => now[name] !== bound[name])
        : [`command (${command})`];
    if (differs.length > 0)
      throw new WhorlError(
        'mismatch',
        `${this.path} is of another ${differs.join(', ')}`,
        'repeat the command that began it, or name another folder with --out',
      );
    return read.data;
  }

  /** Begins it, if it is not there. */
  keep(common: Common, run: string): FleetFile {
    const before = this.read(common);
    if (before) return before;
    const fleet = {
      format: FORMAT,
      version: 1,
      command: common.command,
      bound: boundOf(common),
      run,
    } as const;
    makeFolder(this.path, 0o700);
    writeFileAtomic(this.fleetFile, `${JSON.stringify(fleet, null, 1)}\n`, 0o600);
    return fleet;
  }

  /** @returns what gives it back. @throws WhorlError where another process works here */
  lock(): () => void {
    makeFolder(this.path, 0o700);
    return takeLock(join(this.path, 'lock'), 'refuse');
  }

  placeOf(planned: Planned): TaskPlace {
    const task = taskOf(planned);
    return { task, folder: join(this.tasks, task.id) };
  }

  keepPlace({ task, folder }: TaskPlace): void {
    keepTask(folder, task);
  }

  /** All tasks that were ever written here, those too that a later list leaves out. @throws WhorlError `changed`, `mismatch` */
  places(): TaskPlace[] {
    if (!existsSync(this.tasks)) return [];
    return readdirSync(this.tasks)
      .filter((name) => !name.startsWith('.'))
      .sort()
      .map((name) => {
        const folder = join(this.tasks, name);
        const task = readTask(folder);
        if (task.id !== name)
          throw new WhorlError(
            'mismatch',
            `${folder} holds the task ${task.id}`,
            'give the folder that name, or remove it',
          );
        return { folder, task };
      });
  }
}

const boundOf = ({ bound, options }: Common): Readonly<Record<string, string>> => ({
  ...bound,
  software: `${SOFTWARE.name} ${SOFTWARE.version}`,
  options: sha256Hex(canonicalJson(options as Json)),
});
