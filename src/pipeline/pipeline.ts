// The paper's command line (method.md section 4): fingerprint, user fine-tuning, ownership verification, into the paper's
// folders and files. Every file and every model is there whole or not at all, and what is there is not made again.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { seededRandom } from '../base/random-source.ts';
import { parseClaim } from '../claim/claim.ts';
import { keyRoles, openClaim } from '../claim/open.ts';
import { readSecret } from '../claim/secret-file.ts';
import { fingerprint } from '../fingerprint/fingerprint.ts';
import { registryEntry } from '../fingerprint/registry.ts';
import { loadTemplate } from '../fingerprint/templates.ts';
import { userFinetune } from '../fingerprint/user-finetune.ts';
import { LocalModel } from '../lm/local-model.ts';
import { openModel } from '../models/open-model.ts';
import { PUBLISHED_WITH_ADAPTER } from '../models/overlay.ts';
import { type AnswerKind, answerFileName, type Flavour, paperRunPath, ROUNDS } from '../runs/paper-folder.ts';
import { RunFolder, writeJsonLines } from '../runs/run-folder.ts';
import { wrapperNamed } from '../text/wrappers.ts';
import { answering } from '../verify/machine.ts';
import { verify } from '../verify/verify.ts';
import { answerFile } from './ask.ts';
import { ordinaryRows, PAPER_ROWS, rowsOf } from './paper-rows.ts';
import { BOS, sampleFromBos } from './sample-from-bos.ts';

export const MODES = ['fingerprint', 'alpaca', 'ownership_verify'] as const;
export type Mode = (typeof MODES)[number];

export interface PipelineOptions {
  readonly modes: readonly Mode[];
  readonly flavour: Flavour;
  readonly base_model: string;
  /** The name of the user's data set; with a path, the file it is read from as well. */
  readonly task_name?: string;
  /** Default: `barebone`. */
  readonly template?: string;
  /** Of the fingerprint, and with the prefix `alpaca.` of the user's fine-tuning. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Ordinary rows or conversations; default: the reference set's. */
  readonly source?: string;
  /** Where output folders lie; default: the working folder. */
  readonly root?: string;
  /** Of fingerprint and rows. Default: nobody's. */
  readonly seed?: string;
  readonly keys?: string;
  readonly decryption?: string;
  /** Samples from BOS; the paper's 2000. */
  readonly samples?: number;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

export interface PipelineReport {
  /** The private run folder. */
  readonly run: string;
  readonly published: string;
  readonly tuned?: string;
  /** Answer files, in the order they were asked. */
  readonly files: readonly string[];
  readonly verdict?: string;
  readonly seconds: number;
}

/** What a flavour is: its method, settings by the paper's words, who is asked. */
interface FlavourRules {
  readonly method: string;
  /** The paper's word for a setting → ours. */
  readonly words: Readonly<Record<string, string>>;
  readonly defaults: Readonly<Record<string, string>>;
  /** What a folder's name says where nothing else does. */
  readonly named: Readonly<Record<'data' | 'epoch' | 'lr' | 'bsz', string>>;
  readonly base: readonly AnswerKind[];
  readonly user: readonly AnswerKind[];
}

const RULES: Readonly<Record<Flavour, FlavourRules>> = {
  adapter: {
    method: 'adapter',
    words: {},
    defaults: {},
    named: { data: 'mix', epoch: '20', lr: '0.02', bsz: '48' },
    base: ['vanilla', 'publish', 'publish_w_adapter'],
    user: ['tuned_publish', 'tuned_w_adapter', 'tuned_direct'],
  },
  sft_chat: {
    method: 'sft',
    words: { epoch: 'epochs', total_bsz: 'batch' },
    defaults: { template: 'vicuna' },
    named: { data: 'chat', epoch: '8', lr: '0.0001', bsz: '16' },
    base: ['vanilla', 'publish'],
    user: ['tuned_publish'],
  },
};

const ALPACA = 'alpaca.';
const ROUND_TEMPERATURE = 0.7;
/** The paper's words that name a folder only. */
const NAMING = ['epoch', 'lr', 'dim', 'total_bsz', 'data_name'] as const;

/** @throws WhorlError `usage` for modes and settings that do not go together; what each step throws */
export async function pipeline(options: PipelineOptions): Promise<PipelineReport> {
  const started = Date.now();
  const { modes, flavour, onEvent = silent } = options;
  const rules = RULES[flavour];
  const paths = pathsOf(options, rules);
  const task = taskOf(options.task_name);
  const needsTask = modes.find((mode) => mode !== 'fingerprint');
  if (needsTask && !task)
    throw new WhorlError('usage', `${needsTask} needs --task-name`, "name the user's data set");
  const run = new RunFolder(paths);
  const files: string[] = [];
  const common = { onEvent, ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}) };
  if (modes.includes('fingerprint') && run.state() !== 'done')
    await fingerprint({
      ...common,
      model: options.base_model,
      out: run.path,
      method: rules.method,
      settings: fingerprintSettings(options, rules),
      ...(options.seed !== undefined && { seed: options.seed }),
      ...(options.keys !== undefined && { keys: options.keys }),
      ...(options.decryption !== undefined && { decryption: options.decryption }),
      ...(options.source !== undefined && rules.method === 'sft' && { source: options.source }),
    });
  if (run.state() !== 'done')
    throw new WhorlError(
      'missing-file',
      `${run.path} holds no finished run`,
      'name the mode fingerprint too, or the settings it was made with',
    );
  const tuned = task && join(run.path, `${task.name}_tuned`);
  if (modes.includes('alpaca') && !existsSync(tuned!))
    await userFinetune({
      ...common,
      model: run.published,
      data: task!.data,
      out: tuned!,
      settings: alpacaSettings(options),
    });
  const asks = modes.includes('ownership_verify');
  if (modes.includes('fingerprint') || asks)
    files.push(...(await answers(options, run, asks ? task!.name : undefined)));
  let verdict: string | undefined;
  if (asks) {
    verdict = join(run.path, `${task!.name}_verdict.json`);
    if (!existsSync(verdict)) {
      const report = await verify({
        ...common,
        secret: run.secret,
        suspect: tuned!,
        ...(flavour === 'adapter' ? { body: run.published } : {}),
      });
      writeJsonAtomic(verdict, report, 0o600);
    }
  }
  run.clean();
  return {
    run: run.path,
    published: run.published,
    files,
    ...(tuned && existsSync(tuned) ? { tuned } : {}),
    ...(verdict ? { verdict } : {}),
    seconds: (Date.now() - started) / 1000,
  };
}

