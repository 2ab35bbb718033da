// `ownership_verify` mode: every answer file of the paper with its rows in the paper's order, then the exact verdicts.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { decodeMap } from '../claim/adapter.ts';
import { type Claim, parseClaim } from '../claim/claim.ts';
import { keyRoles, openClaim } from '../claim/open.ts';
import { readSecret, type Unlock } from '../claim/secret-file.ts';
import type { Device } from '../engine/session.ts';
import { generateAll } from '../lm/ask.ts';
import type { LocalModel } from '../lm/local-model.ts';
import { asking } from '../lm/open.ts';
import { FROM_BOS, sampleFromBos } from '../lm/sample-from-bos.ts';
import { type ConfigOptions, configOptions } from '../models/open-model.ts';
import { readAnswers } from '../runs/answer-rows.ts';
import {
  type AnswerFileName,
  answerFileName,
  type Flavour,
  ROUNDS,
  tunedFolder,
} from '../runs/paper-folder.ts';
import { type RunFolder, writeJsonLines } from '../runs/run-folder.ts';
import { templateOf, wrapperNamed } from '../text/prompts/wrappers.ts';
import { openTokenizer } from '../text/tokenizer.ts';
import { type VerifyReport, verify } from '../verify/verify.ts';
import { digestOf, type Ledger } from './ledger.ts';
import { ordinaryRows } from './ordinary.ts';
import { type AskedRow, ordinaryFor, PAPER_ROWS } from './paper-rows.ts';
import { type Folders, type PrivatePart, type SingleKind, SUSPECTS } from './suspects.ts';

export interface OwnershipOptions extends ConfigOptions {
  readonly run: RunFolder;
  readonly ledger: Ledger;
  readonly flavour: Flavour;
  readonly vanilla: string;
  readonly task?: string;
  readonly source?: string;
  readonly samples?: number;
  readonly unlock?: Unlock;
  readonly cacheDir?: string;
  readonly device: Device;
  readonly onEvent: OnEvent;
}

export interface OwnershipFile {
  readonly file: string;
  /** Drawn keys that fired, of how many; of samples, those that hold the decryption. */
  readonly fired: number;
  readonly of: number;
}

export interface OwnershipVerdict {
  readonly file: string;
  readonly verdict: VerifyReport['verdict'];
  readonly log10_p: number | null;
  readonly fsr: number;
}

const BASE: Readonly<{ [F in Flavour]: readonly SingleKind[] }> = {
  adapter: ['vanilla', 'publish', 'publish_w_adapter'],
  sft_chat: ['vanilla', 'publish'],
};
const USER: Readonly<{ [F in Flavour]: readonly SingleKind[] }> = {
  adapter: ['tuned_publish', 'tuned_w_adapter', 'tuned_direct'],
  sft_chat: ['tuned_publish'],
};
const ROUND_TEMPERATURE = 0.7;

interface FileOf extends Omit<AnswerFileName, 'file' | 'kind'> {
  readonly kind: SingleKind;
}

/** @throws WhorlError `missing-file` where the user's model is not there */
export async function verifyOwnership(
  options: OwnershipOptions,
): Promise<{ files: OwnershipFile[]; verdicts: OwnershipVerdict[] }> {
  const { run, ledger, flavour, task, onEvent } = options;
  const user = task === undefined ? '' : tunedFolder(run.path, task);
  if (task !== undefined && !existsSync(join(user, 'config.json')))
    throw new WhorlError(
      'missing-file',
      `${user} is not there`,
      'put the mode alpaca before ownership_verify',
    );
  const contents = (await readSecret(run.secret, options.unlock)).reveal();
  const opened = openClaim(parseClaim(readFileSync(run.claim, 'utf8'), run.claim), contents);
  const roles = keyRoles(opened);
  const decryption = roles[0]!.target;
  const drawn = roles.filter(({ role }) => role === 'trained').length;
  const tokenizer = await openTokenizer(run.published);
  const { wrapper } = contents.plan.query;
  const rows = PAPER_ROWS[flavour]({
    roles,
    ordinary: await ordinaryRows(options.source, ordinaryFor(flavour, drawn), onEvent),
    wrapped: wrapperNamed(wrapper, templateOf(tokenizer)),
  });
  const folders: Folders = {
    vanilla: options.vanilla,
    published: run.published,
    user,
    ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}),
    ...configOptions(options),
  };
  const part: PrivatePart | undefined = contents.adapter
    ? { map: decodeMap(contents.adapter), rows: contents.bindings.trainable_rows }
    : undefined;
  const { max_new_tokens } = contents.plan.decoding;
  const userOf = task === undefined ? undefined : ledger.madeFrom(basename(user));
  const files: OwnershipFile[] = [];
  for (const one of filesOf(flavour, task)) {
    const name = answerFileName(one);
    const of = digestOf([contents.claim.root, rows, max_new_tokens, one.task && userOf]);
    if (!ledger.isWhole(name, of)) {
      onEvent({ kind: 'phase', name: 'asking', detail: `${rows.length} rows for ${name}` });
      const spec = await SUSPECTS[one.kind](folders, part);
      const answered = await asking(spec, { device: options.device }, (model) =>
        answers(model, rows, max_new_tokens, one.round, onEvent),
      );
      writeJsonLines(join(run.path, name), answered);
      ledger.note(name, of);
    }
    files.push(counted(run, name, decryption, drawn));
  }
  if (flavour === 'sft_chat') files.push(await fromBos(options, contents.claim.root, decryption));
  const verdicts = await exactVerdicts(options, folders, contents.claim as Claim, userOf);
  return { files, verdicts };
}

