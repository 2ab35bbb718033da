// What verifying many suspects and evaluating many models have in common: a list becomes tasks, tasks that have no result are launched,
// and all of it goes on where it stopped.

import { randomBytes } from 'node:crypto';
import type { Abortable } from '../base/abort.ts';
import { type DryRun, planOf } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import type { ComputeOptions } from '../engine/session-device.ts';
import { digestModel } from './digests.ts';
import { type Common, FleetFolder, type TaskPlace } from './folder.ts';
import { type Launcher, runAll } from './launcher.ts';
import { poolOf } from './pool.ts';
import { rayOf } from './ray.ts';
import { readResult } from './result.ts';
import { type Listed, readList, refuseSame } from './suspects.ts';
import { modelOf, type Planned } from './task.ts';
import { writeHuggingFaceJobs, writeSkyPilot } from './written.ts';

export interface FleetOptions extends Abortable {
  /** The fleet's folder: tasks, results, what is collected. The same call again goes on in it. */
  readonly out: string;
  /** Default: processes on this machine. */
  readonly launch?: LaunchName;
  /** Tasks at a time; default: half of the cores here, 64 at Ray. */
  readonly jobs?: number;
  /** Threads of one task. */
  readonly threads?: number;
  /** Of Ray's dashboard; default: RAY_ADDRESS. */
  readonly address?: string;
  /** What stands for `whorl` where Ray runs it, for a shell; default: this program by its path. */
  readonly worker?: string;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

interface Runs {
  readonly kind: 'runs';
  readonly launcher: (options: FleetOptions, run: string) => Launcher;
}
interface Writes {
  readonly kind: 'writes';
  readonly write: (out: string, places: readonly TaskPlace[]) => Promise<string>;
}

export const LAUNCH_NAMES = ['pool', 'ray', 'skypilot', 'hf-jobs'] as const;
export type LaunchName = (typeof LAUNCH_NAMES)[number];

const LAUNCHES: Readonly<Record<LaunchName, Runs | Writes>> = {
  pool: { kind: 'runs', launcher: (options) => poolOf(options) },
  ray: { kind: 'runs', launcher: (options, run) => rayOf({ ...options, run }) },
  skypilot: { kind: 'writes', write: writeSkyPilot },
  'hf-jobs': { kind: 'writes', write: writeHuggingFaceJobs },
};

/** Tasks were written for another scheduler, and the call ended. */
export interface WaitingFleet {
  readonly kind: 'waiting';
  readonly tasks: number;
  readonly done: number;
  /** What runs them. */
  readonly script: string;
}

/** Of a list: what each task of it is, but for the model. */
export interface FleetPlan {
  readonly list: string;
  readonly common: Common;
  readonly settings: Planned['settings'];
  readonly files: Planned['files'];
  /** What lines are called where progress is told. */
  readonly what: string;
  /** @throws WhorlError where a line names what this command cannot ask */
  readonly check: (listed: Listed, where: string) => void;
}

/** What was said of it, as JSON. */
export const plain = (options: object): FleetPlan['settings'] =>
  JSON.parse(JSON.stringify(options)) as FleetPlan['settings'];

/** @throws WhorlError `usage` */
export function refuseOpenDevice(device: ComputeOptions['device'] | undefined): void {
  if (device !== undefined && typeof device !== 'string')
    throw new WhorlError(
      'usage',
      'a device that is open cannot be given to other processes',
      'give its name',
    );
}

export interface Collected {
  readonly kind: 'ended';
  readonly folder: FleetFolder;
  /** All tasks of the folder, and whether the list names them still. */
  readonly places: readonly (TaskPlace & { readonly listed: boolean })[];
}

/** @throws WhorlError `bad-file`, `missing-file` naming file and line, `mismatch`, `changed`, and what a launcher throws */
export async function runFleet(
  plan: FleetPlan,
  options: FleetOptions & { readonly onEvent: OnEvent },
): Promise<Collected | WaitingFleet> {
  const { onEvent, launch = 'pool' } = options;
  const way = LAUNCHES[launch];
  const listed = listedOf(plan);
  const folder = new FleetFolder(options.out);
  folder.read(plan.common);
  const release = folder.lock();
  try {
    const { run } = folder.keep(plan.common, randomBytes(8).toString('hex'));
    const launcher = way.kind === 'runs' ? way.launcher(options, run) : undefined;
    const places = placesOf(plan, listed, folder, onEvent);
    for (const place of places) folder.keepPlace(place);
    const all = folder.places();
    if (way.kind === 'writes') {
      const left = places.filter(({ folder: at, task }) => !readResult(at, task));
      if (left.length > 0) {
        const script = await way.write(folder.path, left);
        return { kind: 'waiting', tasks: places.length, done: places.length - left.length, script };
      }
    }
    if (launcher) await runAll(places, launcher, plan.what, onEvent);
    const named = new Set(places.map(({ task }) => task.id));
    return {
      kind: 'ended',
      folder,
      places: all.map((place) => ({ ...place, listed: named.has(place.task.id) })),
    };
  } finally {
    release();
  }
}

function listedOf({ list, check }: FleetPlan): Listed[] {
  const listed = readList(list);
  for (const one of listed) check(one, `${list}, line ${one.line}`);
  return listed;
}

function placesOf(
  { common, settings, files, list }: FleetPlan,
  listed: readonly Listed[],
  folder: FleetFolder,
  onEvent: OnEvent,
): TaskPlace[] {
  const name = 'reading models';
  onEvent({ kind: 'phase', name });
  const places = listed.map(({ who, name: called, line }, i) => {
    const sha256 = who.kind === 'files' ? digestOf(who.path, list, line) : null;
    onEvent({ kind: 'progress', name, done: i + 1, total: listed.length });
    return { line, ...folder.placeOf({ ...common, settings, files, who, sha256, name: called }) };
  });
  refuseSame(places, ({ task }) => task.id, list, 'names a model with the bytes of');
  return places;
}

function digestOf(path: string, list: string, line: number): string {
  try {
    return digestModel(path);
  } catch (cause) {
    if (!(cause instanceof WhorlError)) throw cause;
    throw new WhorlError(cause.code, `${list}, line ${line}: ${cause.message}`, undefined, { cause });
  }
}

/** What a call would do: the list is read, models are not. */
export function planFleet(plan: FleetPlan, { out, launch = 'pool' }: FleetOptions): DryRun {
  const { common, what } = plan;
  const listed = listedOf(plan);
  const folder = new FleetFolder(out);
  const before = folder.read(common) ? folder.places() : [];
  const done = before.filter((place) => readResult(place.folder, place.task)).length;
  return planOf(common.command, {
    models: listed.map(({ who, name }) => ({ role: name, source: modelOf(who), family: 'not opened' })),
    settings: { ...common.options, launch },
    writes: [{ path: folder.path, what: 'tasks, their results, and what is collected' }],
    notes: [
      `${listed.length} ${what}`,
      ...(done > 0 ? [`${done} results are there: a model whose bytes are the same is not asked again`] : []),
    ],
  });
}
