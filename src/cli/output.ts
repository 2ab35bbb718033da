// Where words go: results to stdout, everything else to stderr; tables and figures for people.

import pc from 'picocolors';
import stringWidth from 'string-width';
import { WhorlError } from '../base/error.ts';
import { systemError } from '../base/system-errors.ts';
import { writtenOut } from '../base/unseen.ts';

export type Paint = ReturnType<typeof pc.createColors>;

/** Colours where a person looks at that stream; each stream is asked by itself. */
function paintFor(stream: NodeJS.WriteStream): Paint {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  return pc.createColors(!NO_COLOR && (Boolean(FORCE_COLOR) || (stream.isTTY && TERM !== 'dumb')));
}

export const paint = paintFor(process.stdout);
export const errorPaint = paintFor(process.stderr);

/** A command that did what it was asked and whose result has an exit code of its own. */
export class Outcome extends Error {
  override readonly name = 'Outcome';
  constructor(
    readonly exitCode: number,
    reason: string,
  ) {
    super(reason);
  }
}

/** The progress line that stands on the terminal, if one does: it makes room before anything else is written. */
export const liveLine = { clear: (): void => {} };

/** Why stdout takes no more: its reader went away (EPIPE), or the disk behind it is full. */
let lost: NodeJS.ErrnoException | undefined;

/** A lost stderr stops no work; a lost stdout is remembered, and the next line that is printed ends the call. */
export function watchStreams(): void {
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    lost ??= error;
  });
}

/** A reader that has enough (`whorl … | head`) is told nothing more, as every program does it. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

function lostOutput(cause: NodeJS.ErrnoException): Error {
  if (cause.code === 'EPIPE') return new ReaderGone('stdout was closed', { cause });
  const { message } = systemError(cause, 'stdout', 'writing') ?? cause;
  return new WhorlError('lost-output', message, undefined, { cause });
}

/** Waits until stdout has taken everything. @returns whether it has; where it has not, why is told */
export async function delivered(): Promise<boolean> {
  const failed = await new Promise<Error | null | undefined>((resolve) =>
    lost ? resolve(lost) : process.stdout.write('', resolve),
  );
  if (!failed) return true;
  lost ??= failed;
  const error = lostOutput(lost);
  if (!(error instanceof ReaderGone)) tell(`${errorPaint.red('error:')} ${error.message}`);
  return false;
}

/** Text of the result as it is. Throws `lost-output`, or `ReaderGone`, when what was printed before was not delivered. */
export function printText(text: string): void {
  if (lost) throw lostOutput(lost);
  liveLine.clear();
  process.stdout.write(text);
}

/** One line of the result. */
export const print = (line = ''): void => printText(`${line}\n`);

/** One JSON line of the result. Numbers that JSON does not know become null, big integers strings. */
export const printJson = (value: unknown): void => {
  print(JSON.stringify(value, (_, field: unknown) => (typeof field === 'bigint' ? String(field) : field)));
};

/** One line for people, never a result. */
export const tell = (line: string): void => {
  liveLine.clear();
  process.stderr.write(`${line}\n`);
};

/** Columns padded to their widest cell; a column whose cells all look like numbers is set right. */
export function table(rows: readonly (readonly string[])[], indent = '  '): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, c) =>
    Math.max(...rows.map((row) => stringWidth(row[c] ?? ''))),
  );
  const right = widths.map((_, c) =>
    rows.every((row) => /^(?:[-+~≤≥]?[\d.,]+(?:e[-+]?\d+)?[%×]?|–|)$/.test(stripColour(row[c] ?? ''))),
  );
  return rows.map((row) =>
    (indent + row.map((cell, c) => pad(cell, widths[c]!, right[c]!)).join('  ')).trimEnd(),
  );
}

function pad(cell: string, width: number, right: boolean): string {
  const room = ' '.repeat(Math.max(0, width - stringWidth(cell)));
  return right ? room + cell : cell + room;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with one
const stripColour = (text: string): string => text.replace(/\x1b\[[\d;]*m/g, '');

/** Untrusted text in one safe line: no control characters, cut to `most` columns. */
export function shownText(text: string, most = 120): string {
  return cut(writtenOut(JSON.stringify(text).slice(1, -1)), most);
}

/** The longest beginning of `text` that fits `columns`, with an ellipsis where something is left out. */
export function cut(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text;
  let out = '';
  let width = 0;
  for (const char of text) {
    width += stringWidth(char);
    if (width > columns - 1) break;
    out += char;
  }
  return `${out}…`;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** 1234567 → "1.2 MB" (powers of 1,000, as disks and hubs count). */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export const countText = (value: number): string =>
  Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');

/** 134515008 → "134.5 M". */
export function largeText(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} B`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  return value >= 1e5 ? `${Math.round(value / 1e3)} k` : countText(value);
}

/** Seconds → "0.4 s", "12 s", "3 min 05 s", "2 h 10 min". */
export function durationText(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** log10 p → "10^-77.1", rounded up: what stands after "p ≤" must stay true. */
export const powerText = (log10: number): string =>
  log10 === 0 ? '1' : `10^${(Math.ceil(log10 * 10) / 10).toFixed(1)}`;

/** Words wrapped at `columns`, every line indented. */
export function wrapped(text: string, indent = '  ', columns = 96): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && stringWidth(line) + 1 + stringWidth(word) > columns - indent.length) {
      lines.push(indent + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  if (line !== '') lines.push(indent + line);
  return lines;
}
