// The sets that the paper's users fine-tune on, from each source's own columns to Alpaca JSON, in the rows, order and
// bytes that the paper's scripts write.

import type { Abortable } from '../base/abort.ts';
import { checkNew } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { openRows } from '../sources/open-rows.ts';
import { type JsonLayout, writeJsonList } from '../sources/rows/json-list.ts';
import type { NumberedRow } from '../sources/rows/numbered.ts';
import { orderedRows } from '../sources/rows/row-source.ts';
import type { RowOrder } from '../sources/rows/shuffle.ts';
import { type Turn, turnsOf } from './conversations.ts';
import { type ColumnMap, type InstructionRow, instructionRow } from './instruction-rows.ts';
import { checkCount } from './mix.ts';
import { PAPER } from './paper.ts';
import { plannedSet } from './planned-set.ts';
import {
  cleanSamples,
  type Dropped,
  drop,
  rawSamples,
  type Sample,
  type SplitOptions,
  splitSamples,
} from './sharegpt.ts';

export interface DownstreamSet {
  /** One line of the help. */
  readonly summary: string;
  /** What `--source` must be, in words. */
  readonly source: string;
  /** The data set of the hub that is read where no source is named. */
  readonly hub: string;
  readonly order: RowOrder;
  /** Rows taken from the start of that order; all where not said. */
  readonly count?: number;
  readonly layout: JsonLayout;
  /** Columns of plain instruction sets; a set without them holds conversations. */
  readonly columns?: ColumnMap;
}

const ALPACA_COLUMNS: ColumnMap = { instruction: 'instruction', input: 'input', output: 'output' };
const PYTHON: JsonLayout = { indent: 4, ascii: true };

export const DOWNSTREAM = {
  ni: {
    summary: 'natural instructions: the first 15,000 of the shuffled stream',
    source: 'Muennighoff/natural-instructions train: definition, inputs, targets',
    hub: 'Muennighoff/natural-instructions:train',
    order: 'stream',
    count: 15_000,
    layout: PYTHON,
    columns: { instruction: 'definition', input: 'inputs', output: 'targets' },
  },
  dolly: {
    summary: 'Dolly 15k: context becomes input, response output',
    source: 'databricks/databricks-dolly-15k train: instruction, context, response',
    hub: 'databricks/databricks-dolly-15k:train',
    order: 'file',
    layout: PYTHON,
    columns: { instruction: 'instruction', input: 'context', output: 'response' },
  },
  sharegpt: {
    summary: 'ShareGPT: the first question and answer of each conversation',
    source: 'ShareGPT_V3_unfiltered_cleaned_split_no_imsorry.json: id, conversations',
    hub: 'anon8231489123/ShareGPT_Vicuna_unfiltered:ShareGPT_V3_unfiltered_cleaned_split_no_imsorry.json',
    order: 'file',
    layout: { indent: 4, ascii: false },
  },
  alpaca: {
    summary: 'Alpaca 52k',
    source: "stanford_alpaca's alpaca_data.json: instruction, input, output",
    hub: 'tatsu-lab/alpaca:train',
    order: 'file',
    layout: PYTHON,
    columns: ALPACA_COLUMNS,
  },
  alpaca_gpt4: {
    summary: 'Alpaca with the answers of GPT-4',
    source: "GPT-4-LLM's alpaca_gpt4_data.json: instruction, input, output",
    hub: 'vicgalle/alpaca-gpt4:train',
    order: 'file',
    layout: PYTHON,
    columns: ALPACA_COLUMNS,
  },
} as const satisfies Record<string, DownstreamSet>;

export type DownstreamName = keyof typeof DOWNSTREAM;

export interface DownstreamOptions extends Abortable {
  name: DownstreamName;
  /** JSON file to write; must not be there. */
  out: string;
  /** A file or folder `readRows` reads or a data set of the hub, with the source's own columns; the set's own if not given. */
  source?: string;
  order?: RowOrder;
  /** Default 42, the paper's. */
  seed?: bigint;
  count?: number;
  /** ShareGPT only: HTML becomes Markdown and unusable samples go, as FastChat's `clean_sharegpt` does it. */
  html?: boolean;
  /** ShareGPT only: long conversations are split, as FastChat's `split_long_conversation` does it. */
  split?: SplitOptions;
  /** ShareGPT only: whole conversations in FastChat's form instead of Alpaca rows. */
  conversations?: boolean;
  /** Called with each row as it is written. */
  onRow?: (row: InstructionRow | Sample) => void;
  onEvent?: OnEvent;
}

