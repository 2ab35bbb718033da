// Instruction rows out of any data set's columns: which column means what is told or found by name, and reported.

import { WhorlError } from '../base/error.ts';
import { openRows } from '../sources/open-rows.ts';
import type { NumberedRow } from '../sources/rows/numbered.ts';
import type { Row } from '../sources/rows/row.ts';
import { orderedRows } from '../sources/rows/row-source.ts';

export interface InstructionRow {
  instruction: string;
  input: string;
  output: string;
}

/** Which column of the source is which; `input` may be missing. */
export interface ColumnMap {
  instruction: string;
  input?: string;
  output: string;
}

/** A column that goes with any of those below: what the instruction is about. */
const INPUTS = ['input', 'context'] as const;

// Each by the data set it is known from; the first whose columns are all there is taken.
const KNOWN: readonly (ColumnMap & { of: string })[] = [
  { of: 'natural-instructions', instruction: 'definition', input: 'inputs', output: 'targets' },
  { of: 'Flan', instruction: 'inputs', output: 'targets' },
  ...[
    { of: 'Alpaca', instruction: 'instruction', output: 'output' },
    { of: 'Dolly', instruction: 'instruction', output: 'response' },
    { of: 'prompts', instruction: 'prompt', output: 'completion' },
    { of: 'prompts', instruction: 'prompt', output: 'response' },
    { of: 'questions', instruction: 'question', output: 'answer' },
  ].flatMap((map) => [...INPUTS.map((input) => ({ ...map, input })), map]),
];

/** Usable rows as they come, and what was found out on the way. */
export interface InstructionReader extends AsyncIterable<InstructionRow> {
  /** What the columns were taken for; undefined before the first row. */
  readonly columns: ColumnMap | undefined;
  /** Rows left out so far because instruction or output is empty. */
  readonly empty: number;
}

/**
 * The columns of each row are those told, or the known ones that it has: a column that a row lacks is null there, as in
 * the table that `datasets` makes of the file. Throws `mismatch` where the first row has none, where what stands in one
 * is not text, and at the end for a told input that no row had; all name file and row.
 */
export function instructionRows(rows: AsyncIterable<NumberedRow>, columns?: ColumnMap): InstructionReader {
  const finder = columnFinder(columns);
  let empty = 0;
  return {
    get columns() {
      return finder.columns;
    },
    get empty() {
      return empty;
    },
    async *[Symbol.asyncIterator]() {
      let last: NumberedRow | undefined;
      for await (const numbered of rows) {
        const { row: raw, path, number } = numbered;
        const map = finder.of(raw, path, last === undefined);
        last = numbered;
        const row = map && instructionRow(raw, presentIn(raw, map), path, number);
        if (!row || row.instruction.trim() === '' || row.output.trim() === '') empty++;
        else yield row;
      }
      if (last) finder.end(last.path);
    },
  };
}

interface ColumnFinder {
  /** What the rows were taken for so far. */
  readonly columns: ColumnMap | undefined;
  /** The row's own; undefined for a later row without instruction or output. */
  of(raw: Row, path: string, isFirst: boolean): ColumnMap | undefined;
  end(path: string): void;
}

function columnFinder(told?: ColumnMap): ColumnFinder {
  let columns = told;
  let hadInput = told?.input === undefined;
  return {
    get columns() {
      return columns;
    },
    of(raw, path, isFirst) {
      const row = flat(raw);
      const map = told ?? knownIn(raw);
      if (map?.input !== undefined && Object.hasOwn(row, map.input)) hadInput = true;
      if (map === undefined || (!isFirst && !has(row, map)))
        return isFirst ? findColumns(raw, path) : undefined;
      if (columns === undefined || (columns.input === undefined && sameBut(columns, map))) columns = map;
      return map;
    },
    end(path) {
      if (!hadInput)
        throw new WhorlError(
          'mismatch',
          `${path}: no row has the column ${JSON.stringify(told!.input)}`,
          'name the input column that is there, or leave it out of --columns',
        );
    },
  };
}

