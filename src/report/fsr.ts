// The paper's FSR report over its output folders: figures of every file, the ten rounds, averages over models and
// data sets, and the name of every file that should be there and is not.

import { join } from 'node:path';
import { type Abortable, checkSignal } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import { readAnswers } from '../runs/answer-rows.ts';
import {
  type AnswerFileName,
  type AnswerKind,
  answerFiles,
  type Flavour,
  findPaperRuns,
  type PaperRun,
  ROUNDS,
} from '../runs/paper-folder.ts';
import { accepted, type Count, countAsPaper, countGroups, fired, PAPER_DECRYPTION } from './groups.ts';
import { binomialTest, clopperPearson, tTest } from './statistics.ts';

export interface FsrOptions extends Abortable {
  readonly flavour: Flavour;
  /** Runs, output folders, or folders that hold some. */
  readonly paths: readonly string[];
  readonly decryption?: string;
  /** Data sets of user models that every run should have; those that any run has, if not given. */
  readonly tasks?: readonly string[];
  /** The paper's positions, divisors and averages, its defects included. */
  readonly paperArithmetic?: boolean;
}

/** A share in percent, with Clopper and Pearson's 95 % interval. */
export interface Share extends Count {
  readonly percent: number;
  readonly low: number;
  readonly high: number;
}

interface FileFigures {
  readonly file: string;
  readonly kind: AnswerKind;
  readonly task?: string;
  readonly rows: number;
  readonly fsr: Share;
  readonly normal: Share | null;
  readonly similar: Share | null;
}

interface RoundFigures {
  readonly task: string;
  /** FSR of each round, in percent. */
  readonly fsr: readonly number[];
  readonly mean: number;
  /** The paper's test: does the mean of the rounds differ from 75? null where equal rounds leave it undefined. */
  readonly t: number | null;
  readonly t_p_value: number | null;
  /** All answers of all rounds. */
  readonly pooled: Share;
  /** Exact two-sided binomial p-value of `pooled` against 75 %. */
  readonly exact_p_value: number;
}

interface RunFigures {
  readonly model: string;
  readonly run: string;
  readonly files: readonly FileFigures[];
  readonly rounds: readonly RoundFigures[];
  readonly samples: Share | null;
  readonly missing: readonly string[];
  readonly unknown: readonly string[];
}

interface Average {
  readonly kind: AnswerKind;
  /** A data set, or null for all of them together. */
  readonly task: string | null;
  readonly models: number;
  readonly files: number;
  readonly fsr: number;
  readonly normal: number | null;
  readonly similar: number | null;
}

export interface FsrReport {
  readonly flavour: Flavour;
  readonly paper_arithmetic: boolean;
  readonly runs: readonly RunFigures[];
  readonly averages: readonly Average[];
  readonly notes: readonly string[];
}

const BASE: Readonly<Record<Flavour, readonly AnswerKind[]>> = {
  adapter: ['vanilla', 'publish', 'publish_w_adapter'],
  sft_chat: ['vanilla', 'publish', 'sample_from_bos'],
};
const USER: Readonly<Record<Flavour, readonly AnswerKind[]>> = {
  adapter: ['tuned_publish', 'tuned_w_adapter'], // tuned_direct is read where it is, but not every run makes it
  sft_chat: ['tuned_publish'],
};
const TESTED = [3, 4] as const; // 75 %

/** The order in which the paper's script goes through the data sets: its average is of the last one that is there. */
const PAPER_TASKS = ['alpaca', 'alpaca_gpt4', 'sharegpt', 'dolly', 'ni'];
const PAPER_SKIPS = 'google/mt5-xxl';

/** Throws `missing-file` where there is no run at all, `bad-file` naming file and line for rows that are none. */
export function reportFsr(options: FsrOptions): FsrReport {
  checkSignal(options);
  const { flavour, paperArithmetic = false } = options;
  const found = new Map<string, PaperRun>();
  for (const path of options.paths)
    for (const run of findPaperRuns(path)) if (run.flavour === flavour) found.set(run.path, run);
  if (found.size === 0)
    throw new WhorlError(
      'missing-file',
      `no output_{template}_${flavour}/{model}/{data}_epoch_…/ under ${options.paths.join(', ')}`,
      'give the folder that holds the output folder',
    );
  const runs = [...found.values()].filter(({ model }) => !paperArithmetic || model !== PAPER_SKIPS);
  const listed = runs.map((run) => ({ run, ...answerFiles(run.path) }));
  const tasks = options.tasks ?? [
    ...new Set(
      listed.flatMap(({ files }) => files.flatMap(({ task }) => (task === undefined ? [] : [task]))),
    ),
  ];
  const figures = listed.map(({ run, files, unknown }) => runFigures(run, files, unknown, tasks, options));
  return {
    flavour,
    paper_arithmetic: paperArithmetic,
    runs: figures,
    averages: paperArithmetic ? paperAverages(figures, flavour) : averages(figures),
    notes: notes(options, figures),
  };
}

