// The flags of commands that take a list: who runs their tasks, how many at a time, where all of it lies.

import { WhorlError } from '../base/error.ts';
import { shellWords } from '../base/shell.ts';
import { type FleetOptions, LAUNCH_NAMES, type WaitingFleet } from '../fleet/run-fleet.ts';
import { among, type Given, oneOf, refuseAlone, text, wholeNumber } from './options.ts';
import { countText, paint, print, table } from './output.ts';

export const FLEET = {
  launch: oneOf(
    '<way>',
    LAUNCH_NAMES,
    'of a list: processes here (pool, the default), a Ray cluster, or files for SkyPilot or Hugging Face Jobs',
  ),
  jobs: wholeNumber('<n>', 1, 'of a list: tasks at a time (default: half of the cores; 64 at Ray)'),
  address: text('<url>', "with --launch ray: Ray's dashboard (default: RAY_ADDRESS, http://127.0.0.1:8265)"),
  worker: text('<command>', 'with --launch ray: what stands for whorl there (default: this program)'),
};

const LIST_OUT = { out: text('<folder>', 'of a list: tasks, results and verdict; the same command goes on') };

/** Of `verify`. */
export const SUSPECTS = {
  suspects: text(
    '<file>',
    'many suspects: a model, or the address of a server and its model’s name, on each line; or JSON lines, or CSV',
  ),
  elsewhere: wholeNumber(
    '<n>',
    0,
    'of a list: suspects asked under this claim in other folders, paid for too (default: 0)',
  ),
  ...LIST_OUT,
};

/** Of `eval`, whose --out is there for one model too. */
export const MODELS = {
  models: text('<file>', 'many models: one on each line; or JSON lines, or CSV'),
};

const OF_LISTS = { ...FLEET, ...LIST_OUT, elsewhere: SUSPECTS.elsewhere };

/** @throws WhorlError `usage` for flags of a list where none is given. @param flags those of the command */
export function refuseFleetAlone(flags: Partial<Given<typeof OF_LISTS>>): void {
  refuseAlone(
    among(flags as Given<typeof OF_LISTS>, OF_LISTS),
    OF_LISTS,
    'a list',
    'give --suspects or --models',
  );
}

/** @throws WhorlError `usage` for flags of Ray without it */
export function launchFrom(
  out: string | undefined,
  flags: Given<typeof FLEET>,
): Pick<FleetOptions, 'out' | keyof typeof FLEET> {
  if (out === undefined) throw new WhorlError('usage', 'no folder is named for the results', 'give --out');
  const { address, worker, ...more } = among(flags, FLEET);
  const ofRay = { ...(address !== undefined && { address }), ...(worker !== undefined && { worker }) };
  if (more.launch !== 'ray') refuseAlone(ofRay, FLEET, '--launch ray', 'give it too');
  return { out, ...more, ...ofRay };
}

export function showWaitingFleet({ tasks, done, script }: WaitingFleet): void {
  print(`${paint.bold(paint.yellow('waiting'))} for ${countText(tasks - done)} of ${countText(tasks)} tasks`);
  for (const row of table([
    ['run', shellWords(['sh', script]), paint.dim('read it first: Whorl never ran it')],
    ['then', 'the same command again', paint.dim('takes the results in')],
  ]))
    print(row);
}
