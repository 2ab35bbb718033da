// A table as data, and its texts: Markdown, LaTeX, CSV, JSON. The terminal's is drawn by the command.

export type TableCell = string | number | null;

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly TableCell[])[];
}

export type TextFormat = 'markdown' | 'latex' | 'csv';

export const FORMATS: Readonly<
  Record<TextFormat, (tables: readonly Table[], notes: readonly string[]) => string>
> = {
  markdown: (tables, notes) =>
    [...tables.map(markdown), ...notes.map((note) => `${escapeMarkdown(note)}\n`)].join('\n'),
  latex: (tables, notes) => [...tables.map(latex), ...notes.map((note) => `% ${note}\n`)].join('\n'),
  // One file of several tables: the first column names the table, so that a row still says what it is.
  csv: (tables, notes) =>
    [
      ...tables.flatMap((table) =>
        [['table', ...table.columns], ...table.rows.map((row) => [table.title, ...row])].map(csvLine),
      ),
      ...notes.map((note) => csvLine(['note', note])),
    ].join(''),
};

/** At most two decimals for people: 12.5, 0, 35.71; small p-values keep two digits. */
export function cellText(cell: TableCell): string {
  if (cell === null || (typeof cell === 'number' && Number.isNaN(cell))) return '–';
  if (typeof cell === 'string') return cell;
  if (cell !== 0 && Math.abs(cell) < 0.01) return cell.toExponential(1);
  return String(Math.round(cell * 100) / 100);
}

function markdown({ title, columns, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeMarkdown).join(' | ')} |`;
  return [
    `**${escapeMarkdown(title)}**`,
    '',
    line(columns),
    `|${columns.map((_, c) => (rows.some((row) => typeof row[c] === 'number') ? ' ---: ' : ' --- ')).join('|')}|`,
    ...rows.map((row) => line(row.map(cellText))),
    '',
  ].join('\n');
}

const escapeMarkdown = (text: string): string =>
  text.replace(/[\\|`*_<>[\]]/g, '\\$&').replace(/\s*\n\s*/g, ' ');

function latex({ title, columns, rows }: Table): string {
  const line = (cells: readonly string[]) => `${cells.map(escapeLatex).join(' & ')} \\\\`;
  return [
    '\\begin{table}',
    `\\caption{${escapeLatex(title)}}`,
    `\\begin{tabular}{${columns.map((_, c) => (rows.some((row) => typeof row[c] === 'number') ? 'r' : 'l')).join('')}}`,
    '\\hline',
    line(columns),
    '\\hline',
    ...rows.map((row) => line(row.map(cellText))),
    '\\hline',
    '\\end{tabular}',
    '\\end{table}',
    '',
  ].join('\n');
}

const LATEX: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
  '–': '--',
};
const escapeLatex = (text: string): string =>
  text.replace(/[\\~^–]|[&%$#_{}]/g, (char) => LATEX[char] ?? `\\${char}`).replace(/\s*\n\s*/g, ' ');

/** RFC 4180. Numbers in full; a text that a spreadsheet would run as a formula gets a quote before it. */
function csvLine(cells: readonly TableCell[]): string {
  const text = (cell: TableCell): string => {
    if (cell === null || (typeof cell === 'number' && Number.isNaN(cell))) return '';
    if (typeof cell === 'number') return String(cell);
    const safe = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return `${cells.map(text).join(',')}\r\n`;
}
