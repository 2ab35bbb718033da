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

// Each by the data set it is known from; the first whose columns are all there is taken.
const KNOWN: readonly (ColumnMap & { of: string })[] = [
  { of: 'natural-instructions', instruction: 'definition', input: 'inputs', output: 'targets' },
  { of: 'Flan', instruction: 'inputs', output: 'targets' },
  { of: 'Alpaca', instruction: 'instruction', input: 'input', output: 'output' },
  { of: 'Dolly', instruction: 'instruction', input: 'context', output: 'response' },
  { of: 'instructions', instruction: 'instruction', output: 'output' },
  { of: 'instructions', instruction: 'instruction', output: 'response' },
  { of: 'prompts', instruction: 'prompt', output: 'completion' },
  { of: 'prompts', instruction: 'prompt', output: 'response' },
  { of: 'questions', instruction: 'question', output: 'answer' },
];

/** Usable rows as they come, and what was found out on the way. */
export interface InstructionReader extends AsyncIterable<InstructionRow> {
  /** What the columns were taken for; undefined before the first row. */
  readonly columns: ColumnMap | undefined;
  /** Rows left out so far because instruction or output is empty. */
  readonly empty: number;
}

/**
 * The columns are those told, or the known ones of the first row. Throws `mismatch` where it has none, or where a later
 * row's are not text, naming file and row.
 */
export function instructionRows(rows: AsyncIterable<NumberedRow>, columns?: ColumnMap): InstructionReader {
  let map = columns;
  let empty = 0;
  return {
    get columns() {
      return map;
    },
    get empty() {
      return empty;
    },
    async *[Symbol.asyncIterator]() {
      for await (const { row: raw, path, number } of rows) {
        map ??= findColumns(raw, path);
        const row = instructionRow(raw, map, path, number);
        if (row.instruction.trim() === '' || row.output.trim() === '') empty++;
        else yield row;
      }
    },
  };
}

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

/** One row by the map. Throws `mismatch` naming file, row and column for what is missing or not text; null is empty. */
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

/** The known columns that stand in a row. Throws `mismatch` naming those that do where none is known. */
export function findColumns(raw: Row, path: string): ColumnMap {
  const row = flat(raw);
  const found = KNOWN.find((map) =>
    [map.instruction, map.output, map.input ?? map.output].every((column) => Object.hasOwn(row, column)),
  );
  if (found !== undefined) {
    const { of: _, ...map } = found;
    return map;
  }
  const present = Object.keys(row).slice(0, 20).join(', ') || 'none';
  throw new WhorlError(
    'mismatch',
    `${path}: no known columns for instruction and output among ${present}`,
    'name them with --columns instruction=COLUMN,output=COLUMN[,input=COLUMN]',
  );
}

function text(row: Row, column: string, path: string, number: number): string {
  const value = Object.hasOwn(row, column) ? row[column] : undefined;
  if (value === null) return '';
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
