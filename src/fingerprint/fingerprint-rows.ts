// The road of methods that train embedding rows only: the rest of the model stays where it lies, or gets the stamp.

import { existsSync, rmSync } from 'node:fs';
import type { Claim } from '../claim/claim.ts';
import { keyRoles, openClaim } from '../claim/open.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import type { DrawnStamp } from '../claim/stamp.ts';
import { isWaiting, type WaitingJob } from '../launch/job.ts';
import type { LocalModel } from '../lm/local-model.ts';
import { asking } from '../lm/open.ts';
import type { Model } from '../models/model.ts';
import { configOptions, openModel } from '../models/open-model.ts';
import type { Overlay } from '../models/overlay.ts';
import { writePatchedFolder } from '../sources/checkpoints/patched-folder.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import { type RowsSetting, randomOf } from './begin.ts';
import { type CellResult, measureCells, underOverlay } from './cells.ts';
import { commit, heldOutPositions } from './commit.ts';
import { type FingerprintReport, finish, writeAnswers } from './finish.ts';
import { harmOf } from './harm.ts';
import type { HarmFigures } from './harm-limit.ts';
import type { HeldOutDifference } from './held-out-difference.ts';
import { jobPlaceOf } from './job-place.ts';
import type { TrainContext } from './methods/method.ts';
import { stretchOf } from './options.ts';
import { PREFIX_TOKENS, PrefixCache } from './prefix-cache.ts';
import { publishCandidate } from './publish-candidate.ts';
import type { SampleSizes } from './reference-positions.ts';
import { writeStamped } from './stamped.ts';
import { trainRows } from './train.ts';

const HELD_OUT: SampleSizes = { primary: 1024, other: 1024 };

/** Only embedding rows train: the published folder is the vanilla one, stamped or not, with other bytes in them. */
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
  const body = opened.stamp ? await stampedBody(setting, opened.stamp) : model;
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
      ...(body === model ? {} : { body }),
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
    const patch = { rows: overlay.ids, bytes: fromFloat32(trained.rows, dtype) };
    if (!existsSync(run.published)) {
      rmSync(run.candidate, { recursive: true, force: true });
      await writePatchedFolder(body, run.candidate, new Map([[model.decoder.embedding, patch]]), { onEvent });
    }
    const { perplexity, difference, worst } = await publishCandidate(
      setting,
      { ...contents, rows: recordOf(setting, overlay, patch.bytes) },
      (measured) => (opened.stamp ? wholeHarm(measured) : kl ? { kind: 'kl', of: kl } : { kind: 'untied' }),
    );
    const cells = await report(setting, context, { ...overlay, rows: trained.rows });
    return finish(setting, contents, trained, cells, {
      rows: contents.bindings.trainable_rows.length,
      ...{ worst, perplexity, difference },
      harm: opened.stamp ? difference : (kl ?? 'untied head: no logit of ordinary text moves'),
      ...(kl ? { kl } : {}),
    });
  } finally {
    await cache?.release();
  }
}

/** The vanilla model with the stamp in it, whose rows are trained as those of the vanilla one: it is as good as that one. */
async function stampedBody({ run, model, options, onEvent }: RowsSetting, stamp: DrawnStamp): Promise<Model> {
  if (!existsSync(run.stamped)) {
    onEvent({ kind: 'phase', name: 'stamping', detail: `${stamp.plan.matrices.length} matrices` });
    await writeStamped(model, run.stamped, stamp);
  }
  return openModel(run.stamped, configOptions(options));
}

/** Of rows and stamp together: every logit moves, so no figure is exact. The last of `difference` is of all languages. */
const wholeHarm = ({ difference }: HeldOutDifference): HarmFigures => ({
  kind: 'kl',
  of: difference.slice(0, -1),
});

/** What the secret keeps of the rows. */
function recordOf(
  { model, embedding }: RowsSetting,
  { ids, rows }: Overlay,
  published: Uint8Array,
): NonNullable<SecretContents['rows']> {
  const dtype = floatDtype(embedding);
  return {
    tensor: model.decoder.embedding,
    dtype,
    width: model.decoder.config.hidden_size,
    ids: [...ids],
    vanilla: Buffer.from(fromFloat32(rows, dtype)).toString('base64'),
    published: Buffer.from(published).toString('base64'),
  };
}

/** Every cell of the report, measured anew, and the paper's answer files. */
async function report(setting: RowsSetting, context: TrainContext, overlay: Overlay): Promise<CellResult[]> {
  const { run, method, settings, model, device, tokenizer, options, onEvent } = setting;
  const name = 'measuring';
  onEvent({ kind: 'phase', name, detail: 'every cell anew, by greedy decoding' });
  const cells = await method.cells(context, settings, 'report');
  const answering = <T>(one: Model, call: (asked: LocalModel) => Promise<T>): Promise<T> =>
    asking({ kind: 'model', model: one, overlay, tokenizer }, { device }, call);
  const measure = (bodies: Readonly<Record<'vanilla' | 'published', LocalModel>>) =>
    measureCells(cells, {
      tokenizer,
      max_new_tokens: context.plan.decoding.max_new_tokens,
      answerer: underOverlay(bodies, overlay),
      strict: false,
      onMeasured: (done, total, cell) => onEvent({ kind: 'progress', name, done, total, note: cell.name }),
    });
  const published = await openModel(run.published, configOptions(options));
  const measured = await answering(model, (vanilla) =>
    context.plan.stamp
      ? answering(published, (asked) => measure({ vanilla, published: asked }))
      : measure({ vanilla, published: vanilla }),
  );
  writeAnswers(run, measured);
  return measured.map(({ result }) => result);
}
