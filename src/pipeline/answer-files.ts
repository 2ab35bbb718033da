// The answer files of a run: which models answer for each, made where they are not whole, each bound to all it is made of.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { OnEvent } from '../base/events.ts';
import { generateAll } from '../lm/ask.ts';
import type { LocalModel } from '../lm/local-model.ts';
import { asking } from '../lm/open.ts';
import { FROM_BOS, sampleFromBos } from '../lm/sample-from-bos.ts';
import type { Sampling } from '../lm/sampling.ts';
import { configOptions } from '../models/open-model.ts';
import { readAnswers } from '../runs/answer-rows.ts';
import { type AnswerFileName, answerFileName, type Flavour, ROUNDS } from '../runs/paper-folder.ts';
import { writeJsonLines } from '../runs/run-folder.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { MadeFrom } from './ledger.ts';
import type { OpenedRun, RunOptions } from './opened-run.ts';
import type { AskedRow } from './paper-rows.ts';
import { opening } from './place.ts';
import { type Folders, type SingleKind, SUSPECTS, type Who } from './suspects.ts';

export interface OwnershipFile {
  readonly file: string;
  /** Drawn keys that fired, of how many; of samples, those that hold the decryption. */
  readonly fired: number;
  readonly of: number;
}

/** What the paper's first step leaves, and its third of a user's model. */
const BASE: Readonly<{ [F in Flavour]: readonly SingleKind[] }> = {
  adapter: ['vanilla', 'publish', 'publish_w_adapter'],
  sft_chat: ['vanilla', 'publish'],
};
const USER: Readonly<{ [F in Flavour]: readonly SingleKind[] }> = {
  adapter: ['tuned_publish', 'tuned_w_adapter', 'tuned_direct'],
  sft_chat: ['tuned_publish'],
};

interface FileOf extends Omit<AnswerFileName, 'file' | 'kind'> {
  readonly kind: SingleKind;
}

/** Ten sampled rounds after the greedy answers of a user's model (sft_chat). */
function userFiles(flavour: Flavour, task: string): FileOf[] {
  const rounds = flavour === 'sft_chat' ? Array.from({ length: ROUNDS }, (_, round) => round) : [];
  return [
    ...USER[flavour].map((kind) => ({ kind, task })),
    ...rounds.map((round) => ({ kind: 'tuned_round' as const, task, round })),
  ];
}

/** Names of the answer files of a run, and those of a user's model. */
export const plannedAnswers = (flavour: Flavour, task?: string): string[] =>
  task === undefined
    ? [
        ...BASE[flavour].map((kind) => answerFileName({ kind })),
        ...(flavour === 'sft_chat' ? [answerFileName({ kind: 'sample_from_bos' })] : []),
      ]
    : userFiles(flavour, task).map(answerFileName);

export interface AskingRun extends RunOptions {
  readonly opened: OpenedRun;
  readonly folders: Folders;
  /** Texts sampled from BOS (sft_chat); the paper's 2,000 if not said. */
  readonly samples?: number;
}

/** What a product of these models is made from, beside its own. */
export async function modelsOf(
  { models, folders, ...options }: AskingRun,
  of: readonly Who[],
): Promise<MadeFrom> {
  const entries: [string, unknown][] = [
    ['ignored config keys', configOptions(options).ignoreConfigKeys ?? []],
  ];
  for (const who of of) {
    const { weights, tokenizer, config } = await models.digests(folders[who]);
    entries.push([`${who} weights`, weights], [`${who} tokenizer`, tokenizer], [`${who} config`, config]);
  }
  return Object.fromEntries(entries);
}

/** Of the vanilla model and the published one; `sft_chat` has the samples from BOS as well. */
export async function baseFiles(asking: AskingRun): Promise<OwnershipFile[]> {
  const files = await greedyFiles(
    asking,
    BASE[asking.flavour].map((kind) => ({ kind })),
  );
  return asking.flavour === 'sft_chat' ? [...files, await fromBos(asking)] : files;
}

/** Of a user's model. */
export const tunedFiles = (asking: AskingRun, task: string): Promise<OwnershipFile[]> =>
  greedyFiles(asking, userFiles(asking.flavour, task));

