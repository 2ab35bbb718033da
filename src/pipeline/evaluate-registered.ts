// `eval --mode adapter|sft_chat`: the paper's evaluation over its own folders. Vanilla and fingerprinted models, one after
// the other, into harmlessness_eval/{vanilla,fingerprinted_…}/…/{tasks}/{shots}.json; what stands is not made again.

import { basename, join } from 'node:path';
import { type Abortable, checkSignal } from '../base/abort.ts';
import { checkWritable } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable, planOf } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { silent } from '../base/events.ts';
import { isThere } from '../base/system-errors.ts';
import { catalogue, chosen } from '../evaluate/catalogue.ts';
import { framingIdentity, PLAIN } from '../evaluate/chat.ts';
import { countRequests } from '../evaluate/count.ts';
import { type EvaluateOptions, evaluate, shotsNamed } from '../evaluate/evaluate.ts';
import { type EvaluateModelOptions, openedFor } from '../evaluate/evaluate-model.ts';
import { rowsAt } from '../evaluate/hub-rows.ts';
import { MODES } from '../evaluate/modes.ts';
import { registeredModels } from '../fingerprint/registry.ts';
import { evaluationPlace, type ResultsFile, resultsFiles } from '../runs/harmlessness-folder.ts';
import { FLAVOUR_METHODS, type Flavour, findPaperRuns, type PaperRun } from '../runs/paper-folder.ts';
import { RunFolder } from '../runs/run-folder.ts';
import { parseHubId } from '../sources/hub/hub-id.ts';
import { paperModelName } from './flavour.ts';

export interface EvaluateRegisteredOptions extends Omit<EvaluateModelOptions, 'model' | 'out'>, Abortable {
  readonly flavour: Flavour;
  /** One vanilla model alone: a folder, a GGUF file or a hub id. Default: those of the registry, and those that have a run. */
  readonly model?: string;
  /** The registry's models without a run here, too: of each the vanilla one. */
  readonly registered?: boolean;
  /** Folder that holds `output_{template}_{flavour}`; default: here. */
  readonly root?: string;
  /** Results; default: `harmlessness_eval` in `root`. */
  readonly out?: string;
}

/** A results file that is there after the call. */
export interface RegisteredResult {
  readonly model: string;
  readonly kind: 'vanilla' | Flavour;
  readonly shots: number;
  readonly path: string;
  /** `made` in this call, `there` already, or `covered` by another file that has all of its tasks. */
  readonly state: 'made' | 'there' | 'covered';
}

export interface RegisteredReport {
  readonly folder: string;
  readonly results: readonly RegisteredResult[];
  /** Models that were not evaluated, and why. */
  readonly left_out: readonly { readonly model: string; readonly why: string }[];
  /** Rows that were asked in this call. */
  readonly asked: number;
}

/** One model to be evaluated, where its results go. */
interface Subject {
  readonly name: string;
  readonly kind: 'vanilla' | Flavour;
  readonly opens: string;
  readonly place: string;
}

type LeftOut = RegisteredReport['left_out'][number];

/**
 * @throws WhorlError `missing-file` where no model is to be evaluated, `exists` where results of other settings stand, and
 *   what tasks, rows and models give rise to; results so far are kept
 */
export const evaluateRegistered: Plannable<EvaluateRegisteredOptions, RegisteredReport> = plannable(
  planned,
  evaluated,
);

const placesOf = ({ root = '.', out }: EvaluateRegisteredOptions) => ({
  root,
  folder: out ?? join(root, 'harmlessness_eval'),
});

/** Who is evaluated, in order: the vanilla model before what was made of it. */
function subjects(options: EvaluateRegisteredOptions): { list: Subject[]; left: LeftOut[] } {
  const { flavour, model, registered = false } = options;
  const { root, folder } = placesOf(options);
  const runs = findPaperRuns(root).filter((run) => run.flavour === flavour);
  const known = registeredModels(FLAVOUR_METHODS[flavour]);
  const names =
    model === undefined ? [...new Set([...runs.map((run) => run.model), ...known])] : [paperModelName(model)];
  const list: Subject[] = [];
  const left: LeftOut[] = [];
  for (const name of names) {
    const own = runs.filter((run) => run.model === name);
    if (model === undefined && own.length === 0 && !registered) {
      left.push({
        model: name,
        why: `no run of it below ${root}: --registered evaluates it unfingerprinted`,
      });
      continue;
    }
    const opens = model ?? (parseHubId(name) ? name : undefined);
    if (opens === undefined)
      left.push({ model: name, why: 'no hub id: name the vanilla model with --model' });
    else list.push({ name, kind: 'vanilla', opens, place: evaluationPlace(folder, 'vanilla', name) });
    for (const run of own) {
      const published = publishedOf(run);
      const place = evaluationPlace(folder, flavour, name, basename(run.path));
      if (published === undefined) left.push({ model: run.path, why: 'it has published nothing yet' });
      else list.push({ name, kind: flavour, opens: published, place });
    }
  }
  return { list, left };
}

/** Whorl's runs keep the model in `published/`; the paper's are the model. */
function publishedOf({ path }: PaperRun): string | undefined {
  const { published } = new RunFolder(path);
  return [published, path].find((folder) => isThere(join(folder, 'config.json')));
}