/** The map without an input that the row lacks. */
export function presentIn(raw: Row, map: ColumnMap): ColumnMap {
  const { instruction, input, output } = map;
  return input === undefined || Object.hasOwn(flat(raw), input) ? map : { instruction, output };
}

const has = (row: Row, { instruction, output }: ColumnMap): boolean =>
  Object.hasOwn(row, instruction) && Object.hasOwn(row, output);

const sameBut = (a: ColumnMap, b: ColumnMap): boolean =>
  a.instruction === b.instruction && a.output === b.output;

export interface InstructionRows {
  rows: InstructionRow[];
  columns: ColumnMap;
  /** Rows left out because instruction or output is empty. */
  empty: number;
}

/** At most `limit` usable rows of a file, a folder or a data set of the hub. */
export async function readInstructionRows(
  path: string,
  limit: number,
  columns?: ColumnMap,
): Promise<InstructionRows> {
  const reader = instructionRows(orderedRows(await openRows(path), 'file', 0n), columns);
  const rows: InstructionRow[] = [];
  for await (const row of reader) if (rows.push(row) >= limit) break;
  if (reader.columns === undefined) throw new WhorlError('bad-file', `${path} holds no rows`);
  return { rows, columns: reader.columns, empty: reader.empty };
}

/**
 * One row by the map. Throws `mismatch` naming file, row and column for what is missing or not text; null is empty, and
 * NaN, which is how pandas' null comes out of Python's json.
 */
export function instructionRow(raw: Row, map: ColumnMap, path: string, number: number): InstructionRow {
  const row = flat(raw);
  const instruction = text(row, map.instruction, path, number);
  const output = text(row, map.output, path, number);
  const input = map.input === undefined ? '' : text(row, map.input, path, number);
  return { instruction, input, output };
}

/** self-instruct keeps inputs and outputs in a list of instances: the first one counts. */
function flat(row: Row): Row {
  const first: unknown = Array.isArray(row.instances) ? row.instances[0] : undefined;
  return typeof first === 'object' && first !== null ? { ...row, ...first } : row;
}

/** The known columns that stand in a row, if there are such. */
export function knownIn(raw: Row): ColumnMap | undefined {
  const row = flat(raw);
  const found = KNOWN.find((map) =>
    [map.instruction, map.output, map.input ?? map.output].every((column) => Object.hasOwn(row, column)),
  );
  if (found === undefined) return undefined;
  const { of: _, ...map } = found;
  return map;
}

/** The known columns that stand in a row. Throws `mismatch` naming those that do where none is known. */
export function findColumns(raw: Row, path: string): ColumnMap {
  const row = flat(raw);
  const found = knownIn(raw);
  if (found !== undefined) return found;
  const present = Object.keys(row).slice(0, 20).join(', ') || 'none';
  throw new WhorlError(
    'mismatch',
    `${path}: no known columns for instruction and output among ${present}`,
    'name them with --columns instruction=COLUMN,output=COLUMN[,input=COLUMN]',
  );
}

function text(row: Row, column: string, path: string, number: number): string {
  const value = Object.hasOwn(row, column) ? row[column] : undefined;
  if (value === null || Number.isNaN(value)) return '';
  if (typeof value === 'string') return value;
  const what = value === undefined ? 'missing' : 'not text';
  throw new WhorlError('mismatch', `${path}, row ${number}: column ${JSON.stringify(column)} is ${what}`);
}

/** The flag's `instruction=a,output=b`. Throws `usage` for another name or a missing one. */
export function parseColumnMap(flag: string): ColumnMap {
  const map = new Map<string, string>();
  for (const part of flag.split(',')) {
    const [role, ...column] = part.split('=');
    if (!['instruction', 'input', 'output'].includes(role!) || column.join('=') === '')
      throw new WhorlError(
        'usage',
        `--columns: ${JSON.stringify(part)} is not instruction=, input= or output=COLUMN`,
      );
    map.set(role!, column.join('='));
  }
  const [instruction, input, output] = ['instruction', 'input', 'output'].map((role) => map.get(role));
  if (instruction === undefined || output === undefined)
    throw new WhorlError('usage', '--columns names instruction= and output= at least');
  return input === undefined ? { instruction, output } : { instruction, input, output };
}