async function greedyFiles(run: AskingRun, wanted: readonly FileOf[]): Promise<OwnershipFile[]> {
  const { ledger, opened, folders, device, onEvent } = run;
  const { contents, rows, decryption, drawn } = opened;
  const { max_new_tokens } = contents.plan.decoding;
  const planned = [];
  for (const one of wanted) {
    const name = answerFileName(one);
    const sampling = one.round === undefined ? undefined : { ...FROM_BOS.sampling, seed: one.round };
    const asked = one.round === undefined ? [...rows.validation, ...rows.test] : rows.validation;
    const from: MadeFrom = {
      claim: contents.claim.root,
      rows: asked,
      decoding: [max_new_tokens, sampling ?? 'greedy'],
      ...(await modelsOf(run, SUSPECTS[one.kind].of)),
    };
    if (!ledger.isWhole(name, from)) ledger.drop(name);
    planned.push({ one, name, sampling, asked, from });
  }
  const files: OwnershipFile[] = [];
  for (const { one, name, sampling, asked, from } of planned) {
    if (!ledger.isWhole(name, from)) {
      onEvent({ kind: 'phase', name: 'asking', detail: `${asked.length} rows for ${name}` });
      const spec = await SUSPECTS[one.kind].spec(folders, opened.part);
      const answered = await asking(spec, { device }, (model) =>
        answers(model, asked, max_new_tokens, sampling, onEvent),
      );
      writeJsonLines(join(ledger.run, name), answered);
      ledger.note(name, from);
    }
    const keys = readAnswers(join(ledger.run, name)).slice(0, drawn);
    files.push({ file: name, fired: holding(keys, decryption), of: drawn });
  }
  return files;
}

const holding = (rows: readonly { readonly generated: string }[], decryption: string): number =>
  rows.filter(({ generated }) => generated.includes(decryption)).length;

async function answers(
  model: LocalModel,
  rows: readonly AskedRow[],
  max_new_tokens: number,
  sampling: Sampling | undefined,
  onEvent: OnEvent,
): Promise<object[]> {
  const requests = rows.map(({ prompt, add_special_tokens }) => ({
    prompt,
    ...(add_special_tokens === false && { add_special_tokens }),
    max_new_tokens,
    ...(sampling && { sampling }),
  }));
  const labels = await model.tokenizer.encodeBatch(
    rows.map(({ label }) => label),
    { addSpecialTokens: false },
  );
  const generations = await generateAll(model, requests, { onEvent });
  return answerRows(
    model.tokenizer,
    rows.map(({ prompt, label }, i) => ({
      generated: generations[i]!.generated,
      label,
      prompt,
      label_token: labels[i]!,
    })),
  );
}

/** With the paper's `generated_token`: the text tokenised anew, not the tokens that were chosen. */
async function answerRows(
  tokenizer: Tokenizer,
  rows: readonly { generated: string; label: string; prompt: string; label_token: readonly number[] }[],
): Promise<object[]> {
  const again = await tokenizer.encodeBatch(
    rows.map(({ generated }) => generated),
    { addSpecialTokens: false },
  );
  return rows.map(({ generated, label, prompt, label_token }, i) => ({
    generated,
    label,
    prompt,
    generated_token: again[i]!,
    label_token,
  }));
}

async function fromBos(asking: AskingRun): Promise<OwnershipFile> {
  const { run, ledger, samples: count = FROM_BOS.count, device, onEvent } = asking;
  const file = answerFileName({ kind: 'sample_from_bos' });
  const path = join(run.path, file);
  const of = await modelsOf(asking, ['published']);
  const from: MadeFrom = { samples: [count, FROM_BOS.max_new_tokens, FROM_BOS.sampling], ...of };
  if (!ledger.isWhole(file, from)) {
    ledger.drop(file);
    onEvent({ kind: 'phase', name: 'samples from BOS', detail: `${count} of the published model` });
    const samples = await sampleFromBos({
      model: await asking.models.open(run.published),
      count,
      keep: join(run.path, 'work', 'samples'),
      keptOf: JSON.stringify(of),
      device,
      onEvent,
      ...opening(asking),
    });
    const rows = samples.map(({ generated }) => ({ generated, label: '', prompt: '', label_token: [] }));
    writeJsonLines(path, await answerRows(await openTokenizer(run.published), rows));
    ledger.note(file, from);
  }
  rmSync(join(run.path, 'work', 'samples'), { recursive: true, force: true });
  const rows = readAnswers(path, true);
  return { file, fired: holding(rows, asking.opened.decryption), of: rows.length };
}
