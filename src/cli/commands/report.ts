// `whorl report fsr`: the paper's FSR tables over its output folders, as text in five formats and as a figure.

import { Command, Option } from 'commander';
import { checkWritable, writeFileAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import type { FsrReport } from '../../report/fsr.ts';
import type { TextFormat } from '../../report/table.ts';
import type { Flavour } from '../../runs/paper-folder.ts';
import { FLAVOURS } from '../../runs/paper-folder.ts';
import { paint, printJson, printText, shownText, tell } from '../output.ts';
import { showTables } from '../show-tables.ts';

interface FsrFlags {
  format: 'table' | 'json' | TextFormat;
  json?: boolean;
  figure?: string;
  tasks?: string;
  decryption?: string;
  paperArithmetic?: boolean;
}

/** The command `report` with its subcommands. */
export function reportCommand(): Command {
  return new Command('report')
    .description('tables and figures over finished runs')
    .addCommand(fsrCommand())
    .addCommand(harmlessnessCommand());
}

interface HarmlessnessFlags {
  format: 'table' | 'json' | TextFormat;
  json?: boolean;
}

function harmlessnessCommand(): Command {
  return new Command('harmlessness')
    .description(
      "The paper's metric of each task before and after the fingerprint at 0, 1 and 5 shots, and their mean, over results of lm-evaluation-harness and of `whorl eval`; what is missing, of another harness or the same in every digit is named.",
    )
    .argument('<flavour>', FLAVOURS.join(' or '))
    .argument(
      '[paths...]',
      'folders with vanilla/ and fingerprinted_…/ in them, or above such (default: here)',
    )
    .addOption(formatOption())
    .option('--json', 'the same as --format json: one JSON line')
    .action((flavour: string, paths: string[], flags: HarmlessnessFlags) =>
      runHarmlessness(flavour, paths, flags),
    );
}

async function runHarmlessness(
  flavour: string,
  paths: readonly string[],
  flags: HarmlessnessFlags,
): Promise<void> {
  if (!isFlavour(flavour)) throw noFlavour(flavour);
  const [{ reportHarmlessness }, { harmlessnessTables }, { FORMATS }] = await Promise.all([
    import('../../report/harmlessness.ts'),
    import('../../report/harmlessness-tables.ts'),
    import('../../report/table.ts'),
  ]);
  const report = reportHarmlessness({ flavour, paths: paths.length === 0 ? ['.'] : paths });
  const format = flags.json ? 'json' : flags.format;
  if (format === 'json') return printJson(report);
  const tables = harmlessnessTables(report);
  if (format === 'table') await showTables(tables, report.notes);
  else printText(FORMATS[format](tables, report.notes));
}

const formatOption = (): Option =>
  new Option('--format <format>', 'of the tables on stdout')
    .choices(['table', 'markdown', 'latex', 'csv', 'json'])
    .default('table');

const noFlavour = (flavour: string): WhorlError =>
  new WhorlError('usage', `${shownText(flavour)} is no flavour`, `give ${FLAVOURS.join(' or ')}`);

function fsrCommand(): Command {
  return new Command('fsr')
    .description(
      'FSR of every .jsonl file of output_{template}_{adapter|sft_chat}/, ten rounds, averages over models and data sets; files that should be there and are not are named.',
    )
    .argument('<flavour>', FLAVOURS.join(' or '))
    .argument('[paths...]', 'runs, output folders, or folders that hold some (default: here)')
    .addOption(formatOption())
    .option('--json', 'the same as --format json: one JSON line')
    .option(
      '--figure <file>',
      'also a chart with 95 % intervals: .svg, or .png with @resvg/resvg-js installed',
    )
    .option('--tasks <list>', 'data sets of user models that every run must have, with commas between')
    .option('--decryption <text>', "what fires (default: the paper's)")
    .option('--paper-arithmetic', "the paper's own positions, divisors and averages, defects included")
    .action((flavour: string, paths: string[], flags: FsrFlags) => runFsr(flavour, paths, flags));
}

async function runFsr(flavour: string, paths: readonly string[], flags: FsrFlags): Promise<void> {
  if (!isFlavour(flavour)) throw noFlavour(flavour);
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
    ...(flags.decryption === undefined ? {} : { decryption: flags.decryption }),
    ...(flags.tasks === undefined ? {} : { tasks: flags.tasks.split(',').filter((task) => task !== '') }),
    paperArithmetic: flags.paperArithmetic ?? false,
  });
  if (flags.figure !== undefined) await writeFigure(flags.figure, report);
  const format = flags.json ? 'json' : flags.format;
  if (format === 'json') return printJson(report);
  const tables = fsrTables(report);
  if (format === 'table') await showTables(tables, report.notes);
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
