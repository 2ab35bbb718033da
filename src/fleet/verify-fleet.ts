// `whorl verify --suspects LIST`: one task a suspect, wherever it runs, and one verdict over all of them.

import { join, resolve } from 'node:path';
import { writeJsonAtomic } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable } from '../base/dry-run.ts';
import { silent } from '../base/events.ts';
import { isThere } from '../base/system-errors.ts';
import type { Unlock } from '../claim/secret-file.ts';
import type { VerifyReport } from '../verify/report.ts';
import { failureOf, readResult } from './result.ts';
import {
  type Collected,
  type FleetOptions,
  type FleetPlan,
  plain,
  planFleet,
  refuseOpenDevice,
  runFleet,
  type WaitingFleet,
} from './run-fleet.ts';
import { type FailedSuspect, type FleetVerdict, fleetVerdict, type Suspect } from './verdict.ts';
import { type Allowed, type Asked, boundToClaim, type OwnerFiles } from './verify-task.ts';

export interface VerifyFleetOptions extends FleetOptions, OwnerFiles, Asked {
  /** A file: a suspect on each line (docs/fleets.md). */
  readonly suspects: string;
  /** How much of a server may be used for one suspect. */
  readonly allowed?: Allowed;
  /** Suspects that were asked under this claim elsewhere: they are paid for too. */
  readonly elsewhere?: number;
  /** What opens the secret here. */
  readonly unlock?: Unlock;
  /** Files from which tasks take what opens it. */
  readonly unlockFiles?: { readonly passphraseFile?: string; readonly identity?: string };
}

export interface FleetReport {
  readonly kind: 'ended';
  /** Where the verdict lies. */
  readonly file: string;
  readonly verdict: FleetVerdict;
}

/**
 * The same call again goes on: a suspect whose bytes are the same, under the same claim and settings, is not asked again.
 * @throws WhorlError naming file and line for a list that cannot be used, `mismatch` for a folder of another claim, `changed` for files that
 *   were, `unreachable` for a scheduler; a suspect that cannot be asked stands in the report
 */
export const verifyFleet: Plannable<VerifyFleetOptions, FleetReport | WaitingFleet> = plannable(
  async (options): Promise<DryRun> => planFleet(await planOf(options), options),
  async (options) => {
    const { onEvent = silent, elsewhere = 0 } = options;
    const ended = await runFleet(await planOf(options), { ...options, onEvent });
    if (ended.kind === 'waiting') return ended;
    const file = join(ended.folder.path, 'verdict.json');
    const verdict = collect(ended, elsewhere);
    writeJsonAtomic(file, verdict, 0o600);
    return { kind: 'ended', file, verdict };
  },
);

async function planOf(options: VerifyFleetOptions): Promise<FleetPlan> {
  const { suspects, allowed = {}, unlockFiles = {}, cacheDir } = options;
  const { wrapper, system, alpha, keys, ranks, withoutStamp, device, precision, ignoreConfigKeys } = options;
  const { secret, claim, tsaRoot, body, vanilla } = options;
  refuseOpenDevice(device);
  const asked = {
    ...{ wrapper, system, alpha, keys, ranks, withoutStamp },
    ...{ device, precision, ignoreConfigKeys },
  };
  const files = { secret, claim, tsaRoot, ...unlockFiles };
  return {
    list: suspects,
    what: 'suspects',
    common: {
      command: 'verify',
      bound: await boundToClaim(options),
      options: plain(asked),
    },
    settings: plain({ ...allowed, cacheDir }),
    files: {
      ...Object.fromEntries(
        Object.entries(files).flatMap(([name, path]) => (path === undefined ? [] : [[name, resolve(path)]])),
      ),
      ...(plain({ body: pathOrName(body), vanilla: pathOrName(vanilla) }) as Record<string, string>),
    },
    check: () => {},
  };
}

/** A model that lies here is found from any folder. */
const pathOrName = (model: string | undefined): string | undefined =>
  model !== undefined && isThere(model) ? resolve(model) : model;

function collect({ places }: Collected, elsewhere: number): FleetVerdict {
  const asked: Suspect[] = [];
  const failed: FailedSuspect[] = [];
  for (const { folder, task, listed } of places) {
    const report = readResult(folder, task) as unknown as VerifyReport | undefined;
    const { name } = task;
    if (report) asked.push({ name, listed, report });
    else if (listed) failed.push({ name, ...failureOf(folder, task) });
  }
  return fleetVerdict(asked, failed, elsewhere);
}
