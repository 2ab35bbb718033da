// Attacks on a finished run: each makes a model folder out of the published one, for `whorl verify` to be asked about.

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Abortable } from '../base/abort.ts';
import { checkWritable } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable, planOf } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { type GivenSettings, settingTexts } from '../base/given-settings.ts';
import { readSecret, type Unlock } from '../claim/secret-file.ts';
import { type Model, plannedModel } from '../models/model.ts';
import { openModel } from '../models/open-model.ts';
import { RunFolder } from '../runs/run-folder.ts';
import { type Done, type Knowledge, writeAttacked } from './attack.ts';
import { type Chosen, chooseAttacks } from './attacks.ts';
import { embeddingOf } from './embedding.ts';

export interface AttackOptions extends Abortable {
  /** A run folder that `fingerprint` has finished. */
  readonly run: string;
  readonly attacks: readonly string[];
  /** Where the attacked folders go, each under its attack's name; default: `attacks` in the run folder. */
  readonly out?: string;
  /** The vanilla model, for attacks that need it. */
  readonly vanilla?: string;
  readonly settings?: GivenSettings;
  readonly unlock?: Unlock;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

export interface AttackReport {
  readonly run: string;
  readonly attacked: readonly (Done & { readonly title: string; readonly folder: string })[];
  readonly seconds: number;
}

export interface AttackPlan {
  readonly run: RunFolder;
  readonly chosen: readonly (Chosen & { readonly folder: string })[];
  /** Whether the secret must be opened: it says which rows were trained. */
  readonly needsSecret: boolean;
}

/** All that can be refused before a model is opened. @throws WhorlError `usage`, `missing-file`, `exists` */
export function planAttacks({ run: path, attacks, out, vanilla, settings }: AttackOptions): AttackPlan {
  const chosen = chooseAttacks(attacks, settingTexts(settings));
  const wanting = chosen.filter(({ attack }) => attack[1].needs.includes('vanilla'));
  if (wanting.length > 0 && vanilla === undefined)
    throw new WhorlError(
      'usage',
      `--attack ${wanting[0]!.attack[0]} needs the vanilla model`,
      'give it with --vanilla',
    );
  if (wanting.length === 0 && vanilla !== undefined)
    throw new WhorlError('usage', '--vanilla is given, but no named attack uses it', 'leave it out');
  const run = new RunFolder(path);
  if (!existsSync(run.run) || !existsSync(run.published))
    throw new WhorlError(
      'missing-file',
      `${path} holds no finished run`,
      'give the --out folder of a whorl fingerprint that has ended',
    );
  const folders = chosen.map((one) => ({
    ...one,
    folder: join(resolve(out ?? join(run.path, 'attacks')), one.attack[0]),
  }));
  for (const { folder } of folders)
    if (existsSync(folder))
      throw new WhorlError('exists', `${folder} exists already`, 'name another --out or remove it');
  const needsSecret = chosen.some(({ attack }) => attack[1].needs.includes('rows'));
  return { run, chosen: folders, needsSecret };
}

/**
 * Writes one model folder an attack. Each is absent or complete at every moment. With `dryRun` nothing is written.
 * @throws WhorlError what `planAttacks`, opening models and secrets throw; `unsupported` for a run without trained rows,
 *   `mismatch` for the vanilla model of another
 */
export const attackRun: Plannable<AttackOptions, AttackReport> = plannable(planAttackRun, runAttackRun);

interface Ready {
  readonly plan: AttackPlan;
  readonly victim: Model;
  readonly knowledge: Knowledge;
}

/** Opens what is attacked and what a thief knows, and refuses all that can be refused; nothing is written. */
async function prepare(options: AttackOptions): Promise<Ready> {
  const plan = planAttacks(options);
  const { run, chosen, needsSecret } = plan;
  for (const { folder } of chosen) checkWritable(folder);
  const rows = needsSecret ? await trainedRows(run, chosen, options.unlock) : [];
  const opening = {
    onEvent: options.onEvent ?? silent,
    ...(options.cacheDir !== undefined && { cacheDir: options.cacheDir }),
  };
  const victim = await openModel(run.published, opening);
  const vanilla = options.vanilla === undefined ? undefined : await openModel(options.vanilla, opening);
  if (vanilla) checkVanilla(vanilla, victim);
  return { plan, victim, knowledge: { rows, ...(vanilla && { vanilla }) } };
}

async function planAttackRun(options: AttackOptions): Promise<DryRun> {
  const { plan, victim, knowledge } = await prepare(options);
  const { vanilla } = knowledge;
  return planOf('attack', {
    models: [
      plannedModel('published', victim),
      ...(vanilla === undefined ? [] : [plannedModel('vanilla', vanilla)]),
    ],
    settings: Object.fromEntries(
      plan.chosen.flatMap(({ attack: [name], settings }) =>
        Object.entries(settings).map(([key, value]) => [`${name}.${key}`, value]),
      ),
    ),
    writes: plan.chosen.map(({ attack, settings, folder }) => ({
      path: folder,
      what: attack[1].title(settings),
    })),
  });
}

async function runAttackRun(options: AttackOptions): Promise<AttackReport> {
  const started = Date.now();
  const onEvent = options.onEvent ?? silent;
  const { plan, victim, knowledge } = await prepare(options);
  const attacked: (Done & { title: string; folder: string })[] = [];
  for (const { attack, settings, folder } of plan.chosen) {
    const title = attack[1].title(settings);
    onEvent({ kind: 'phase', name: 'attacking', detail: title });
    const done = await writeAttacked(victim, folder, { attack, settings }, knowledge, onEvent);
    attacked.push({ ...done, title, folder });
  }
  return { run: plan.run.path, attacked, seconds: (Date.now() - started) / 1000 };
}

async function trainedRows(run: RunFolder, chosen: readonly Chosen[], unlock?: Unlock): Promise<number[]> {
  const { bindings, method } = (await readSecret(run.secret, unlock)).reveal();
  if (bindings.trainable_rows.length > 0) return bindings.trainable_rows;
  const [name] = chosen.find(({ attack }) => attack[1].needs.includes('rows'))!.attack;
  throw new WhorlError(
    'unsupported',
    `${run.path}: ${method} trained no rows of their own, so --attack ${name} has none to take`,
    'name another attack',
  );
}

function checkVanilla(vanilla: Model, victim: Model): void {
  const [own, theirs] = [embeddingOf(vanilla).ref.shape, embeddingOf(victim).ref.shape];
  if (String(own) !== String(theirs))
    throw new WhorlError(
      'mismatch',
      `${vanilla.source}: an embedding of [${own}], the published model's is [${theirs}]`,
      'give the vanilla model of this run',
    );
}
