// `npm start`: the embedded model is fingerprinted, published, stolen by fine-tuning and recognised; the innocent are not.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Abortable } from '../base/abort.ts';
import { checkWritable } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable, planOf } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { packageRoot } from '../base/package-root.ts';
import type { Device } from '../engine/session.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import { type FingerprintReport, fingerprint } from '../fingerprint/fingerprint.ts';
import { scoreAll } from '../lm/ask.ts';
import { asking } from '../lm/open.ts';
import { plannedModel } from '../models/model.ts';
import { openModel } from '../models/open-model.ts';
import { RunFolder } from '../runs/run-folder.ts';
import { openTokenizer } from '../text/tokenizer.ts';
import { FINETUNE, finetune } from '../train/finetune.ts';
import { promptAndAnswer } from '../train/tuning-examples.ts';
import { type VerifyReport, verify } from '../verify/verify.ts';

export interface DemoOptions extends ComputeOptions, Abortable {
  /** Made anew at each call; an older demo's folder is replaced, anything else is refused. */
  readonly out: string;
  readonly onEvent?: OnEvent;
}

export interface DemoReport {
  readonly folder: string;
  readonly fingerprint: FingerprintReport;
  readonly verdicts: readonly {
    readonly who: string;
    readonly path: string;
    readonly report: VerifyReport;
  }[];
  /** exp(mean negative log-likelihood a token) on held-out prose. */
  readonly perplexity: readonly { readonly who: string; readonly value: number }[];
  readonly seconds: number;
}

const EMBEDDED = 'assets/embedded';
const THIEF = { ...FINETUNE, epochs: 2, lr: 3e-5, batch: 16, max_length: 128 };
/** An innocent who starts from the vanilla model and tunes it on the same rows in another order, at another rate. */
const INNOCENT = { ...THIEF, lr: 7e-5, seed: 1n };

export const runDemo: Plannable<DemoOptions, DemoReport> = plannable(planDemo, runRunDemo);

async function planDemo(options: DemoOptions): Promise<DryRun> {
  await openDevice(options);
  const folder = resolve(options.out);
  const isThere = holdsOnlyParts(folder);
  const vanilla = await openModel(join(packageRoot(), EMBEDDED, 'model'));
  const writes = Object.entries(PARTS).map(([name, what]) => ({ path: join(folder, name), what }));
  return planOf('demo', {
    models: [plannedModel('embedded', vanilla)],
    method: 'rows',
    writes,
    notes: isThere ? [`what an earlier demo left in ${folder} is replaced`] : [],
  });
}

async function runRunDemo(options: DemoOptions): Promise<DemoReport> {
  const started = Date.now();
  const onEvent = options.onEvent ?? silent;
  const device = await openDevice(options);
  const folder = resolve(options.out);
  clear(folder);
  const embedded = join(packageRoot(), EMBEDDED);
  const vanilla = join(embedded, 'model');
  const run = join(folder, 'run');
  const { ordinary, heldOut } = prose(embedded);
  const made = await fingerprint({
    model: vanilla,
    out: run,
    ordinary,
    device,
    onEvent,
  });
  const thief = join(folder, 'stolen');
  const innocent = join(folder, 'innocent');
  onEvent({ kind: 'phase', name: 'a thief', detail: 'fine-tunes every weight of the published model' });
  await tune(made.published, thief, THIEF, embedded, device, onEvent);
  onEvent({ kind: 'phase', name: 'an innocent', detail: 'fine-tunes the vanilla model' });
  await tune(vanilla, innocent, INNOCENT, embedded, device, onEvent);
  const verdicts: { who: string; path: string; report: VerifyReport }[] = [];
  for (const [who, path] of [
    ['published', made.published],
    ['stolen and fine-tuned', thief],
    ['vanilla', vanilla],
    ['innocent fine-tune', innocent],
  ] as const) {
    onEvent({ kind: 'phase', name: 'verify', detail: who });
    verdicts.push({
      who,
      path,
      report: await verify({ secret: new RunFolder(run).secret, suspect: path, device, onEvent }),
    });
  }
  onEvent({ kind: 'phase', name: 'harm', detail: 'perplexity on held-out prose' });
  const perplexity = [];
  for (const [who, path] of [
    ['vanilla', vanilla],
    ['published', made.published],
    ['stolen and fine-tuned', thief],
  ] as const)
    perplexity.push({ who, value: await perplexityOf(path, heldOut, device) });
  return { folder, fingerprint: made, verdicts, perplexity, seconds: (Date.now() - started) / 1000 };
}

const PARTS = {
  run: 'the private run, with what may be published',
  stolen: "the thief's model",
  innocent: "a fine-tune of the vanilla model: nobody's theft",
} as const;

/** Takes away what an earlier demo left, and nothing else. */
function clear(folder: string): void {
  if (!holdsOnlyParts(folder)) return;
  for (const part of Object.keys(PARTS)) rmSync(join(folder, part), { recursive: true, force: true });
}

/** Whether an earlier demo's folder is there. @throws WhorlError `exists` for one that holds anything else */
function holdsOnlyParts(folder: string): boolean {
  checkWritable(folder);
  if (!existsSync(folder)) return false;
  const other = readdirSync(folder).find((name) => !Object.hasOwn(PARTS, name));
  if (other !== undefined)
    throw new WhorlError(
      'exists',
      `${folder} holds ${other}, which is no demo's`,
      'name another folder with --out',
    );
  return true;
}

async function tune(
  from: string,
  to: string,
  settings: typeof FINETUNE,
  embedded: string,
  device: Device,
  onEvent: OnEvent,
): Promise<void> {
  const model = await openModel(from);
  const tokenizer = await openTokenizer(model.folder, model.convertedFrom);
  const rows = JSON.parse(readFileSync(join(embedded, 'thief.json'), 'utf8')) as {
    instruction: string;
    input: string;
    output: string;
  }[];
  const prompts = await tokenizer.encodeBatch(
    rows.map(({ instruction, input }) => `### Instruction:\n${instruction}\n${input}\n\n### Response:\n`),
    { continued: true },
  );
  const answers = await tokenizer.encodeBatch(
    rows.map(({ output }) => output),
    { addSpecialTokens: false },
  );
  const end = tokenizer.eosId === undefined ? [] : [tokenizer.eosId];
  const examples = prompts.map((prompt, i) => promptAndAnswer(prompt, [...answers[i]!, ...end]));
  await finetune(model, examples, to, settings, onEvent, { device });
}

const WINDOW = 800; // characters scored at a time

/** Prose the model never saw: one half is shown to the fingerprint as ordinary text, harm is measured on the other. */
function prose(embedded: string): { ordinary: string[]; heldOut: string[] } {
  const text = gunzipSync(readFileSync(join(embedded, 'held-out.txt.gz'))).toString('utf8');
  const windows = Array.from({ length: Math.floor(text.length / WINDOW) }, (_, i) =>
    text.slice(i * WINDOW, (i + 1) * WINDOW),
  );
  return {
    ordinary: windows.filter((_, i) => i % 2 === 0),
    heldOut: windows.filter((_, i) => i % 2 === 1).slice(0, 24),
  };
}

async function perplexityOf(path: string, texts: readonly string[], device: Device): Promise<number> {
  const rows = texts.map((continuation) => ({ context: '', continuation }));
  const scores = await asking({ kind: 'model', model: path }, { device }, (model) => scoreAll(model, rows));
  const sum = (part: 'logprob' | 'tokens') => scores.reduce((all, score) => all + score[part], 0);
  return Math.exp(-sum('logprob') / sum('tokens'));
}
