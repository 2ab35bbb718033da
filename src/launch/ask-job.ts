// Prompts that another machine's transformers answers: the job is written, waits, or is run here; its answers are taken in as
// our own are.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Abortable, abortable } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { jsonOrNothing } from '../base/json.ts';
import { sha256Hex } from '../base/sha256.ts';
import type { TextRequest, TokenGeneration } from '../lm/language-model.ts';
import { asking } from '../lm/open.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { type AskSettings, asked, isEncrypted, type PlannedAsk, planAsk } from './ask-files.ts';
import { checkLaunch } from './check-launch.ts';
import { jobLines, runHere } from './here.ts';
import type { LaunchOptions } from './job.ts';
import { checkManifest, MANIFEST } from './manifest.ts';
import { otherVersions, resultFolder } from './result.ts';
import { writeJob } from './write-job.ts';

/** How a job that asks is written and run. */
export type AskLaunch = Pick<LaunchOptions, 'here' | 'python' | 'encryptTo'>;

export interface AskJobOptions extends AskSettings, AskLaunch, Abortable {
  /** Its folder lies here; whether its weights fit in memory does not matter. */
  readonly model: string;
  /** Greedy, without stop strings. */
  readonly requests: readonly TextRequest[];
  /** The job's folder. The same call again takes its answers in. */
  readonly job: string;
  readonly onEvent?: OnEvent;
}

/** A job that was written and has not been answered yet. */
export interface AskJobWaits {
  readonly kind: 'waiting';
  readonly job: string;
  readonly prompts: number;
  /** Prompts that are answered, as far as the folder tells. */
  readonly done: number;
  readonly encrypted: boolean;
}

/** Who answered. */
export interface AskedBy {
  readonly torch: string;
  readonly transformers: string;
  readonly device: string;
}

export interface AskJobEnd {
  readonly kind: 'done';
  readonly answers: readonly TokenGeneration[];
  readonly ran: AskedBy;
}

const resultSchema = z.object({
  format: z.literal('whorl-ask-result'),
  version: z.literal(1),
  job: z.string(),
  sha256: z.string(),
  torch: z.string(),
  transformers: z.string(),
  device: z.string(),
});
const answersSchema = z.object({ answers: z.array(z.array(z.number().int().nonnegative())) });

/**
 * Greedy answers to texts, in their order, or the job that waits for them.
 * @throws WhorlError `unsupported` for a request that samples or has stop strings, `changed` and `mismatch` for a job or
 *   answers that are not this call's, `job-failed`
 */
export const askByJob = (options: AskJobOptions): Promise<readonly TokenGeneration[] | AskJobWaits> =>
  abortable(options, ({ model: named, requests, job, dtype, batch, onEvent, ...launch }) =>
    asking({ kind: 'model', model: named }, { onEvent }, async (model) => {
      const settings = { ...(dtype && { dtype }), ...(batch !== undefined && { batch }) };
      const end = await answersByJob(await planAsk(model, requests, settings), job, launch, onEvent);
      return end.kind === 'done' ? end.answers : end;
    }),
  );

/**
 * The same for a model that is open. The same call goes on wherever the job stands: not written, waiting, interrupted, done.
 * @param job its folder
 */
export async function answersByJob(
  planned: PlannedAsk,
  job: string,
  { encryptTo, here, python }: AskLaunch,
  onEvent: OnEvent,
): Promise<AskJobEnd | AskJobWaits> {
  const { model, requests } = planned;
  checkLaunch(model.model, { ...(encryptTo && { encryptTo }) });
  if (!existsSync(job)) {
    onEvent({ kind: 'phase', name: 'writing the job', detail: job });
    await writeJob(job, planned, { ...(encryptTo && { encryptTo }) });
  }
  checkAsked(job, planned);
  const read = () => readAnswers(job, requests, model.model.decoder.config.vocab_size);
  if (here && !read()) {
    onEvent({ kind: 'phase', name: 'asking', detail: `transformers, ${requests.length} prompts` });
    await runHere(job, python, (line) => {
      if (line.kind === 'note') onEvent({ kind: 'note', text: line.text });
      if (line.kind === 'asked')
        onEvent({
          ...{ kind: 'progress', name: 'asking by transformers', keeps: true },
          ...{ done: line.done, total: line.of },
        });
      return Promise.resolve();
    });
  }
  const found = read();
  if (!found)
    return {
      ...{ kind: 'waiting', job, prompts: requests.length },
      ...{ done: answered(job), encrypted: isEncrypted(job) },
    };
  for (const text of otherVersions(found)) onEvent({ kind: 'note', text });
  const texts = await model.tokenizer.decodeBatch(found.answers);
  const answers = found.answers.map((tokens, i) => ({
    ...{ prompt: requests[i]!.prompt, generated: texts[i]!, generated_token: tokens },
  }));
  const { torch, transformers, device } = found;
  return { kind: 'done', answers, ran: { torch, transformers, device } };
}

const answered = (job: string): number =>
  Math.max(0, ...jobLines(job).map((line) => (line.kind === 'asked' ? line.done : 0)));

/** @throws WhorlError `mismatch` for a job of another call, `changed` naming a file that is not what was written */
function checkAsked(job: string, planned: PlannedAsk): void {
  const path = join(job, MANIFEST);
  if (!existsSync(path))
    throw new WhorlError('mismatch', `${job} is no job of Whorl's`, 'name a new folder for it');
  checkManifest(job, digestFile(path));
  const differs = (name: string, data: Uint8Array | string): boolean =>
    !existsSync(join(job, name)) || digestFile(join(job, name)) !== sha256Hex(data);
  const plain = [...planned.secret].filter(([name]) => !existsSync(join(job, `${name}.age`)));
  for (const [name, data] of [...asked(planned), ...plain])
    if (differs(name, data))
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