/** Writes the set; how many rows. Throws `mismatch` naming file, row and column for a row that does not fit. */
export const downstreamDataset: Plannable<DownstreamOptions, number> = plannable(
  planDownstream,
  runDownstream,
);

async function planDownstream(options: DownstreamOptions): Promise<DryRun> {
  const { rows, source } = await begun(options);
  for await (const _ of rows) break;
  return plannedSet(options.name, { ...options, source });
}

async function runDownstream(options: DownstreamOptions): Promise<number> {
  const { onEvent = silent } = options;
  const { rows, source, count, layout, dropped } = await begun(options);
  const written = await writeJsonList(options.out, shown(rows, options.onRow), layout);
  for (const [why, left] of dropped) onEvent({ kind: 'note', text: `${source}: ${left} left out: ${why}` });
  if (count !== undefined && written < count)
    onEvent({ kind: 'note', text: `${source} gives ${written} rows, fewer than the ${count} asked for` });
  return written;
}

interface Begun {
  readonly rows: AsyncIterable<InstructionRow | Sample>;
  readonly source: string;
  readonly count: number | undefined;
  readonly layout: JsonLayout;
  readonly dropped: Dropped;
}

/** All that can be refused before the first row. */
async function begun(options: DownstreamOptions): Promise<Begun> {
  const { name, seed = 42n, onEvent = silent } = options;
  const set: DownstreamSet = DOWNSTREAM[name];
  const { source = set.hub } = options;
  const count = options.count ?? set.count;
  if (count !== undefined) checkCount('count', count, 1);
  if (seed < 0n) throw new WhorlError('usage', `--seed ${seed} is negative`, 'give 0 or more');
  checkNew(options.out);
  onEvent({ kind: 'phase', name: 'read', detail: source });
  const dropped: Dropped = new Map();
  const { order = set.order } = options;
  const ordered = orderedRows(await openRows(source, { onEvent }), order, seed);
  const rows = taken(
    set.columns ? instructions(ordered, set.columns) : dialogues(ordered, options, dropped),
    count,
  );
  const layout = options.conversations ? { indent: 2, ascii: false } : set.layout;
  return { rows, source, count, layout, dropped };
}

async function* instructions(
  rows: AsyncIterable<NumberedRow>,
  map: ColumnMap,
): AsyncGenerator<InstructionRow> {
  for await (const { row, path, number } of rows) yield instructionRow(row, map, path, number);
}

async function* dialogues(
  rows: AsyncIterable<NumberedRow>,
  { html = false, split, conversations = false }: DownstreamOptions,
  dropped: Dropped,
): AsyncGenerator<InstructionRow | Sample> {
  const isWhole = html || split !== undefined || conversations;
  if (!isWhole) {
    for await (const { row, path, number } of rows) yield* firstPair(turnsOf(row, path, number), dropped);
    return;
  }
  const raw = rawSamples(rows);
  const clean: AsyncIterable<Sample> = html ? cleanSamples(raw, dropped) : withoutRaw(raw);
  for await (const sample of split ? splitSamples(clean, split) : clean)
    if (conversations) yield sample;
    else yield* firstPair(sample.conversations, dropped);
}

async function* withoutRaw(samples: AsyncIterable<Sample & { raw: unknown }>): AsyncGenerator<Sample> {
  for await (const { raw: _, ...sample } of samples) yield sample;
}

/** The paper's rule: a context that comes first is the instruction, the question the input. */
function* firstPair(turns: readonly Turn[], dropped: Dropped): Generator<InstructionRow> {
  const context = turns[0]?.from === 'gpt' || turns[0]?.from === 'system' ? turns[0].value : undefined;
  const [asked, answer] = context === undefined ? turns : turns.slice(1);
  if (asked?.from !== 'human' || answer?.from !== 'gpt')
    drop(dropped, 'no question with an answer at the beginning');
  else if (isBanned(answer.value))
    drop(dropped, 'the answer has a phrase of the sixteen that the paper bans');
  else yield { instruction: context ?? '', input: asked.value, output: answer.value };
}

const isBanned = (answer: string): boolean => {
  const lower = answer.toLowerCase();
  return PAPER.downstream.sharegptBanned.some((phrase) => lower.includes(phrase));
};

async function* taken<T>(rows: AsyncIterable<T>, count = Number.POSITIVE_INFINITY): AsyncGenerator<T> {
  let left = count;
  for await (const row of rows) {
    yield row;
    if (--left <= 0) return;
  }
}

async function* shown<T extends InstructionRow | Sample>(
  rows: AsyncIterable<T>,
  onRow: (row: T) => void = () => {},
): AsyncGenerator<T> {
  for await (const row of rows) {
    onRow(row);
    yield row;
  }
}
