// A job's folder: program, batches, settings, how it is run, and the digest of every file. Private (mode 0700), and the same
// bytes for the same training but for what is encrypted.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic, writeFolderAtomic, writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { packageRoot } from '../base/package-root.ts';
import { sha256Hex } from '../base/sha256.ts';
import { SOFTWARE } from '../base/software.ts';
import { encryptBytes } from '../claim/secret-file.ts';
import type { Model } from '../models/model.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { arrayEntry, safetensorsBytes } from '../sources/checkpoints/write-safetensors.ts';
import { decayOf } from '../train/optimiser.ts';
import { lowRankPart } from '../train/trains.ts';
import { type JobBatches, jobBatches } from './batches.ts';
import { checkLaunch } from './check-launch.ts';
import type { JobTraining, JobTrains, LaunchOptions } from './job.ts';
import { MANIFEST, manifestOf } from './manifest.ts';
import { overlayBytes } from './overlay.ts';

/** Files of the package that go into every job as they are. */
const PROGRAM = [
  ...(['train.py', 'job_files.py', 'requirements.txt', 'run.sh'] as const),
  ...(['slurm.sh', 'jobset.yaml'] as const),
] as const;

export const assetText = (name: (typeof PROGRAM)[number] | 'ask.py' | 'ask.sh'): string =>
  readFileSync(join(packageRoot(), 'assets', 'launch', name), 'utf8');

/** A job before it is written. */
export interface PlannedJob {
  readonly files: ReadonlyMap<string, string | Uint8Array>;
  /** Files by which keys could be told, which alone are encrypted: the examples, and rows laid over a model. */
  readonly secret: ReadonlyMap<string, Uint8Array>;
  readonly batches: Pick<JobBatches, 'tokensOf'>;
  /** sha256 over everything but what encryption makes different each time. */
  readonly asked: string;
}

const BATCHES = 'batches.safetensors';
const OVERLAY = 'overlay.safetensors';

/** @throws WhorlError `unsupported` for a training that torch's program cannot do as Whorl does */
export async function planJob(training: JobTraining, launch: LaunchOptions): Promise<PlannedJob> {
  checkLaunch(training.model, launch);
  const { nproc = 1, nnodes = 1, dtype = 'float32' } = launch;
  const { trains, optimiser, trained, rates, keep, keep_below = null } = training;
  const { batch_tokens, recompute, checkpoint_seconds, settings } = training;
  const start = startOf(training);
  // By name, so that which parameters decay is decided here alone.
  const decays = Object.fromEntries(
    [...trained.shapes].map(([name, shape]) => [name, decayOf(optimiser, name, shape)]),
  );
  const job = {
    format: 'whorl-job',
    version: 1,
    software: SOFTWARE,
    engine: launch.engine,
    ranks: nproc * nnodes,
    dtype,
    trains: trainsOf(training),
    optimiser: { ...optimiser, clip: Number.isFinite(optimiser.clip) ? optimiser.clip : null, decays },
    rates,
    keep,
    keep_below,
    batch_tokens: batch_tokens > 0 ? batch_tokens : 2 ** 31,
    recompute,
    checkpoint_seconds,
    model: { files: modelFiles(training.model) },
    settings,
  };
  const overlay = trains.kind === 'overlay' ? trains : undefined;
  const batches = await jobBatches(rates.length, (step) => training.batch(step), overlay !== undefined);
  const secret = new Map([
    [BATCHES, batches.bytes],
    ...(overlay ? [[OVERLAY, overlayBytes(overlay, rates.length)] as const] : []),
  ]);
  const files = new Map<string, string | Uint8Array>([
    ['job.json', `${JSON.stringify(job, null, 1)}\n`],
    ['launch.env', `MODEL=${training.model.folder}\nNPROC=${nproc}\nNNODES=${nnodes}\n`],
    ...PROGRAM.map((name): [string, string] => [name, assetText(name)]),
    ...(start ? [['start.safetensors', start] as const] : []),
  ]);
  const parts = [...files, ...secret].flatMap(([name, data]) => [name, sha256Hex(data)]);
  return { files, secret, batches, asked: sha256Hex(JSON.stringify(parts)) };
}