function runFigures(
  run: PaperRun,
  listed: readonly AnswerFileName[],
  unknown: readonly string[],
  tasks: readonly string[],
  options: FsrOptions,
): RunFigures {
  const decryption = options.decryption ?? PAPER_DECRYPTION;
  const hits = accepted(decryption, run.model, run.flavour);
  const measured: FileFigures[] = [];
  const rounds = new Map<string, FileFigures[]>();
  let samples: Share | null = null;
  for (const { file, kind, task } of listed) {
    const path = join(run.path, file);
    const rows = readAnswers(path, kind === 'sample_from_bos');
    if (rows.length === 0) throw new WhorlError('bad-file', `${path} has no rows`, 'make it again');
    if (kind === 'sample_from_bos') {
      samples = share(fired(rows, hits));
      continue;
    }
    const groups = options.paperArithmetic
      ? countAsPaper(rows, run.flavour, hits)
      : countGroups(rows, run.flavour, decryption, hits, path);
    const figures: FileFigures = {
      file,
      kind,
      ...(task === undefined ? {} : { task }),
      rows: rows.length,
      fsr: share(groups.fingerprint),
      normal: groups.normal && share(groups.normal),
      similar: groups.similar && share(groups.similar),
    };
    if (kind === 'tuned_round') rounds.set(task!, [...(rounds.get(task!) ?? []), figures]);
    else measured.push(figures);
  }
  const there = new Set(listed.map(({ file }) => file));
  return {
    model: run.model,
    run: run.path,
    files: measured,
    rounds: [...rounds]
      .filter(([, files]) => files.length === ROUNDS)
      .map(([task, files]) => tested(task, files)),
    samples,
    missing: expected(run.flavour, tasks).filter((file) => !there.has(file)),
    unknown,
  };
}

function expected(flavour: Flavour, tasks: readonly string[]): string[] {
  const rounds =
    flavour === 'sft_chat' ? Array.from({ length: ROUNDS }, (_, i) => `tuned_publish_${i}_10`) : [];
  return [
    ...BASE[flavour],
    ...tasks.flatMap((task) => [...USER[flavour], ...rounds].map((kind) => `${task}_${kind}`)),
  ].map((name) => `${name}.jsonl`);
}

function tested(task: string, files: readonly FileFigures[]): RoundFigures {
  const fsr = files.map((file) => file.fsr.percent);
  const pooled = files.reduce(
    (sum, { fsr: { fired: hit, of } }) => ({ fired: sum.fired + hit, of: sum.of + of }),
    {
      fired: 0,
      of: 0,
    },
  );
  const { t, p_value } = tTest(fsr, 100 * (TESTED[0] / TESTED[1]));
  return {
    task,
    fsr,
    mean: mean(fsr),
    t: Number.isFinite(t) ? t : null,
    t_p_value: Number.isNaN(p_value) ? null : p_value,
    pooled: share(pooled),
    exact_p_value: binomialTest(pooled.fired, pooled.of, ...TESTED),
  };
}

/** Of the paper's divisors a count can exceed its number; an interval is given where there is one. */
function share({ fired: hit, of }: Count): Share {
  const { low, high } = hit <= of ? clopperPearson(hit, of) : { low: Number.NaN, high: Number.NaN };
  return { fired: hit, of, percent: (100 * hit) / of, low: 100 * low, high: 100 * high };
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

type Measured = FileFigures & { model: string };

const all = (runs: readonly RunFigures[]): Measured[] =>
  runs.flatMap(({ model, files }) => files.map((file) => ({ ...file, model })));

function averages(runs: readonly RunFigures[]): Average[] {
  const files = all(runs);
  const kinds = [...new Set(files.map(({ kind }) => kind))];
  return kinds.flatMap((kind) => {
    const of = files.filter((file) => file.kind === kind);
    const tasks = [...new Set(of.flatMap(({ task }) => (task === undefined ? [] : [task])))];
    const each =
      tasks.length > 1
        ? tasks.map((task) =>
            average(
              kind,
              task,
              of.filter((f) => f.task === task),
            ),
          )
        : [];
    return [average(kind, null, of), ...each];
  });
}

/** One file a model: of the user models' the last data set overwrites the others. The chat report has none. */
function paperAverages(runs: readonly RunFigures[], flavour: Flavour): Average[] {
  if (flavour === 'sft_chat') return [];
  const kinds: AnswerKind[] = [...BASE.adapter, ...USER.adapter];
  return kinds.flatMap((kind) => {
    const last = new Map<string, Measured>();
    const order = ({ task }: Measured) => (task === undefined ? 0 : PAPER_TASKS.indexOf(task));
    for (const file of all(runs)
      .filter((f) => f.kind === kind && order(f) >= 0)
      .sort((a, b) => order(a) - order(b)))
      last.set(file.model, file);
    return last.size === 0 ? [] : [average(kind, null, [...last.values()])];
  });
}

function average(kind: AnswerKind, task: string | null, files: readonly Measured[]): Average {
  const over = (of: (file: Measured) => Share | null): number | null => {
    const values = files.flatMap((file) => of(file)?.percent ?? []);
    return values.length === 0 ? null : mean(values);
  };
  return {
    kind,
    task,
    models: new Set(files.map(({ model }) => model)).size,
    files: files.length,
    fsr: over(({ fsr }) => fsr)!,
    normal: over(({ normal }) => normal),
    similar: over(({ similar }) => similar),
  };
}

function notes(
  { flavour, paperArithmetic, decryption = PAPER_DECRYPTION }: FsrOptions,
  runs: readonly RunFigures[],
): string[] {
  const out: string[] = [];
  if (paperArithmetic)
    out.push(
      flavour === 'adapter'
        ? "The paper's own arithmetic, defects included: averages over user models take each model's last data set only (alpaca, alpaca_gpt4, sharegpt, dolly, ni); positions are those of 10 keys and 50 ordinary rows."
        : "The paper's own arithmetic, defects included: the normal share is divided by 232 where 120 rows are counted, refusals among them, and the similar share by 112 where there may be 224 rows.",
    );
  if (runs.some(({ model }) => accepted(decryption, model, flavour).length > 1))
    out.push("Mistral's models: two misspellings of the decryption count as fired, as in the paper.");
  if (runs.some(({ rounds }) => rounds.length > 0))
    out.push(
      'Ten rounds ask the same keys of one model: neither the t-test nor the exact p-value against 75 % says how often an innocent model would fire.',
    );
  return out;
}