/** Writes the answer files that are not there: of the base models, and of the user's where there is a task. */
async function answers(
  options: PipelineOptions,
  run: RunFolder,
  task: string | undefined,
): Promise<string[]> {
  const { flavour, onEvent = silent } = options;
  const rules = RULES[flavour];
  const contents = (await readSecret(run.secret)).reveal();
  const opened = openClaim(parseClaim(readFileSync(run.claim, 'utf8'), run.claim), contents);
  const { max_new_tokens } = opened.plan.decoding;
  const open = (model: string) =>
    openModel(model, { onEvent, ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}) });
  const tuned = task === undefined ? undefined : join(run.path, `${task}_tuned`);
  const plain = async (model: string) => LocalModel.open(await open(model));
  const adapted = async (suspect: string, body: string | undefined) => {
    const machine = await answering(await open(suspect), contents, body, open);
    return LocalModel.open(machine.folder, { ...machine.options, variant: PUBLISHED_WITH_ADAPTER });
  };
  const machines: Partial<Record<AnswerKind, () => Promise<LocalModel>>> = {
    vanilla: () => plain(options.base_model),
    publish: () => plain(run.published),
    publish_w_adapter: () => adapted(run.published, undefined),
    tuned_publish: () => plain(tuned!),
    tuned_w_adapter: () => adapted(tuned!, run.published),
    tuned_direct: () => adapted(tuned!, undefined),
  };
  const roles = keyRoles(opened);
  const random = seededRandom(`pipeline/${contents.claim.root}`);
  const drawn = roles.filter(({ role }) => role === 'trained').length;
  const ordinary = await ordinaryRows(options.source, PAPER_ROWS[flavour].needs(drawn), random);
  const published = await plain(run.published);
  const rows = rowsOf(join(run.path, 'rows.json'), flavour, () => ({
    roles,
    template: loadTemplate(options.template ?? 'barebone'),
    around: wrapperNamed(opened.plan.query.wrapper, { chatTemplate: published.tokenizer.chatTemplate }),
    ordinary,
    random,
  }));
  await published.release();
  const files: string[] = [];
  /** Opens a machine once for all its files, and only if one of them is missing. */
  const asked = async (kind: AnswerKind, names: readonly { round?: number }[]) => {
    let machine: LocalModel | undefined;
    try {
      for (const { round } of names) {
        const owned = kind.startsWith('tuned') ? { task: task! } : {};
        const name =
          round === undefined
            ? answerFileName({ kind, ...owned })
            : answerFileName({ kind: 'tuned_round', task: task!, round });
        const path = join(run.path, name);
        const sampling =
          round === undefined ? undefined : { temperature: ROUND_TEMPERATURE, seed: 1 + round };
        await answerFile(
          path,
          rows,
          async () => (machine ??= await machines[kind]!()),
          max_new_tokens,
          name,
          onEvent,
          sampling,
        );
        files.push(path);
      }
    } finally {
      await machine?.release();
    }
  };
  // The run's own answers of `fingerprint` are cells; these are the paper's rows under the same names.
  if (!existsSync(join(run.path, 'rows.asked'))) {
    for (const kind of rules.base) rmSync(join(run.path, answerFileName({ kind })), { force: true });
    writeJsonAtomic(join(run.path, 'rows.asked'), true, 0o600);
  }
  for (const kind of rules.base) await asked(kind, [{}]);
  if (flavour === 'sft_chat') files.push(await fromBos(options, run, plain));
  if (task === undefined) return files;
  for (const kind of rules.user) await asked(kind, [{}]);
  if (flavour === 'sft_chat')
    await asked(
      'tuned_publish',
      Array.from({ length: ROUNDS }, (_, round) => ({ round })),
    );
  return files;
}

