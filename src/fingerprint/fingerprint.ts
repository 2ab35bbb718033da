// `whorl fingerprint`: commit, draw, train rows, publish, keep the secret, measure every cell. Resumable at any moment.

import { existsSync } from 'node:fs';
import { writeJsonAtomic } from '../base/atomic.ts';
import { Secret } from '../base/secret.ts';
import { SOFTWARE } from '../base/software.ts';
import type { Claim } from '../claim/claim.ts';
import { keyRoles, openClaim } from '../claim/open.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import { writeSecret } from '../claim/secret-file.ts';
import { cpu } from '../engine/session.ts';
import { GreedyDecoder } from '../lm/decoder.ts';
import { modelName } from '../models/open-model.ts';
import type { Overlay } from '../models/overlay.ts';
import { writeJsonLines } from '../runs/run-folder.ts';
import { openCheckpoint } from '../sources/checkpoints/checkpoint.ts';
import { digestTensors } from '../sources/checkpoints/digest.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import { loadReference } from '../text/reference.ts';
import { begin, type FingerprintOptions, randomOf, type Setting } from './begin.ts';
import { type CellResult, type MeasuredCell, measure } from './cells.ts';
import { commit, digestsOf, positionsOf } from './commit.ts';
import { type Harm, harmOf } from './harm.ts';
import type { TrainContext } from './methods/method.ts';
import { PrefixCache } from './prefix-cache.ts';
import { publish } from './publish.ts';
import type { SampleSizes } from './reference-positions.ts';
import { type TrainedRows, trainRows } from './train.ts';

export type { FingerprintOptions } from './begin.ts';

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
  readonly rows: number;
  readonly kl?: readonly Harm[];
}

const HELD_OUT: SampleSizes = { primary: 1024, other: 1024 };

/**
 * @throws WhorlError `exists` for a finished run's folder, `mismatch` for an interrupted run of other options,
 *   `too-few-rows`, `not-reached`, and what opening the model throws
 */
export async function fingerprint(options: FingerprintOptions): Promise<FingerprintReport> {
  const setting = await begin(options);
  const { run, method, settings, model, tokenizer, embedding, onEvent } = setting;
  const { secret, overlay, reference } = await commit(setting);
  const contents = secret.reveal();
  const opened = openClaim(contents.claim as Claim, contents);
  const prefixes = new PrefixCache(model, cpu);
  const context: TrainContext = {
    model,
    tokenizer,
    plan: contents.plan,
    roles: keyRoles(opened),
    prefixes,
    random: randomOf(setting.start),
  };
  try {
    const tied = model.decoder.config.tie_word_embeddings;
    const dtype = floatDtype(embedding);
    onEvent({ kind: 'phase', name: 'training', detail: `${overlay.ids.length} embedding rows` });
    const trained = await trainRows({
      method,
      context,
      settings,
      overlay,
      dtype,
      checkpoint: run.checkpoint,
      resume: existsSync(run.checkpoint),
      device: cpu,
      onEvent,
      ...(reference ? { positions: reference } : {}),
    });
    await release(setting, contents, overlay, trained.rows);
    const cells = await report(setting, context, { ...overlay, rows: trained.rows });
    const kl = tied
      ? harmOf(
          model,
          await positionsOf(setting, 'heldOut', HELD_OUT, overlay.ids, overlay.rows),
          trained.rows.map((x, i) => x - overlay.rows[i]!),
        )
      : undefined;
    return finish(setting, contents, trained, cells, kl);
  } finally {
    await prefixes.release();
  }
}

