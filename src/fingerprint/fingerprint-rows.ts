// The road of methods that change embedding rows only: the rest of the model stays where it lies.

import { existsSync } from 'node:fs';
import { Secret } from '../base/secret.ts';
import type { Claim } from '../claim/claim.ts';
import { keyRoles, openClaim } from '../claim/open.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import { writeSecret } from '../claim/secret-file.ts';
import { isWaiting, type WaitingJob } from '../launch/job.ts';
import { asking } from '../lm/open.ts';
import { configOptions, openModel } from '../models/open-model.ts';
import type { Overlay } from '../models/overlay.ts';
import { digestTensors } from '../sources/checkpoints/digest.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import { type RowsSetting, randomOf } from './begin.ts';
import { type CellResult, measureCells, underOverlay } from './cells.ts';
import { commit, digestsOf, heldOutPositions } from './commit.ts';
import { type FingerprintReport, finish, writeAnswers } from './finish.ts';
import { harmOf } from './harm.ts';
import { checkHarm, type HarmFigures, worstHarm } from './harm-limit.ts';
import { heldOutDifference } from './held-out-difference.ts';
import { jobPlaceOf } from './job-place.ts';
import type { TrainContext } from './methods/method.ts';
import { limitOf, stretchOf } from './options.ts';
import { PREFIX_TOKENS, PrefixCache } from './prefix-cache.ts';
import { publish } from './publish.ts';
import type { SampleSizes } from './reference-positions.ts';
import { trainRows } from './train.ts';

const HELD_OUT: SampleSizes = { primary: 1024, other: 1024 };

/** Only embedding rows train: the published folder is the vanilla one with other bytes in them. */
export async function fingerprintRows(setting: RowsSetting): Promise<FingerprintReport | WaitingJob> {
  const { run, method, settings, model, device, tokenizer, embedding, options, onEvent } = setting;
  const { launch } = options;
  const { secret, overlay, reference } = await commit(setting);
  const contents = secret.reveal();
  const opened = openClaim(contents.claim as Claim, contents);
  const cache = launch ? undefined : new PrefixCache(model, device);
  const context: TrainContext = {
    model,
    tokenizer,
    plan: contents.plan,
    roles: keyRoles(opened),
    prefixes: cache ?? PREFIX_TOKENS,
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
      stretch: stretchOf(options),
      ...(launch && { job: { place: jobPlaceOf(setting), launch } }),
      device,
      onEvent,
      ...(reference ? { positions: reference } : {}),
    });
    if (isWaiting(trained)) return trained;
    const kl = tied
      ? harmOf(
          model,
          await heldOutPositions(setting, HELD_OUT, overlay),
          trained.rows.map((x, i) => x - overlay.rows[i]!),
        )
      : undefined;
    const figures: HarmFigures = kl ? { kind: 'kl', of: kl } : { kind: 'untied' };
    const worst = existsSync(run.published) ? worstHarm(figures) : checkHarm(figures, limitOf(setting));
    await release(setting, contents, overlay, trained.rows, figures);
    onEvent({ kind: 'phase', name: 'held-out text', detail: 'vanilla and published' });
    const difference = await heldOutDifference(setting, run.published);
    const cells = await report(setting, context, { ...overlay, rows: trained.rows });
    return finish(setting, contents, trained, cells, {
      rows: contents.bindings.trainable_rows.length,
      worst,
      ...difference,
      harm: kl ?? 'untied head: no logit of ordinary text moves',
      ...(kl ? { kl } : {}),
    });
  } finally {
    await cache?.release();
  }
}

/** Publishes, then completes the secret. A run killed in between does the rest when it is resumed. */
async function release(
  setting: RowsSetting,
  contents: SecretContents,
  overlay: Overlay,
  rows: Float32Array,
  harm: HarmFigures,
): Promise<void> {
  const { run, model, embedding, options, onEvent } = setting;
  const dtype = floatDtype(embedding);
  onEvent({ kind: 'phase', name: 'publishing', detail: run.published });
  if (!existsSync(run.published))
    await publish(
      model,
      run.published,
      {
        tensor: model.decoder.embedding,
        ids: overlay.ids,
        rows,
        dtype,
        claimRoot: contents.claim.root,
        harm,
      },
      onEvent,
    );
  const published = await openModel(run.published, configOptions(options));
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
async function report(setting: RowsSetting, context: TrainContext, overlay: Overlay): Promise<CellResult[]> {
  const { run, method, settings, model, device, tokenizer, onEvent } = setting;
  const name = 'measuring';
  onEvent({ kind: 'phase', name, detail: 'every cell anew, by greedy decoding' });
  const cells = await method.cells(context, settings, 'report');
  const measured = await asking({ kind: 'model', model, overlay, tokenizer }, { device }, (asked) =>
    measureCells(cells, {
      tokenizer,
      max_new_tokens: context.plan.decoding.max_new_tokens,
      answerer: underOverlay(asked, overlay),
      strict: false,
      onMeasured: (done, total, cell) => onEvent({ kind: 'progress', name, done, total, note: cell.name }),
    }),
  );
  writeAnswers(run, measured);
  return measured.map(({ result }) => result);
}