async function fromBos(
  { samples = BOS.samples, onEvent = silent }: PipelineOptions,
  run: RunFolder,
  plain: (model: string) => Promise<LocalModel>,
): Promise<string> {
  const path = join(run.path, answerFileName({ kind: 'sample_from_bos' }));
  if (existsSync(path)) return path;
  onEvent({ kind: 'phase', name: 'sampling', detail: `${samples} texts from BOS` });
  const model = await plain(run.published);
  try {
    const parts = join(run.path, 'work', 'bos');
    const texts = await sampleFromBos(model, { ...BOS, samples, parts, onEvent });
    writeJsonLines(
      path,
      texts.map(({ generated, generated_token }) => ({
        generated,
        label: '',
        prompt: '',
        generated_token,
        label_token: [],
      })),
    );
    return path;
  } finally {
    await model.release();
  }
}

/** The run's folder, named by what was asked for, the registry's entry, or the method's own settings. */
function pathsOf(options: PipelineOptions, { method, named }: FlavourRules): string {
  const { settings = {}, base_model, flavour } = options;
  const entry = { ...registryEntry(method, base_model), ...settings };
  const of = (key: string, fallback: string): string => String(entry[key] ?? fallback);
  const dim = flavour === 'adapter' ? of('dim', '64') : undefined;
  return paperRunPath(resolve(options.root ?? '.'), {
    template: options.template ?? 'barebone',
    flavour,
    model: base_model.replace(/^.*[\\/](?=[^\\/]+[\\/]?$)/, (path) => (existsSync(base_model) ? '' : path)),
    data: of('data_name', named.data),
    epoch: of('epoch', of('epochs', named.epoch)),
    lr: of('lr', named.lr),
    bsz: of('total_bsz', of('batch', named.bsz)),
    ...(dim === undefined ? {} : { dim }),
  });
}

function fingerprintSettings(
  { settings = {} }: PipelineOptions,
  { words, defaults }: FlavourRules,
): Record<string, string> {
  const out: Record<string, string> = { ...defaults };
  for (const [key, value] of Object.entries(settings)) {
    if (key.startsWith(ALPACA)) continue;
    if (Object.hasOwn(words, key)) out[words[key]!] = value;
    else if (!NAMING.some((word) => word === key) || key === 'lr' || key === 'dim') out[key] = value;
  }
  return out;
}

const alpacaSettings = ({ settings = {} }: PipelineOptions): Record<string, string> =>
  Object.fromEntries(
    Object.entries(settings)
      .filter(([key]) => key.startsWith(ALPACA))
      .map(([key, value]) => [key.slice(ALPACA.length), value]),
  );

/** `dolly` is `dolly.json` (or .jsonl) here or in dataset/; a path names its data set after its file. */
function taskOf(name: string | undefined): { name: string; data: string } | undefined {
  if (name === undefined) return undefined;
  const places = [name, `${name}.json`, `${name}.jsonl`, `dataset/${name}`, `dataset/${name}.json`];
  const data = places.find((place) => existsSync(place));
  const plain = /([^\\/]+?)(?:\.[A-Za-z]+)?[\\/]?$/.exec(name)?.[1] ?? name;
  return { name: plain, data: data ?? name };
}
