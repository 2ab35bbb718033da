// An evaluation: tasks × shots, each row asked once, whatever interrupts it. What is done lies beside the results until
// they are written; the same call again goes on, and what it writes is the same bytes.

import { rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AtomicFile, checkWritable, makeFolder, writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { sha256Hex } from '../base/sha256.ts';
import type { QuantisedPrecision } from '../engine/packing.ts';
import type { LanguageModel } from '../lm/language-model.ts';
import { hashesOf, metricsOf, type RowMetrics, samplesOf } from './answers.ts';
import { askRows } from './ask-rows.ts';
import type { Chosen } from './catalogue.ts';
import { type Framing, framingIdentity, PLAIN } from './chat.ts';
import { type Counted, countRequests } from './count.ts';
import { Journal } from './journal.ts';
import type { Mode } from './modes.ts';
import { requestsOf, shotsOf, splitsOf, type TaskRow } from './requests.ts';
import { resultsOf, type TaskResult } from './results.ts';
import { FORMAT, finishedResults } from './results-file.ts';
import { digestsOf, type RowPlace, rowsOf } from './rows.ts';
import { evaluated, pool, type Task } from './task.ts';

export interface EvaluateOptions {
  readonly model: LanguageModel;
  /** As results name it. */
  readonly modelName: string;
  /** Changes whenever the model's files do, or in what it answers. */
  readonly modelIdentity: string;
  /** To which its linear layers are quantised, where they are. */
  readonly precision?: QuantisedPrecision;
  readonly chosen: Chosen;
  readonly shots: readonly number[];
  readonly data: RowPlace;
  /** Folder of results: `{label}/{shots}.json` there, `samples_{task}_{shots}.jsonl` in `OUT.samples`. */
  readonly out: string;
  /** What was asked for, as the folder's name: `paper`, `arc_easy,piqa`. */
  readonly label: string;
  readonly mode: Mode;
  /** Default: plain text. */
  readonly framing?: Framing;
  /** How the tokenizer writes BOS: a request that begins so gets none. */
  readonly bos?: string;
  /** Most rows of a task. */
  readonly limit?: number;
  readonly bootstrap?: number;
  readonly onEvent?: OnEvent;
}

export interface EvaluateReport {
  /** Number of shots → its results file's path and content. */
  readonly results: readonly {
    readonly shots: number;
    readonly path: string;
    readonly content: Record<string, unknown>;
    /** In this call; false: it was there. */
    readonly made: boolean;
  }[];
  /** Rows that were asked in this call. */
  readonly asked: number;
}

/** @throws WhorlError `exists` where results of other settings stand, and what rows, tasks and the model give rise to */
export async function evaluate(options: EvaluateOptions): Promise<EvaluateReport> {
  const { modelIdentity, mode } = options;
  // The sum of everything that answers depend on but the rows, whose requests the journal compares.
  const identity = sha256Hex(JSON.stringify([FORMAT, modelIdentity, mode.name]));
  const results: EvaluateReport['results'][number][] = [];
  let asked = 0;
  const { places } = await prepared(options);
  for (const { shots: each, path, settings, done } of places) {
    if (done) {
      results.push({ shots: each, path, content: done, made: false });
      continue;
    }
    const run = new Run(options, each, identity);
    const content = await run.results(settings);
    asked += run.asked;
    writeJsonAtomic(path, content);
    run.forget();
    results.push({ shots: each, path, content, made: true });
  }
  return { results, asked };
}

interface Place {
  readonly shots: number;
  readonly path: string;
  readonly settings: Record<string, unknown>;
  /** What stands there already. */
  readonly done: Record<string, unknown> | undefined;
}

/** All that can be refused before hours of work: every results file of the call, and the rows of those that are missing. */
export async function prepared(
  options: Omit<EvaluateOptions, 'model'>,
): Promise<{ places: readonly Place[]; counted: ReadonlyMap<number, Counted> }> {
  const places = toWrite(options);
  const { chosen, data, limit, framing, onEvent } = options;
  const shots = places.filter(({ done }) => !done).map((place) => place.shots);
  const counted = await countRequests({ tasks: chosen.tasks, shots, data, limit, framing, onEvent });
  return { places, counted };
}

/** @throws WhorlError `exists`, `missing-file` */
function toWrite(options: Omit<EvaluateOptions, 'model'>): Place[] {
  const { out, label, shots, data } = options;
  const digests = digestsOf(data);
  const places = shots.map((each) => {
    const path = join(out, label, `${each}.json`);
    const settings = settingsOf(options, each, digests);
    return { shots: each, path, settings, done: finishedResults(path, settings) };
  });
  checkWritable(join(out, label, 'x'));
  return places;
}

/** What a results file says of itself, and must say for it to be taken as done. */
function settingsOf(
  {
    modelName,
    modelIdentity,
    precision,
    mode,
    framing = PLAIN,
    limit,
    chosen,
  }: Omit<EvaluateOptions, 'model'>,
  shots: number,
  digests: ReturnType<typeof digestsOf>,
): Record<string, unknown> {
  const rows = chosen.tasks.flatMap((task) =>
    splitsOf(task, [shots]).flatMap((split) => digests(task, split)),
  );
  return {
    model: modelName,
    ...(precision && { precision }),
    weights: modelIdentity,
    mode: mode.name,
    chat: framingIdentity(framing),
    limit: limit ?? null,
    task_versions: Object.fromEntries(chosen.tasks.map(({ name, version }) => [name, version])),
    rows: sha256Hex(rows.join()),
  };
}

/** Where samples and unfinished answers lie: beside the results, whose folder the paper's report reads as a whole. */
const samplesFolder = (out: string): string => join(dirname(out), `${basename(out)}.samples`);

export const samplesFile = (out: string, task: string, shots: number): string =>
  join(samplesFolder(out), `samples_${task}_${shots}.jsonl`);

/** All tasks at one number of shots. */
class Run {
  asked = 0;
  readonly #journals: string[] = [];
  constructor(
    private readonly options: EvaluateOptions,
    private readonly shots: number,
    private readonly identity: string,
  ) {}

  async results(settings: Record<string, unknown>): Promise<Record<string, unknown>> {
    const { chosen, mode, bootstrap, framing, onEvent = silent } = this.options;
    const tasks: TaskResult[] = [];
    for (const [i, task] of chosen.tasks.entries()) {
      const name = `${task.name}, ${this.shots} shots`;
      onEvent({ kind: 'phase', name, detail: `task ${i + 1} of ${chosen.tasks.length}` });
      tasks.push(await this.#task(task, name));
    }
    const figures = resultsOf(tasks, chosen.groups, {
      shots: this.shots,
      mode,
      ...(bootstrap !== undefined && { bootstrap }),
    });
    const { model, limit } = settings;
    return {
      ...figures,
      config: { model: 'whorl', model_args: `pretrained=${model as string}`, limit, fewshot_seed: 1234 },
      ...chatOf(framing),
      model_source: 'whorl',
      model_name: model,
      whorl: { format: FORMAT, ...settings },
    };
  }

  async #task(task: Task, name: string): Promise<TaskResult> {
    const { data, limit, out } = this.options;
    const all = await rowsOf(data, task, evaluated(task));
    const rows = limit === undefined ? all : all.slice(0, limit);
    const shots = shotsOf(task, this.shots);
    const examples = shots === 0 ? [] : await rowsOf(data, task, pool(task));
    const path = join(samplesFolder(out), 'work', `${task.name}_${this.shots}.jsonl`);
    makeFolder(dirname(path));
    this.#journals.push(path);
    const journal = new Journal(path, this.identity);
    try {
      await this.#ask(task, name, rows, examples, journal);
      return { task, original: all.length, ...this.#written(task, rows, examples, journal) };
    } finally {
      journal.close();
    }
  }

  async #ask(
    task: Task,
    name: string,
    rows: readonly TaskRow[],
    examples: readonly TaskRow[],
    journal: Journal,
  ): Promise<void> {
    const { framing, bos, onEvent = silent } = this.options;
    let done = 0;
    const told = (): void => onEvent({ kind: 'progress', name, done: ++done, total: rows.length });
    const asks = function* (shots: number) {
      let row = 0;
      for (const requests of requestsOf(task, rows, examples, shotsOf(task, shots), framing)) {
        const asked = askedHash(requests.requests);
        if (journal.answer(row, asked) === undefined) yield { row, asked, requests };
        else told();
        row++;
      }
    };
    for await (const { row, asked, answer } of askRows(this.options.model, task, asks(this.shots), bos)) {
      journal.add(row, asked, answer);
      this.asked++;
      told();
    }
  }

  /** Metrics from the answers, and the samples' file. */
  #written(task: Task, rows: readonly TaskRow[], examples: readonly TaskRow[], journal: Journal) {
    const { framing } = this.options;
    const metrics: RowMetrics[] = [];
    const hashes: string[] = [];
    const file = new AtomicFile(samplesFile(this.options.out, task.name, this.shots));
    try {
      for (const requests of requestsOf(task, rows, examples, shotsOf(task, this.shots), framing)) {
        const row = metrics.length;
        const answer = journal.answer(row, askedHash(requests.requests))!;
        metrics.push(metricsOf(task, requests, answer));
        hashes.push(...Object.values(hashesOf(requests)));
        const lines = samplesOf(task, row, requests, answer).map(
          (sample) => `${JSON.stringify(sample, plain)}\n`,
        );
        file.write(new TextEncoder().encode(lines.join('')));
      }
      file.commit();
    } finally {
      file.discard();
    }
    return { rows: metrics, hash: sha256Hex(hashes.join('')) };
  }

  /** The answers stand in the samples now. */
  forget(): void {
    for (const path of this.#journals) rmSync(path, { force: true });
  }
}

/** What the harness says of a chat template and a system instruction. */
const chatOf = ({ system, template }: Framing = PLAIN): Record<string, unknown> => ({
  ...(system !== undefined && { system_instruction: system, system_instruction_sha: sha256Hex(system) }),
  ...(template && {
    fewshot_as_multiturn: template.multiturn,
    chat_template: template.source,
    chat_template_sha: sha256Hex(template.source),
  }),
});

const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

const askedHash = (requests: readonly { context: string; continuation: string }[]): string =>
  sha256Hex(JSON.stringify(requests.map(({ context, continuation }) => [context, continuation])));

/** @throws WhorlError `usage` for a number that is given twice or is none */
export function shotsNamed(text: string): number[] {
  const shots = text.split(',').map((each) => each.trim());
  if (shots.every((each) => /^\d{1,3}$/.test(each)) && new Set(shots.map(Number)).size === shots.length)
    return shots.map(Number);
  throw new WhorlError('usage', `--shots ${text} is no list of different whole numbers`, 'write it as 0,1,5');
}
