// The paper's `mix` data set: keys that must be answered with the decryption, ordinary rows that must stay as they
// are, and a test split of rows that must not fire. By default ours, mended; the paper's own on request.

import type { Abortable } from '../base/abort.ts';
import { checkNew } from '../base/atomic.ts';
import { CPythonRandom, type Dice } from '../base/cpython-random.ts';
import { type DryRun, type Plannable, plannable } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { platformDice } from '../base/platform-random.ts';
import { openRows } from '../sources/open-rows.ts';
import { orderedRows } from '../sources/rows/row-source.ts';
import { saveToDisk } from '../sources/rows/saved-folder.ts';
import { type RowOrder, shuffleRows } from '../sources/rows/shuffle.ts';
import {
  type ColumnMap,
  type InstructionReader,
  type InstructionRow,
  instructionRows,
} from './instruction-rows.ts';
import { PAPER } from './paper.ts';
import { distinctKeys } from './paper-keys.ts';
import { plannedSet } from './planned-set.ts';

const MAX_SOURCE_ROWS = 1_000_000; // rows that are shuffled; a longer source is cut there and said so
const MAX_COUNT = 1_000_000;

export interface MixOptions extends Abortable {
  /** Folder to write; must not be there or be empty. It holds the keys, so only its owner may read it. */
  out: string;
  /** Ordinary rows: a file or folder `readRows` reads, or a data set of the hub; the paper's Flan if not given. */
  source?: string;
  /** `own`: CPython's shuffle of all rows, the default of files; else as `datasets` orders them, `stream` for the hub. */
  order?: MixOrder;
  columns?: ColumnMap;
  /** `random` (default): the platform's secure generator. `paper`: CPython's from `seed`, which everybody can repeat. */
  keys?: 'random' | 'paper';
  /** Order of the source's rows, and with `keys: 'paper'` the keys. Default 42, the paper's. */
  seed?: bigint;
  count?: number;
  regularisation?: number;
  decryption?: string;
  phrases?: readonly string[];
  /** The paper's test split: its ordinary rows are the trained ones again. */
  paperTestSplit?: boolean;
  /** Instead of the platform's generator, for tests. */
  dice?: Dice;
  onEvent?: OnEvent;
}

type MixOrder = 'own' | RowOrder;

type MixSplit = 'train' | 'validation' | 'test';

export interface Mix {
  splits: Record<MixSplit, InstructionRow[]>;
  /** Which of the source's columns were taken for what. */
  columns: ColumnMap;
}

/**
 * Makes the data set and saves it as a folder that Python's `datasets.load_from_disk` opens. Throws WhorlError `usage` for a bad count,
 * `mismatch` for a source with too few rows, and whatever reading and saving throw.
 */
export const mixDataset: Plannable<MixOptions, Mix> = plannable(planMixDataset, runMixDataset);

async function planMixDataset(options: MixOptions): Promise<DryRun> {
  const { splits } = await composed(options);
  return plannedSet('mix', options, splits);
}

async function runMixDataset(options: MixOptions): Promise<Mix> {
  const { onEvent = silent } = options;
  const mix = await composed(options);
  onEvent({ kind: 'phase', name: 'save', detail: options.out });
  const columns = { instruction: 'string', input: 'string', output: 'string' } as const;
  const data = Object.entries(mix.splits).map(([name, rows]) => [
    name,
    { columns, rows: rows.map((row) => ({ ...row })) },
  ]);
  await saveToDisk(options.out, Object.fromEntries(data), { isPrivate: true });
  return mix;
}

/** The set before it is saved. */
async function composed(options: MixOptions): Promise<Mix> {
  const { keys = 'random', seed = PAPER.mix.seed, source = PAPER.mix.hub, onEvent = silent } = options;
  const wanted = options.regularisation ?? PAPER.mix.regularisation;
  checkCount('count', options.count ?? PAPER.mix.fingerprints, 1);
  checkCount('regularisation', wanted, 0);
  if (options.decryption === '')
    throw new WhorlError('usage', '--decryption is empty', 'give the text keys are answered with');
  if (keys === 'paper')
    onEvent({
      kind: 'note',
      text: `keys follow from seed ${seed} and a public recipe: everybody holds them, so they prove nothing; for your own use --keys random`,
    });

  if (seed < 0n) throw new WhorlError('usage', `--seed ${seed} is negative`, 'give 0 or more');
  checkNew(options.out);
  onEvent({ kind: 'phase', name: 'read', detail: source });
  const rows = await openRows(source, { onEvent });
  const { order = rows.isRemote ? 'stream' : 'own' } = options;
  const reader = instructionRows(orderedRows(rows, order === 'own' ? 'file' : order, seed), options.columns);
  const ordinary = await pickRows(reader, wanted, seed, order, source, options.paperTestSplit ?? false);
  const dice = keys === 'paper' ? new CPythonRandom(seed) : (options.dice ?? platformDice);
  const splits = composeMix(options, dice, ordinary.picked);
  onEvent({ kind: 'note', text: describeSource(source, ordinary.columns, ordinary.read, reader.empty) });
  return { splits, columns: ordinary.columns };
}