/** Ten sampled rounds after the greedy answers of a user's model (sft_chat). */
function filesOf(flavour: Flavour, task: string | undefined): FileOf[] {
  const base = BASE[flavour].map((kind) => ({ kind }));
  if (task === undefined) return base;
  const rounds = flavour === 'sft_chat' ? Array.from({ length: ROUNDS }, (_, round) => round) : [];
  return [
    ...base,
    ...USER[flavour].map((kind) => ({ kind, task })),
    ...rounds.map((round) => ({ kind: 'tuned_round' as const, task, round })),
  ];
}

async function answers(
  model: LocalModel,
  rows: readonly AskedRow[],
  max_new_tokens: number,
  round: number | undefined,
  onEvent: OnEvent,
): Promise<object[]> {
  const sampling = round === undefined ? undefined : { temperature: ROUND_TEMPERATURE, seed: round };
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
  const texts = generations.map(({ generated }) => generated);
  const again = await model.tokenizer.encodeBatch(texts, { addSpecialTokens: false }); // the paper's column: the text tokenised anew
  return rows.map(({ prompt, label }, i) => ({
    generated: texts[i]!,
    label,
    prompt,
    generated_token: again[i]!,
    label_token: labels[i]!,
  }));
}

function counted(run: RunFolder, file: string, decryption: string, drawn: number): OwnershipFile {
  const rows = readAnswers(join(run.path, file)).slice(0, drawn);
  return { file, fired: rows.filter(({ generated }) => generated.includes(decryption)).length, of: drawn };
}

async function fromBos(
  { run, ledger, samples: count = FROM_BOS.count, device, onEvent, ...options }: OwnershipOptions,
  root: string,
  decryption: string,
): Promise<OwnershipFile> {
  const file = answerFileName({ kind: 'sample_from_bos' });
  const path = join(run.path, file);
  const of = digestOf([root, count, FROM_BOS]);
  const keep = join(run.path, 'work', 'samples');
  if (!ledger.isWhole(file, of)) {
    onEvent({ kind: 'phase', name: 'samples from BOS', detail: `${count} of the published model` });
    const samples = await sampleFromBos({
      model: run.published,
      count,
      keep,
      device,
      onEvent,
      ...configOptions(options),
    });
    const texts = samples.map(({ generated }) => generated);
    const again = await (await openTokenizer(run.published)).encodeBatch(texts, { addSpecialTokens: false });
    writeJsonLines(
      path,
      texts.map((generated, i) => ({
        generated,
        label: '',
        prompt: '',
        generated_token: again[i]!,
        label_token: [],
      })),
    );
    ledger.note(file, of);
  }
  rmSync(keep, { recursive: true, force: true });
  const rows = readAnswers(path, true);
  return {
    file,
    fired: rows.filter(({ generated }) => generated.includes(decryption)).length,
    of: rows.length,
  };
}

interface Trial {
  readonly file: string;
  readonly suspect: string;
  /** The owner's body under the suspect's rows. */
  readonly body?: string;
  readonly task?: string;
}

/** The published model and the vanilla one (under the adapter, where there is one) are the controls of the user's. */
function trials(flavour: Flavour, { vanilla, published, user }: Folders, task: string | undefined): Trial[] {
  const onOwn = flavour === 'adapter' ? { body: vanilla } : {};
  const all: Trial[] = [
    { file: 'vanilla_verdict.json', suspect: vanilla },
    { file: 'publish_verdict.json', suspect: published },
  ];
  if (task === undefined) return all;
  const direct: Trial[] =
    flavour === 'adapter' ? [{ file: `${task}_direct_verdict.json`, suspect: user, task }] : [];
  return [...all, { file: `${task}_verdict.json`, suspect: user, task, ...onOwn }, ...direct];
}

async function exactVerdicts(
  { run, ledger, flavour, task, unlock, cacheDir, device, onEvent }: OwnershipOptions,
  folders: Folders,
  { root }: Claim,
  userOf: string | undefined,
): Promise<OwnershipVerdict[]> {
  const verdicts: OwnershipVerdict[] = [];
  for (const { file, suspect, body, task: of } of trials(flavour, folders, task)) {
    const made = digestOf([root, file, of && userOf]);
    if (!ledger.isWhole(file, made)) {
      const { seconds: _, ...report } = await verify({
        secret: run.secret,
        suspect,
        onEvent,
        ...(body !== undefined && { body }),
        ...(unlock && { unlock }),
        ...(cacheDir ? { cacheDir } : {}),
        ...configOptions(folders),
        device,
      });
      writeJsonAtomic(join(run.path, file), report, 0o600);
      ledger.note(file, made);
    }
    const { verdict, log10_p, fsr } = JSON.parse(readFileSync(join(run.path, file), 'utf8')) as VerifyReport;
    verdicts.push({ file, verdict, log10_p, fsr });
  }
  return verdicts;
}
