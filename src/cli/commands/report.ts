// `whorl report fsr`: the paper's FSR tables over its output folders, as text in five formats and as a figure.

import { Command } from 'commander';
import { checkWritable, writeFileAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import type { FsrReport } from '../../report/fsr.ts';
import type { Table } from '../../report/table.ts';
import type { Flavour } from '../../runs/paper-folder.ts';
import { FLAVOURS } from '../../runs/paper-folder.ts';
import { byDefault, type Given, given, made, oneOf, text, toggle, withOptions } from '../options.ts';
import { paint, print, printJson, printText, shownText, table, tell, wrapped } from '../output.ts';

const OPTIONS = {
  decryption: text('<text>', "what fires (default: the paper's)"),
  tasks: made(
    text('<list>', 'data sets of user models that every run must have, with commas between'),
    (list) => list.split(',').filter((task) => task !== ''),
  ),
  paperArithmetic: toggle("the paper's own positions, divisors and averages, defects included"),
};
const OWN = {
  format: byDefault(
    oneOf('<format>', ['table', 'markdown', 'latex', 'csv', 'json'], 'of the tables on stdout'),
    'table',
  ),
  json: toggle('the same as --format json: one JSON line'),
  figure: text('<file>', 'also a chart with 95 % intervals: .svg, or .png with @resvg/resvg-js installed'),
};

/** The command `report` with its subcommands. */
export function reportCommand(): Command {
  return new Command('report').description('tables and figures over finished runs').addCommand(fsrCommand());
}

function fsrCommand(): Command {
  return withOptions(new Command('fsr'), { ...OPTIONS, ...OWN })
    .description(
      'FSR of every .jsonl file of output_{template}_{adapter|sft_chat}/, ten rounds, averages over models and data sets; files that should be there and are not are named.',
    )
    .argument('<flavour>', FLAVOURS.join(' or '))
    .argument('[paths...]', 'runs, output folders, or folders that hold some (default: here)')
    .action((flavour: string, paths: string[], _, called: Command) =>
      runFsr(flavour, paths, given(called, OPTIONS), given(called, OWN)),
    );
}

async function runFsr(
  flavour: string,
  paths: readonly string[],
  options: Given<typeof OPTIONS>,
  flags: Given<typeof OWN>,
): Promise<void> {
  if (!isFlavour(flavour))
    throw new WhorlError('usage', `${shownText(flavour)} is no flavour`, `give ${FLAVOURS.join(' or ')}`);
  const extension = flags.figure === undefined ? undefined : /\.(svg|png)$/i.exec(flags.figure)?.[1];
  if (flags.figure !== undefined && extension === undefined)
    throw new WhorlError('usage', `--figure ${shownText(flags.figure)} is neither .svg nor .png`);
  if (flags.figure !== undefined) checkWritable(flags.figure);
  const [{ reportFsr }, { fsrTables }, { FORMATS }] = await Promise.all([
    import('../../report/fsr.ts'),
    import('../../report/fsr-tables.ts'),
    import('../../report/table.ts'),
  ]);
  const report = reportFsr({
    flavour,
    paths: paths.length === 0 ? ['.'] : paths,
    ...options,
  });
  if (flags.figure !== undefined) await writeFigure(flags.figure, report);
  const format = flags.json ? 'json' : flags.format;
  if (format === 'json') return printJson(report);
  const tables = fsrTables(report);
  if (format === 'table') await show(tables, report.notes);
  else printText(FORMATS[format](tables, report.notes));
}

const isFlavour = (name: string): name is Flavour => (FLAVOURS as readonly string[]).includes(name);

async function writeFigure(path: string, report: FsrReport): Promise<void> {
  const [{ barChart, svgToPng }, { fsrBars }] = await Promise.all([
    import('../../report/bar-chart.ts'),
    import('../../report/fsr-tables.ts'),
  ]);
  const title = `FSR, ${report.flavour}${report.paper_arithmetic ? ", the paper's arithmetic" : ''}`;
  const svg = barChart(title, fsrBars(report));
  writeFileAtomic(path, /\.png$/i.test(path) ? await svgToPng(svg) : svg);
  tell(paint.dim(`figure in ${path}`));
}

async function show(tables: readonly Table[], notes: readonly string[]): Promise<void> {
  const { cellText } = await import('../../report/table.ts');
  for (const { title, columns, rows } of tables) {
    print(paint.bold(title));
    const cells = rows.map((row) => row.map((cell) => shownText(cellText(cell), 60)));
    const [head, ...body] = table([columns, ...cells]);
    print(paint.dim(head!));
    for (const line of body) print(line);
    print();
  }
  for (const note of notes) for (const line of wrapped(note)) print(line);
}
