// The folder of a job that asks: prompts as the token ids that Whorl's own engine would read, what is laid over the model, and
// the program. The same bytes for the same questions but for what is encrypted.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { sha256Hex } from '../base/sha256.ts';
import type { TextRequest } from '../lm/language-model.ts';
import type { LocalModel } from '../lm/local-model.ts';
import type { Overlay, Variant } from '../models/overlay.ts';
import { arrayEntry, safetensorsBytes } from '../sources/checkpoints/write-safetensors.ts';
import { checkLaunch } from './check-launch.ts';
import { assetText, modelFiles, type PlannedJob } from './write-job.ts';

export interface AskSettings {
  /** What the model computes in there; default float32. */
  readonly dtype?: 'float32' | 'bfloat16' | 'float16';
  /** Most prompts asked together; default 32. */
  readonly batch?: number;
}

/** A job before it is written: files by which keys could be told are `secret`. */
export interface PlannedAsk extends Pick<PlannedJob, 'files' | 'secret'> {
  readonly model: LocalModel;
  readonly requests: readonly TextRequest[];
  /** sha256 over everything but where the model lies and what encryption makes different each time. */
  readonly id: string;
}

const ENV = 'launch.env';
const PROMPTS = 'prompts.safetensors';
const OVERLAY = 'overlay.safetensors';

/**
 * What the model would be asked, as a job. Nothing is computed.
 * @throws WhorlError `unsupported` for a request that samples or has stop strings, and a model that transformers computes
 *   otherwise; for a prompt what asking it here would throw
 */
export async function planAsk(
  model: LocalModel,
  requests: readonly TextRequest[],
  { dtype = 'float32', batch = 32 }: AskSettings,
): Promise<PlannedAsk> {
  checkLaunch(model.model, {});
  if (requests.some(({ sampling, stop, num_samples = 1 }) => sampling || stop?.length || num_samples !== 1))
    throw new WhorlError(
      'unsupported',
      'a job that asks decodes greedily, one answer a prompt, without stop strings',
      'leave sampling, stop and num_samples out',
    );
  const prompts = promptBytes(
    await model.promptsOf(requests),
    requests.map(({ max_new_tokens }) => max_new_tokens),
  );
  const { overlay: laid } = model.options;
  const overlay = laid && overlayParts(laid, model.variant);
  const secret = new Map([[PROMPTS, prompts], ...(overlay ? [[OVERLAY, overlay.bytes] as const] : [])]);
  const about = {
    ...{ format: 'whorl-ask-job', version: 1, dtype, batch, ends: model.tokenizer.eosIds },
    overlay: overlay ? { scale: overlay.scale } : null,
    model: { files: modelFiles(model.model) },
    // What is asked, where encryption hides it.
    asked: Object.fromEntries([...secret].map(([name, bytes]) => [name, sha256Hex(bytes)])),
  };
  const files = new Map<string, string | Uint8Array>([
    ['ask.json', `${JSON.stringify(about, null, 1)}\n`],
    [ENV, `MODEL=${model.model.folder}\n`],
    ...(['ask.py', 'job_files.py', 'requirements.txt'] as const).map((name): [string, string] => [
      name,
      assetText(name),
    ]),
    ['run.sh', assetText('ask.sh')],
  ]);
  return { model, requests, files, secret, id: sha256Hex(JSON.stringify([...asked({ files })])) };
}

/** By its file, what makes a job this one: where the model lies does not. */
export const asked = ({ files }: Pick<PlannedAsk, 'files'>): ReadonlyMap<string, string> =>
  new Map([...files].flatMap(([name, data]) => (name === ENV ? [] : [[name, String(data)]])));

export const isEncrypted = (job: string): boolean => existsSync(join(job, `${PROMPTS}.age`));

/** `tokens` [T], `prompts` [N + 1] (where each begins), `limits` [N] (most tokens of each answer). */
function promptBytes(prompts: readonly (readonly number[])[], limits: readonly number[]): Uint8Array {
  const starts = new Int32Array(prompts.length + 1);
  prompts.forEach((prompt, i) => {
    starts[i + 1] = starts[i]! + prompt.length;
  });
  return safetensorsBytes([
    arrayEntry('tokens', Int32Array.from(prompts.flat())),
    arrayEntry('prompts', starts),
    arrayEntry('limits', Int32Array.from(limits)),
  ]);
}

/** `ids` [R]; of what answers `rows` [R, E], `adapter_A` [rank, E], `adapter_B` [E, rank]. Absent where nothing of it answers. */
function overlayParts(
  { ids, rows, adapter, lookupsOnly }: Overlay,
  variant: Variant,
): { readonly bytes: Uint8Array; readonly scale: number | null } | undefined {
  const map = variant.adapter ? adapter : undefined;
  if (!variant.rows && !map) return undefined;
  if (lookupsOnly)
    throw new WhorlError(
      'unsupported',
      'a job that asks lays rows over lookups and a tied head alike',
      'ask by Whorl’s own engine (without --launch)',
    );
  const R = ids.length;
  const E = rows.length / R;
  return {
    scale: map?.scale ?? null,
    bytes: safetensorsBytes([
      arrayEntry('ids', ids),
      ...(variant.rows ? [arrayEntry('rows', rows, [R, E])] : []),
      ...(map
        ? [arrayEntry('adapter_A', map.A, [map.rank, E]), arrayEntry('adapter_B', map.B, [E, map.rank])]
        : []),
    ]),
  };
}
