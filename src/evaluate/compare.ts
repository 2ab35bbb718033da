// `compare` as a call: two models of one vocabulary and ordinary text in, what differs between them out, language by language.

import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { Abortable } from '../base/abort.ts';
import { checkWritable, writeJsonAtomic } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable, planOf } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { silent } from '../base/events.ts';
import { sha256Hex } from '../base/sha256.ts';
import { SOFTWARE } from '../base/software.ts';
import { isThere } from '../base/system-errors.ts';
import type { QuantisedPrecision } from '../engine/packing.ts';
import {
  type ComparedText,
  checkComparable,
  checkTokens,
  compareModels,
  type Difference,
  heldOutTexts,
} from '../lm/compare-models.ts';
import type { LocalModel } from '../lm/local-model.ts';
import { asking, type OpenOptions } from '../lm/open.ts';
import { type Model, plannedModel } from '../models/model.ts';
import { readRows } from '../sources/rows/read.ts';

export interface CompareOptions
  extends Omit<OpenOptions, 'scoring' | 'sequences' | 'batch_tokens'>,
    Abortable {
  /** A folder, a GGUF file or a hub id: what the other one is measured against. */
  readonly model: string;
  readonly with: string;
  /** The same two, where they are open already. */
  readonly opened?: { readonly model: Model; readonly with: Model };
  /** Plain text, or rows with "text" and, if wanted, "language"; default: held-out text of the reference set. */
  readonly text?: string;
  /** Where the report is written as JSON. */
  readonly out?: string;
}

export interface CompareReport {
  readonly format: 'whorl-comparison';
  readonly version: 1;
  readonly software: typeof SOFTWARE;
  readonly model: string;
  readonly with: string;
  /** To which linear layers of both were quantised, where they were: figures of such models, not of the files. */
  readonly precision?: QuantisedPrecision;
  /** What was read: a file's path, or null for the reference set; and the SHA-256 of its texts, hex. */
  readonly text: string | null;
  readonly text_sha256: string;
  readonly languages: readonly Difference[];
  readonly all: Difference;
}

/** Text without rows is cut at line ends into pieces of about this many characters, each with a beginning of its own. */
const PIECE = 4000;
const ROWS: ReadonlySet<string> = new Set(['.json', '.jsonl', '.parquet', '.arrow']);
/** The name of text that says no language. */
const OWN = 'Text';

/**
 * KL, perplexity, shift of log-likelihood and greedy choices at every position of the text.
 * @throws WhorlError `mismatch` for models whose vocabularies or tokens differ, naming the text
 */
export const compare: Plannable<CompareOptions, CompareReport> = plannable(planned, compared);

/** Opens both, reads the text and refuses all that can be refused before a model runs. */
async function prepared<T>(
  options: CompareOptions,
  call: (before: LocalModel, after: LocalModel, texts: readonly ComparedText[]) => Promise<T>,
): Promise<T> {
  const { model, with: other, opened, text, out, onEvent = silent, ...open } = options;
  if (out !== undefined) checkWritable(out);
  const texts = text === undefined ? heldOutTexts() : await textsOf(text);
  const opening = (name: string) => !opened && onEvent({ kind: 'phase', name: 'opening', detail: name });
  opening(model);
  return asking({ kind: 'model', model: opened?.model ?? model }, { ...open, onEvent }, (before) => {
    opening(other);
    return asking({ kind: 'model', model: opened?.with ?? other }, { ...open, onEvent }, async (after) => {
      checkComparable(before, after);
      await checkTokens(before, after, texts);
      return call(before, after, texts);
    });
  });
}

function compared(options: CompareOptions): Promise<CompareReport> {
  return prepared(options, async (before, after, texts) => {
    const { model, with: other, text, out, onEvent = silent } = options;
    const name = 'comparing';
    onEvent({ kind: 'phase', name, detail: `${texts.length} texts` });
    const { languages, all } = await compareModels(before, after, texts, { onEvent, name });
    const { precision } = before;
    const report: CompareReport = {
      format: 'whorl-comparison',
      version: 1,
      software: SOFTWARE,
      model,
      with: other,
      ...(precision && { precision }),
      text: text ?? null,
      text_sha256: sha256Hex(JSON.stringify(texts.map((each) => [each.language, each.text]))),
      languages,
      all,
    };
    if (out !== undefined) writeJsonAtomic(out, report);
    return report;
  });
}

function planned(options: CompareOptions): Promise<DryRun> {
  return prepared(options, async (before, after, texts) =>
    planOf('compare', {
      models: [plannedModel('model', before.model), plannedModel('with', after.model)],
      settings: { text: options.text ?? 'reference set, held-out part' },
      writes: options.out === undefined ? [] : [{ path: options.out, what: 'the figures' }],
      notes: [`${texts.length} texts, the same tokens under both models`],
    }),
  );
}

async function textsOf(path: string): Promise<ComparedText[]> {
  if (!isThere(path))
    throw new WhorlError(
      'missing-file',
      `${path} does not exist`,
      'give a file of text, or rows with "text"',
    );
  const texts = ROWS.has(extname(path).toLowerCase()) ? await rowTexts(path) : plainTexts(path);
  if (texts.length === 0) throw new WhorlError('bad-file', `${path} has no text`, 'give some');
  return texts;
}

async function rowTexts(path: string): Promise<ComparedText[]> {
  const texts: ComparedText[] = [];
  let row = 0;
  for await (const { text, language } of readRows(path)) {
    row++;
    const given = language ?? OWN;
    if (typeof text !== 'string' || typeof given !== 'string')
      throw new WhorlError(
        'bad-file',
        `${path}: row ${row} has no text as ${typeof text === 'string' ? '"language"' : '"text"'}`,
        'give every row a string "text"; "language" may be left out',
      );
    if (text.trim() !== '') texts.push({ language: given, text });
  }
  return texts;
}

function plainTexts(path: string): ComparedText[] {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new WhorlError('bad-file', `${path} is not UTF-8`, 'give plain text, or rows with "text"', {
      cause,
    });
  }
  const pieces: string[] = [];
  let piece = '';
  for (const line of text.split(/(?<=\n)/)) {
    if (piece !== '' && piece.length + line.length > PIECE) {
      pieces.push(piece);
      piece = '';
    }
    piece += line;
  }
  pieces.push(piece);
  return pieces.filter((each) => each.trim() !== '').map((each) => ({ language: OWN, text: each }));
}
