// What every run ends with: the paper's answer files, run.json with settings and figures, the report.

import { existsSync } from 'node:fs';
import { moveFolder, writeJsonAtomic } from '../base/atomic.ts';
import { SOFTWARE } from '../base/software.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import type { StampPlan } from '../claim/stamp.ts';
import type { Difference } from '../lm/compare-models.ts';
import { type RunFolder, writeJsonLines } from '../runs/run-folder.ts';
import { elements } from '../tensor/tensor.ts';
import { loadReference } from '../text/reference.ts';
import type { Setting } from './begin.ts';
import type { CellResult, MeasuredCell, Who } from './cells.ts';
import type { Harm } from './harm.ts';
import type { WorstHarm } from './harm-limit.ts';
import type { Perplexity } from './held-out-difference.ts';
import { limitOf, trainedRows } from './options.ts';

export interface FingerprintReport {
  readonly method: string;
  readonly published: string;
  readonly secret: string;
  readonly claim: string;
  readonly run: string;
  readonly cells: readonly CellResult[];
  /** Of the training alone. */
  readonly seconds: number;
  readonly steps: number;
  readonly tokens: number;
  /** Embedding rows that may change; 0 where weights do. */
  readonly rows: number;
  /** Parameters that changed, where weights do. */
  readonly parameters?: number;
  /** Of the stamp beside the keys, or of the stamp alone; absent where there is none. */
  readonly stamp?: { readonly matrices: number; readonly parameters: number };
  /** Exact, in double precision, where a tied head's rows change, and of these rows alone: at more positions than `difference`. */
  readonly kl?: readonly Harm[];
  readonly perplexity: readonly Perplexity[];
  /** Vanilla and published on held-out text, by the code of `whorl compare`: language by language, then `all`. */
  readonly difference: readonly Difference[];
  /** The language that suffers most, and the limit that it was published under. */
  readonly harm: WorstHarm & { readonly limit: number };
}

/** What a training tells of itself. */
export interface TrainingFigures {
  readonly steps: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly gate: readonly CellResult[];
  /** Mean KL at ordinary positions kept out of the loss, the worst primary language's. */
  readonly kl?: number;
  /** Of the change that training made, what is published; where weights change. */
  readonly share?: number;
  /** By what a job was run that trained in our place. */
  readonly launched?: Readonly<Record<string, unknown>>;
}

/** The paper's answer files; it has none of the vanilla model under the adapter. */
const FILES = {
  vanilla: 'vanilla',
  published: 'publish',
  'published + adapter': 'publish_w_adapter',
} as const satisfies Partial<Record<Who, string>>;

/** The answers of everybody who was asked and has a file. */
export function writeAnswers(run: RunFolder, measured: readonly MeasuredCell[]): void {
  for (const [who, file] of Object.entries(FILES)) {
    const own = measured.filter((cell) => cell.who === who);
    if (own.length > 0)
      writeJsonLines(
        run.answers(file),
        own.flatMap(({ rows }) => rows),
      );
  }
}

/** Writes run.json, with which a run is done, and takes away what a resumed run would have needed. */
export function finish(
  setting: Setting,
  contents: SecretContents,
  trained: TrainingFigures,
  cells: readonly CellResult[],
  {
    harm,
    worst,
    ...more
  }: Pick<FingerprintReport, 'rows' | 'parameters' | 'kl' | 'perplexity' | 'difference'> & {
    /** What the limit was held against. */
    readonly harm: unknown;
    readonly worst: WorstHarm;
  },
): FingerprintReport {
  const { run, method, settings, model, options, start } = setting;
  const { steps, tokens, seconds, gate, kl, share, launched } = trained;
  const result: FingerprintReport = {
    method: method.name,
    published: run.published,
    secret: run.secret,
    claim: run.claim,
    run: run.run,
    cells,
    seconds,
    steps,
    tokens,
    ...more,
    ...stampFigures(contents.plan.stamp),
    harm: { ...worst, limit: limitOf(setting) },
  };
  writeJsonAtomic(
    run.run,
    {
      format: 'whorl-run',
      version: 1,
      software: SOFTWARE,
      created: start.created,
      model: {
        source: model.source,
        family: model.decoder.model_type,
        ...(model.gguf ? { gguf_sha256: model.gguf.sha256 } : {}),
        vanilla: contents.bindings.vanilla,
        ...(model.ignoredConfigKeys.length > 0 && { ignored_config_keys: model.ignoredConfigKeys }),
      },
      method: method.name,
      settings,
      keys: options.keys ?? 'rare',
      seeded: options.seed !== undefined,
      decryption_given: options.decryption !== undefined,
      source_sha256: trainedRows(options),
      reference_sha256: loadReference().digest,
      claim_root: contents.claim.root,
      training: {
        steps,
        tokens,
        seconds,
        gate,
        ...(kl === undefined ? {} : { kl }),
        ...(share === undefined ? {} : { share }),
        ...(launched && { launched }),
      },
      cells,
      harm,
      difference: more.difference,
      worst_harm: { ...worst, limit: limitOf(setting) },
      peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
    },
    0o600,
  );
  if (options.launch?.keepJob && existsSync(run.job)) moveFolder(run.job, run.keptJob);
  run.clean();
  if (options.lock)
    setting.onEvent({
      kind: 'note',
      text: `the answer files in ${run.path} (.jsonl) hold keys in clear, although the secret is locked: keep the folder to yourself, or remove them`,
    });
  return result;
}

const stampFigures = (stamp: StampPlan | undefined): Pick<FingerprintReport, 'stamp'> =>
  stamp === undefined
    ? {}
    : {
        stamp: {
          matrices: stamp.matrices.length,
          parameters: stamp.matrices.reduce((sum, { shape }) => sum + elements(shape), 0),
        },
      };