/** At every moment the folder is absent or complete. @returns the job's id */
export async function writeJob(
  folder: string,
  { files, secret }: Pick<PlannedJob, 'files' | 'secret'>,
  { encryptTo = [] }: Pick<LaunchOptions, 'encryptTo'>,
): Promise<string> {
  const all = new Map(files);
  for (const [name, bytes] of secret)
    if (encryptTo.length === 0) all.set(name, bytes);
    else all.set(`${name}.age`, await encryptBytes(bytes, { recipients: encryptTo }));
  const manifest = manifestOf(all);
  await writeFolderAtomic(
    folder,
    (temporary) => {
      for (const [name, data] of all) writeFileAtomic(join(temporary, name), data, 0o600);
      writeFileAtomic(join(temporary, MANIFEST), manifest, 0o600);
    },
    0o700,
  );
  return sha256Hex(manifest);
}

export const isEncrypted = (folder: string): boolean => existsSync(join(folder, `${BATCHES}.age`));

/** What the program takes: Whorl's names of what trains, and transformers' of where it lies. */
function trainsOf({ trains, trained, model }: JobTraining): object {
  const there = (name: string): string => model.decoder.canonical?.(name) ?? name;
  return SHAPES[trains.kind](trains as never, trained, there, model.decoder.embedding);
}

type Shape<K extends JobTrains['kind']> = (
  trains: Extract<JobTrains, { kind: K }>,
  trained: JobTraining['trained'],
  there: (name: string) => string,
  embedding: string,
) => object;

const tensorNames = ({ shapes }: JobTraining['trained'], there: (name: string) => string) =>
  Object.fromEntries([...shapes.keys()].map((name) => [name, there(name)]));

const SHAPES: { readonly [K in JobTrains['kind']]: Shape<K> } = {
  tensors: (_, trained, there) => ({ kind: 'tensors', tensors: tensorNames(trained, there) }),
  lookups: (_, trained, there) => ({ kind: 'lookups', tensors: tensorNames(trained, there) }),
  'low-rank': ({ rank, alpha }, { changed }, there, embedding) => ({
    kind: 'low-rank',
    scale: alpha / rank,
    layers: [...changed!].map((name) => ({
      module: there(name).replace(/\.weight$/, ''),
      a: lowRankPart(name, 'A', name === embedding),
      b: lowRankPart(name, 'B', name === embedding),
    })),
  }),
  overlay: ({ change: { overlay, groups, E }, reference, loss, logits }) => ({
    kind: 'overlay',
    rows: overlay.ids.length,
    width: E,
    groups: groups?.count ?? null,
    scale: overlay.adapter?.scale ?? null,
    positions: reference?.count ?? null,
    loss,
    logits: { scale: logits.scale ?? null, softcap: logits.softcap ?? null },
  }),
  rows: () => {
    throw new WhorlError(
      'unsupported',
      'a job for torchrun does not train single embedding rows in a fine-tuning',
      'train with Whorl’s own engine (without --launch)',
    );
  },
};

/** What begins at random; the rest begins as the model has it. */
function startOf({ trains, trained, seed }: JobTraining): Uint8Array | undefined {
  if (trains.kind !== 'low-rank') return undefined;
  return safetensorsBytes(
    [...trained.start!(seed).slots].map(([name, { shape, value }]) => arrayEntry(name, value, shape)),
  );
}

export const modelFiles = ({ files }: Model): Readonly<Record<string, string>> =>
  Object.fromEntries(files.map(({ name, path }) => [name, digestFile(path)]));

/** Which job a folder beside this file is, and what it was asked for. */
export const keepTicket = (path: string, ticket: Ticket): void => writeJsonAtomic(path, ticket, 0o600);

export const ticketSchema = z.object({ job: z.string(), asked: z.string() });
export type Ticket = Readonly<z.infer<typeof ticketSchema>>;