/** Everything that can be refused before a model is opened. */
async function prepared(options: EvaluateRegisteredOptions) {
  const { tasks, taskDir, harness = 'main', data, limit, shots = [0, 1, 5], onEvent = silent } = options;
  const counts = shotsNamed(shots.join());
  const all = catalogue(taskDir, MODES[harness]);
  const picked = chosen(all, tasks);
  const { list, left } = subjects(options);
  if (list.length === 0)
    throw new WhorlError(
      'missing-file',
      `no model to evaluate: ${left.map(({ model, why }) => `${model}: ${why}`)[0] ?? 'none is registered'}`,
      'name one with --model, or the folder of output_… with --root',
    );
  checkWritable(join(placesOf(options).folder, 'x'));
  const names = new Set(picked.tasks.map(({ name }) => name));
  const namesOf = (label: string): string[] =>
    label.split(',').flatMap((each) => {
      try {
        return chosen(all, [each]).tasks.map(({ name }) => name);
      } catch {
        return []; // a task that only another harness has
      }
    });
  const work = list.map((subject) => ({ subject, covered: coveredBy(subject, names, namesOf, counts) }));
  const open = counts.filter((each) => work.some(({ covered }) => !isOthers(covered.get(each))));
  const rows = open.length === 0 ? undefined : await rowsAt(data, picked.tasks, open, { onEvent });
  if (rows) await countRequests({ tasks: picked.tasks, shots: open, data: rows, limit, onEvent });
  return { work, left, counts, rows };
}

/** By number of shots the files that together have every task, as the paper's script looks for them. */
type Covered = ReadonlyMap<number, readonly ResultsFile[]>;

function coveredBy(
  { place, name }: Subject,
  wanted: ReadonlySet<string>,
  namesOf: (label: string) => string[],
  shots: readonly number[],
): Covered {
  const files = isThere(place) ? resultsFiles({ path: place, model: name }) : [];
  const out = new Map<number, ResultsFile[]>();
  for (const each of shots) {
    const of = files.filter((file) => file.shots === each);
    const had = new Set(of.flatMap(({ tasks }) => namesOf(tasks)));
    if ([...wanted].every((task) => had.has(task))) out.set(each, of);
  }
  return out;
}

/** Files of the harness itself say nothing that could be compared: they stand, as in the paper's script. */
const isOthers = (files: readonly ResultsFile[] | undefined): boolean =>
  files?.every(({ own }) => own === undefined) ?? false;

async function evaluated(options: EvaluateRegisteredOptions): Promise<RegisteredReport> {
  const { work, left, counts, rows } = await prepared(options);
  const results: RegisteredResult[] = [];
  let asked = 0;
  for (const { subject, covered } of work) {
    const { name: model, kind } = subject;
    const note = (shots: number, path: string, state: RegisteredResult['state']) =>
      results.push({ model, kind, shots, path, state });
    for (const [shots, files] of covered) if (isOthers(files)) note(shots, files[0]!.path, 'covered');
    const rest = counts.filter((shots) => !isOthers(covered.get(shots)));
    if (rest.length === 0) continue;
    checkSignal(options);
    await openedFor(
      { ...callOf(options, subject, rest), ...(rows && { data: rows }) },
      async (evaluation) => {
        const own = rest.filter((shots) => !isCovered(covered.get(shots) ?? [], evaluation));
        for (const shots of rest)
          if (!own.includes(shots)) note(shots, covered.get(shots)![0]!.path, 'covered');
        const report = await evaluate({ ...evaluation, shots: own });
        asked += report.asked;
        for (const { shots, path, made } of report.results) note(shots, path, made ? 'made' : 'there');
      },
    );
  }
  return { folder: placesOf(options).folder, results, left_out: left, asked };
}

/** Whether files of ours under other labels hold this very evaluation: same weights, harness, framing and rows' limit. */
function isCovered(
  files: readonly ResultsFile[],
  { label, modelIdentity, mode, framing = PLAIN, limit }: EvaluateOptions,
): boolean {
  const same = {
    weights: modelIdentity,
    mode: mode.name,
    chat: framingIdentity(framing),
    limit: limit ?? null,
  };
  const isSame = (own: Readonly<Record<string, unknown>>): boolean =>
    Object.entries(same).every(([key, value]) => JSON.stringify(own[key] ?? null) === JSON.stringify(value));
  return files.length > 0 && files.every(({ tasks, own }) => tasks !== label && (!own || isSame(own)));
}

function callOf(
  { flavour: _, root: _root, registered: _registered, ...asked }: EvaluateRegisteredOptions,
  { opens, place }: Subject,
  shots: readonly number[],
): EvaluateModelOptions {
  return { ...asked, model: opens, out: place, shots };
}

async function planned(options: EvaluateRegisteredOptions): Promise<DryRun> {
  const { work, left, counts, rows } = await prepared(options);
  const { tasks, harness = 'main', limit, flavour } = options;
  const files = work.flatMap(({ subject, covered }) =>
    counts.map((shots) => ({
      subject,
      shots,
      path: join(subject.place, tasks.join(), `${shots}.json`),
      by: covered.get(shots),
    })),
  );
  return planOf('eval', {
    models: work.map(({ subject }) => ({ role: subject.kind, source: subject.opens, family: 'not opened' })),
    settings: {
      mode: flavour,
      tasks: tasks.join(),
      shots: counts.join(),
      data: rows?.name ?? null,
      harness,
      limit: limit ?? null,
    },
    writes: files.flatMap(({ subject, shots, path, by }) =>
      by ? [] : [{ path, what: `${subject.kind}, ${shots} shots` }],
    ),
    notes: [
      ...files.flatMap(({ path, by }) => (by ? [`${path}: there, in ${by[0]!.path}`] : [])),
      ...left.map(({ model, why }) => `${model} is left out: ${why}`),
    ],
  });
}
