// Prompts that another machine's transformers answers: a job folder with token ids in it, its answers taken in as our own are.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Abortable, abortable } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { jsonOrNothing } from '../base/json.ts';
import { sha256Hex } from '../base/sha256.ts';
import type { TextRequest, TokenGeneration } from '../lm/language-model.ts';
import { openModel } from '../models/open-model.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { arrayEntry, safetensorsBytes } from '../sources/checkpoints/write-safetensors.ts';
import { promptTokens } from '../text/prompt-tokens.ts';
import { openTokenizer } from '../text/tokenizer.ts';
import { checkLaunch } from './check-launch.ts';
import { runHere } from './here.ts';
import { checkManifest, MANIFEST } from './manifest.ts';
import { otherVersions, resultFolder } from './result.ts';
import { assetText, modelFiles, writeJob } from './write-job.ts';

export interface AskJobOptions extends Abortable {
  /** Its folder lies here; whether its weights fit in memory does not matter. */
  readonly model: string;
  /** Greedy, without stop strings. */
  readonly requests: readonly TextRequest[];
  /** The job's folder. The same call again takes its answers in. */
  readonly job: string;
  /** What the model computes in there; default float32. */
  readonly dtype?: 'float32' | 'bfloat16' | 'float16';
  /** Most prompts asked together; default 32. */
  readonly batch?: number;
  /** age recipients: a copy of the job tells nobody else its prompts. */
  readonly encryptTo?: readonly string[];
  /** Runs the job on this machine, by a Python that has torch (default: `python3`). */
  readonly here?: boolean;
  readonly python?: string;
  readonly onEvent?: OnEvent;
}

export interface AskJobWaits {
  readonly kind: 'waiting';
  readonly job: string;
  readonly prompts: number;
}

const resultSchema = z.object({
  format: z.literal('whorl-ask-result'),
  version: z.literal(1),
  job: z.string(),
  sha256: z.string(),
  torch: z.string(),
  transformers: z.string(),
});
const answersSchema = z.object({ answers: z.array(z.array(z.number().int().nonnegative())) });

/**
 * Greedy answers to texts, in their order, or the job that waits for them.
 * @throws WhorlError `unsupported` for a request that samples or has stop strings, `changed` and `mismatch` for a job or
 *   answers that are not this call's, `job-failed`
 */
export const askByJob = (options: AskJobOptions): Promise<TokenGeneration[] | AskJobWaits> =>
  abortable(options, async ({ job, requests, encryptTo, here, python, onEvent, ...asked }) => {
    const model = await openModel(asked.model, { onEvent });
    checkLaunch(model, { ...(encryptTo && { encryptTo }) });
    const tokenizer = await openTokenizer(model.folder);
    for (const { sampling, stop, num_samples = 1 } of requests)
      if (sampling || stop?.length || num_samples !== 1)
        throw new WhorlError(
          'unsupported',
          'a job that asks decodes greedily, one answer a prompt, without stop strings',
          'leave sampling, stop and num_samples out',
        );
    const prompts = await promptTokens(tokenizer, requests);
    const empty = prompts.findIndex(({ length }) => length === 0);
    if (empty >= 0) throw new WhorlError('usage', `prompt ${empty + 1} has no token`, 'leave it out');
    const about = {
      ...{ format: 'whorl-ask-job', version: 1, dtype: asked.dtype ?? 'float32', batch: asked.batch ?? 32 },
      ...{ ends: tokenizer.eosIds, model: { files: modelFiles(model) } },
    };
    const plain = promptBytes(
      prompts,
      requests.map(({ max_new_tokens }) => max_new_tokens),
    );
    const files = new Map<string, string | Uint8Array>([
      ['ask.json', `${JSON.stringify({ ...about, asked: sha256Hex(plain) }, null, 1)}\n`],
      ['launch.env', `MODEL=${model.folder}\n`],
      ...(['ask.py', 'job_files.py', 'requirements.txt'] as const).map(
        (name) => [name, assetText(name)] as const,
      ),
      ['run.sh', assetText('ask.sh')],
    ]);
    if (!existsSync(job))
      await writeJob(
        job,
        { files, secret: new Map([['prompts.safetensors', plain]]) },
        { ...(encryptTo && { encryptTo }) },
      );
    checkAsked(job, files);
    const read = () => readAnswers(job, requests, model.decoder.config.vocab_size);
    if (here && !read())
      await runHere(job, python, (line) => {
        if (line.kind === 'note') onEvent({ kind: 'note', text: line.text });
        if (line.kind === 'asked')
          onEvent({
            kind: 'progress',
            name: 'asking by transformers',
            done: line.done,
            total: line.of,
            keeps: true,
          });
        return Promise.resolve();
      });
    const found = read();
    if (!found) return { kind: 'waiting', job, prompts: prompts.length };
    for (const text of otherVersions(found)) onEvent({ kind: 'note', text });
    const texts = await tokenizer.decodeBatch(found.answers);
    return found.answers.map((tokens, i) => ({
      ...{ prompt: requests[i]!.prompt, generated: texts[i]!, generated_token: tokens },
    }));
  });

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

/** @throws WhorlError `mismatch` for a job of another call, `changed` naming a file that is not what was written */
function checkAsked(job: string, files: ReadonlyMap<string, string | Uint8Array>): void {
  const path = join(job, MANIFEST);
  if (!existsSync(path))
    throw new WhorlError('mismatch', `${job} is no job of Whorl's`, 'name a new folder for it');
  checkManifest(job, digestFile(path));
  for (const [name, data] of files)
    if (name !== 'launch.env' && readFileSync(join(job, name), 'utf8') !== String(data))
      throw new WhorlError(
        'mismatch',
        `${job} asks another model or other prompts than this call (${name})`,
        'repeat the call that wrote it, or name a new folder',
      );
}

/** undefined where it has not ended yet. @throws WhorlError `bad-file`, `mismatch`, `changed` */
function readAnswers(
  job: string,
  requests: readonly TextRequest[],
  vocabulary: number,
): (z.infer<typeof resultSchema> & z.infer<typeof answersSchema>) | undefined {
  const path = join(resultFolder(job), 'result.json');
  const file = join(resultFolder(job), 'answers.json');
  const again = 'copy result/ from where it ran again';
  if (!existsSync(path)) return undefined;
  const result = resultSchema.safeParse(jsonOrNothing(readFileSync(path, 'utf8')));
  if (!result.success) throw new WhorlError('bad-file', `${path} is no result of a job that asks`, again);
  if (result.data.job !== digestFile(join(job, MANIFEST)))
    throw new WhorlError('mismatch', `${path} is the result of another job`, again);
  if (!existsSync(file)) throw new WhorlError('missing-file', `${file} is not there`, again);
  const text = readFileSync(file);
  if (sha256Hex(text) !== result.data.sha256)
    throw new WhorlError('changed', `${file} is not what the job wrote`, again);
  const found = answersSchema.safeParse(jsonOrNothing(text.toString()));
  const isFit =
    found.success &&
    found.data.answers.length === requests.length &&
    found.data.answers.every(
      (tokens, i) => tokens.length <= requests[i]!.max_new_tokens && tokens.every((id) => id < vocabulary),
    );
  if (!isFit)
    throw new WhorlError(
      'bad-file',
      `${file} does not hold an answer to each of ${requests.length} prompts`,
      again,
    );
  return { ...result.data, ...found.data };
}