/** Publishes, then completes the secret. A run killed in between does the rest when it is resumed. */
async function release(
  setting: Setting,
  contents: SecretContents,
  overlay: Overlay,
  rows: Float32Array,
): Promise<void> {
  const { run, folder, model, embedding, options, onEvent } = setting;
  const dtype = floatDtype(embedding);
  onEvent({ kind: 'phase', name: 'publishing', detail: run.published });
  if (!existsSync(run.published))
    await publish(
      folder,
      run.published,
      {
        tensor: model.decoder.embedding,
        ids: overlay.ids,
        rows,
        dtype,
        claimRoot: contents.claim.root,
        name: `${modelName(folder)}, fingerprinted`,
      },
      onEvent,
    );
  const published = openCheckpoint(run.published);
  const base64 = (values: Float32Array) => Buffer.from(fromFloat32(values, dtype)).toString('base64');
  const complete: SecretContents = {
    ...contents,
    rows: {
      tensor: model.decoder.embedding,
      dtype,
      width: model.decoder.config.hidden_size,
      ids: [...overlay.ids],
      vanilla: base64(overlay.rows),
      published: base64(rows),
    },
    published: digestsOf(published.tensors, digestTensors(published), model),
  };
  await writeSecret(run.secret, new Secret(complete), options.lock);
}

/** Every cell of the report, measured anew, and the paper's answer files. */
async function report(setting: Setting, context: TrainContext, overlay: Overlay): Promise<CellResult[]> {
  const { run, method, settings, model, tokenizer, onEvent } = setting;
  const decoder = new GreedyDecoder(model, overlay, cpu);
  const measured: { cell: MeasuredCell; variant: { rows: boolean; adapter: boolean } }[] = [];
  onEvent({ kind: 'phase', name: 'measuring', detail: 'every cell anew, by greedy decoding' });
  try {
    const cells = await method.cells(context, settings, 'report');
    for (const [i, cell] of cells.entries()) {
      measured.push({
        cell: await measure(cell, decoder, tokenizer, overlay, context.plan.decoding.max_new_tokens),
        variant: cell.variant,
      });
      onEvent({ kind: 'progress', name: 'measuring', done: i + 1, total: cells.length, note: cell.name });
    }
  } finally {
    await decoder.release();
  }
  const rowsOf = (rows: boolean, adapter: boolean) =>
    measured
      .filter(({ variant }) => variant.rows === rows && variant.adapter === adapter)
      .flatMap(({ cell }) => cell.rows);
  writeJsonLines(run.answers('vanilla'), rowsOf(false, false));
  writeJsonLines(run.answers('publish'), rowsOf(true, false));
  if (overlay.adapter) writeJsonLines(run.answers('publish_w_adapter'), rowsOf(true, true));
  return measured.map(({ cell }) => cell.result);
}

function finish(
  setting: Setting,
  contents: SecretContents,
  trained: TrainedRows,
  cells: readonly CellResult[],
  kl: readonly Harm[] | undefined,
): FingerprintReport {
  const { run, method, settings, folder, model, options, start } = setting;
  const result: FingerprintReport = {
    method: method.name,
    published: run.published,
    secret: run.secret,
    claim: run.claim,
    run: run.run,
    cells,
    seconds: trained.seconds,
    steps: trained.steps,
    tokens: trained.tokens,
    rows: contents.bindings.trainable_rows.length,
    ...(kl ? { kl } : {}),
  };
  writeJsonAtomic(
    run.run,
    {
      format: 'whorl-run',
      version: 1,
      software: SOFTWARE,
      created: start.created,
      model: {
        source: folder.source,
        family: model.decoder.model_type,
        ...(folder.gguf ? { gguf_sha256: folder.gguf.sha256 } : {}),
        vanilla: contents.bindings.vanilla,
      },
      method: method.name,
      settings,
      keys: options.keys ?? 'rare',
      seeded: options.seed !== undefined,
      reference_sha256: loadReference().digest,
      claim_root: contents.claim.root,
      training: {
        steps: trained.steps,
        tokens: trained.tokens,
        seconds: trained.seconds,
        gate: trained.gate,
        kl: trained.kl,
      },
      cells,
      harm: kl ?? 'untied head: no logit of ordinary text moves',
      peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
    },
    0o600,
  );
  run.clean();
  return result;
}
