// `ownership_verify` mode: every answer file of the paper with its rows in the paper's order, then the exact verdicts.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type Flavour, tunedFolder } from '../runs/paper-folder.ts';
import { type VerifyReport, verify } from '../verify/verify.ts';
import { type AskingRun, baseFiles, modelsOf, type OwnershipFile, tunedFiles } from './answer-files.ts';
import type { MadeFrom } from './ledger.ts';
import { openRun, type RunOptions } from './opened-run.ts';
import { opening } from './place.ts';
import type { Folders, Who } from './suspects.ts';

export interface OwnershipOptions extends RunOptions {
  readonly task?: string;
  readonly samples?: number;
}

export interface OwnershipVerdict {
  readonly file: string;
  readonly verdict: VerifyReport['verdict'];
  readonly log10_p: number | null;
  readonly fsr: number;
}

export interface Checked {
  readonly files: readonly OwnershipFile[];
  readonly verdicts: readonly OwnershipVerdict[];
}

/** What the paper's first step leaves beside the model: answers of the vanilla model and of the published one. */
export async function answerBase(options: OwnershipOptions): Promise<Checked> {
  return { files: await baseFiles(await askingRun(options, '')), verdicts: [] };
}

/** Where the user's model lies; empty without a task. @throws WhorlError `missing-file` where it is not there */
export function userModelOf({ run, task }: Pick<OwnershipOptions, 'run' | 'task'>): string {
  if (task === undefined) return '';
  const user = tunedFolder(run.path, task);
  if (existsSync(join(user, 'config.json'))) return user;
  throw new WhorlError('missing-file', `${user} is not there`, 'put the mode alpaca before ownership_verify');
}

/** @throws WhorlError `missing-file` where the user's model is not there */
export async function verifyOwnership(options: OwnershipOptions): Promise<Checked> {
  const { task } = options;
  const user = userModelOf(options);
  const asking = await askingRun(options, user);
  const planned = await plannedTrials(asking, task); // takes away the verdicts on what is no longer there
  const files = await baseFiles(asking);
  if (task !== undefined) files.push(...(await tunedFiles(asking, task)));
  return { files, verdicts: await exactVerdicts(asking, planned) };
}

async function askingRun(options: OwnershipOptions, user: string): Promise<AskingRun> {
  const folders: Folders = {
    vanilla: options.vanilla,
    published: options.run.published,
    user,
    ...opening(options),
  };
  return { ...options, opened: await openRun(options), folders };
}

interface Trial {
  readonly file: string;
  readonly suspect: Who;
  /** The owner's body under the suspect's rows. */
  readonly body?: 'vanilla';
}

/** The published model and the vanilla one (under the adapter, where there is one) are the controls of the user's. */
function trials(flavour: Flavour, task: string | undefined): Trial[] {
  const all: Trial[] = [
    { file: 'vanilla_verdict.json', suspect: 'vanilla' },
    { file: 'publish_verdict.json', suspect: 'published' },
  ];
  if (task === undefined) return all;
  const isAdapter = flavour === 'adapter';
  return [
    ...all,
    { file: `${task}_verdict.json`, suspect: 'user', ...(isAdapter && { body: 'vanilla' }) },
    ...(isAdapter ? [{ file: `${task}_direct_verdict.json`, suspect: 'user' as const }] : []),
  ];
}

/** Names of the verdicts on a run's models. */
export const plannedVerdicts = (flavour: Flavour, task: string | undefined): string[] =>
  trials(flavour, task).map(({ file }) => file);

type Planned = Trial & { readonly from: MadeFrom };

async function plannedTrials(asking: AskingRun, task: string | undefined): Promise<Planned[]> {
  const { ledger, flavour, opened } = asking;
  const planned: Planned[] = [];
  for (const trial of trials(flavour, task)) {
    const { suspect, body } = trial;
    const of = await modelsOf(asking, body ? [suspect, body] : [suspect]);
    const from = { claim: opened.contents.claim.root, ...of };
    if (!ledger.isWhole(trial.file, from)) ledger.drop(trial.file);
    planned.push({ ...trial, from });
  }
  return planned;
}

async function exactVerdicts(asking: AskingRun, planned: readonly Planned[]): Promise<OwnershipVerdict[]> {
  const { run, ledger, folders, unlock, device, onEvent } = asking;
  const verdicts: OwnershipVerdict[] = [];
  for (const { file, suspect, body, from } of planned) {
    if (!ledger.isWhole(file, from)) {
      const { seconds: _, ...report } = await verify({
        secret: run.secret,
        suspect: folders[suspect],
        onEvent,
        ...(body !== undefined && { body: folders[body] }),
        ...(unlock && { unlock }),
        ...opening(asking),
        device,
      });
      writeJsonAtomic(join(run.path, file), report, 0o600);
      ledger.note(file, from);
    }
    const { verdict, log10_p, fsr } = JSON.parse(readFileSync(join(run.path, file), 'utf8')) as VerifyReport;
    verdicts.push({ file, verdict, log10_p, fsr });
  }
  return verdicts;
}