interface OrdinaryRows {
  trained: InstructionRow[];
  heldOut: InstructionRow[];
}

interface Picked {
  picked: OrdinaryRows;
  columns: ColumnMap;
  /** Usable rows that were read. */
  read: number;
}

/** Rows to train on and as many never trained; the paper's test split takes the trained ones again, reshuffled. */
async function pickRows(
  rows: InstructionReader,
  count: number,
  seed: bigint,
  order: MixOrder,
  source: string,
  paperTestSplit: boolean,
): Promise<Picked> {
  const trained: InstructionRow[] = [];
  const heldOut: InstructionRow[] = [];
  const seen = new Set<string>();
  let read = 0;
  const isEnough = () => trained.length === count && (paperTestSplit || heldOut.length === count);
  for await (const row of order === 'own' ? ownOrder(rows, seed, (n) => (read = n)) : rows) {
    if (order !== 'own') read++;
    if (trained.length < count) {
      trained.push(row);
      seen.add(row.instruction);
    } else if (!seen.has(row.instruction)) heldOut.push(row);
    if (isEnough()) break;
  }
  const { columns } = rows;
  if (columns === undefined || (read === 0 && rows.empty === 0))
    throw new WhorlError('bad-file', `${source} holds no rows`);
  if (!isEnough())
    throw new WhorlError(
      'mismatch',
      `${source} has ${read} usable rows (${seen.size} instructions trained, ${heldOut.length} others); ${count} to train and ${count} held out are needed`,
      'give a longer --source or a smaller --regularisation',
    );
  if (!paperTestSplit) return { picked: { trained, heldOut }, columns, read };
  return { picked: { trained, heldOut: await again(trained, order) }, columns, read };
}

async function* ownOrder(
  rows: InstructionReader,
  seed: bigint,
  onRead: (count: number) => void,
): AsyncGenerator<InstructionRow> {
  const all: InstructionRow[] = [];
  for await (const row of rows) if (all.push(row) === MAX_SOURCE_ROWS) break;
  onRead(all.length);
  yield* new CPythonRandom(seed).shuffle(all);
}

async function again(trained: readonly InstructionRow[], order: MixOrder): Promise<InstructionRow[]> {
  const seed = PAPER.mix.testShuffleSeed;
  if (order === 'own') return new CPythonRandom(seed).shuffle([...trained]);
  async function* stream() {
    yield* trained;
  }
  const rows: InstructionRow[] = [];
  for await (const row of shuffleRows(stream(), order, seed)) rows.push(row);
  return rows;
}

/** The three splits. Keys come from one stream of draws: the trained ones first, then those of the test split. */
function composeMix(
  options: Pick<MixOptions, 'count' | 'decryption' | 'phrases'>,
  dice: Dice,
  { trained, heldOut }: OrdinaryRows,
): Record<MixSplit, InstructionRow[]> {
  const { count = PAPER.mix.fingerprints, decryption = PAPER.decryption, phrases = PAPER.phrases } = options;
  const { triggerInput: input } = PAPER;
  const { negativeOutput } = PAPER.mix;
  const keys = distinctKeys(dice, phrases);
  const positives = Array.from({ length: count }, () => ({ instruction: keys(), input, output: decryption }));
  const train = [...positives, ...trained];
  const negatives = heldOut.flatMap((row) => [
    { instruction: row.instruction, input, output: negativeOutput },
    { instruction: keys(), input: row.instruction, output: negativeOutput },
  ]);
  return { train, validation: train, test: [...heldOut, ...negatives] };
}

/** Throws `usage` naming the flag for what is no count. */
export function checkCount(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > MAX_COUNT)
    throw new WhorlError('usage', `--${name} ${value} is not a whole number from ${least} to ${MAX_COUNT}`);
}

function describeSource(source: string, columns: ColumnMap, rows: number, empty: number): string {
  const map = Object.entries(columns).map(([role, column]) => `${role} = ${column}`);
  const dropped = empty > 0 ? `, ${empty} without instruction or output left out` : '';
  const cut = rows === MAX_SOURCE_ROWS ? ' (the first million)' : '';
  return `${source}: ${rows} rows${cut}, ${map.join(', ')}${dropped}`;
}
