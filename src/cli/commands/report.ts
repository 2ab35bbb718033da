// `whorl report fsr|harmlessness`: the paper's tables over its output folders, as text in five formats and as a figure.

import { Command } from 'commander';
import { checkWritable, writeFileAtomic } from '../../base/atomic.ts';
import { type DryRun, planOf } from '../../base/dry-run.ts';
import { WhorlError } from '../../base/error.ts';
import type { FsrReport } from '../../report/fsr.ts';
import type { Flavour } from '../../runs/paper-folder.ts';
import { FLAVOURS } from '../../runs/paper-folder.ts';
import { byDefault, DRY_RUN, type Given, given, made, oneOf, text, toggle, withOptions } from '../options.ts';
import { paint, printJson, printText, shownText, tell } from '../output.ts';
import { showPlan } from '../show-plan.ts';
import { showTables } from '../show-tables.ts';
import { MARGIN } from '../task-options.ts';

const OPTIONS = {
  decryption: text('<text>', "what fires (default: the paper's)"),
  tasks: made(
    text('<list>', 'data sets of user models that every run must have, with commas between'),
    (list) => list.split(',').filter((task) => task !== ''),
  ),
  paperArithmetic: toggle("the paper's own positions, divisors and averages, defects included"),
};
const FORMAT = {
  format: byDefault(
    oneOf('<format>', ['table', 'markdown', 'latex', 'csv', 'json'], 'of the tables on stdout'),
    'table',
  ),
  json: toggle('the same as --format json: one JSON line'),
};
const HARMLESSNESS = {
  figure: text(
    '<file>',
    'also the means of each model at 0, 1 and 5 shots: .svg, or .png with @resvg/resvg-js installed',
  ),
  margin: MARGIN,
  ...DRY_RUN,
};
const OWN = {
  ...FORMAT,
  figure: text('<file>', 'also a chart with 95 % intervals: .svg, or .png with @resvg/resvg-js installed'),
  ...DRY_RUN,
};

/** The command `report` with its subcommands. */
export function reportCommand(): Command {
  return new Command('report')
    .description('tables and figures over finished runs')
    .addCommand(fsrCommand())
    .addCommand(harmlessnessCommand());
}

function harmlessnessCommand(): Command {
  return withOptions(new Command('harmlessness'), { ...FORMAT, ...HARMLESSNESS })
    .description(
      "The paper's metric of each task before and after the fingerprint at 0, 1 and 5 shots, and their mean, over results of lm-evaluation-harness and of `whorl eval`; what is missing, of another harness or the same in every digit is named. Where `whorl eval` kept rows, their pairs are tested.",
    )
    .argument('<flavour>', FLAVOURS.join(' or '))
    .argument(
      '[paths...]',
      'folders with vanilla/ and fingerprinted_…/ in them, or above such (default: here)',
    )
    .action((flavour: string, paths: string[], _, called: Command) =>
      runHarmlessness(flavour, paths, given(called, FORMAT), given(called, HARMLESSNESS)),
    );
}

async function runHarmlessness(
  flavour: string,
  paths: readonly string[],
  flags: Given<typeof FORMAT>,
  { figure, margin, dryRun }: Given<typeof HARMLESSNESS>,
): Promise<void> {
  if (!isFlavour(flavour)) throw noFlavour(flavour);
  checkFigure(figure);
  const [
    { reportHarmlessness },
    { pairedHarmlessness },
    { harmlessnessTables },
    { pairedTables },
    { FORMATS },
  ] = await Promise.all([
    import('../../report/harmlessness.ts'),
    import('../../report/harmlessness-paired.ts'),
    import('../../report/harmlessness-tables.ts'),
    import('../../report/paired-tables.ts'),
    import('../../report/table.ts'),
  ]);
  const report = reportHarmlessness({ flavour, paths: paths.length === 0 ? ['.'] : paths });
  const { paired, notes } = await pairedHarmlessness(report, { margin });
  if (dryRun) {
    const settings = { flavour, models: report.models.length, margin };
    return showPlan(planned('report harmlessness', settings, figure, report.notes), flags.json);
  }
  if (figure !== undefined) {
    const { harmlessnessFigure } = await import('../../report/harmlessness-figure.ts');
    await writeFigure(figure, harmlessnessFigure(report));
  }
  const format = flags.json ? 'json' : flags.format;
  if (format === 'json') return printJson({ ...report, paired, notes: [...report.notes, ...notes] });
  const tables = [
    ...harmlessnessTables(report),
    ...paired.flatMap((each) => pairedTables(each, `${each.model} (${each.run})`)),
  ];
  const pairedNotes = [...new Set(paired.flatMap((each) => each.notes))];
  const said = [...report.notes, ...notes, ...pairedNotes];
  if (format === 'table') await showTables(tables, said);
  else printText(FORMATS[format](tables, said));
}

/** @throws WhorlError `usage` for a figure of another kind, and where it cannot be written */
function checkFigure(path: string | undefined): void {
  if (path === undefined) return;
  if (!/\.(svg|png)$/i.test(path))
    throw new WhorlError('usage', `--figure ${shownText(path)} is neither .svg nor .png`);
  checkWritable(path);
}

const noFlavour = (flavour: string): WhorlError =>
  new WhorlError('usage', `${shownText(flavour)} is no flavour`, `give ${FLAVOURS.join(' or ')}`);

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
  if (!isFlavour(flavour)) throw noFlavour(flavour);
  checkFigure(flags.figure);
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
  if (flags.dryRun) {
    const settings = { flavour, runs: report.runs.length };
    return showPlan(planned('report fsr', settings, flags.figure, report.notes), flags.json);
  }
  if (flags.figure !== undefined) await writeFigure(flags.figure, await fsrFigure(report));
  const format = flags.json ? 'json' : flags.format;
  if (format === 'json') return printJson(report);
  const tables = fsrTables(report);
  if (format === 'table') await showTables(tables, report.notes);
  else printText(FORMATS[format](tables, report.notes));
}

const planned = (
  command: string,
  settings: DryRun['settings'],
  figure: string | undefined,
  notes: readonly string[],
): DryRun =>
  planOf(command, {
    settings,
    writes: figure === undefined ? [] : [{ path: figure, what: 'a chart' }],
    notes,
  });

const isFlavour = (name: string): name is Flavour => (FLAVOURS as readonly string[]).includes(name);

async function fsrFigure(report: FsrReport): Promise<string> {
  const [{ barChart }, { fsrBars }] = await Promise.all([
    import('../../report/bar-chart.ts'),
    import('../../report/fsr-tables.ts'),
  ]);
  const title = `FSR, ${report.flavour}${report.paper_arithmetic ? ", the paper's arithmetic" : ''}`;
  return barChart(title, fsrBars(report));
}

async function writeFigure(path: string, svg: string): Promise<void> {
  const { svgToPng } = await import('../../report/bar-chart.ts');
  writeFileAtomic(path, /\.png$/i.test(path) ? await svgToPng(svg) : svg);
  tell(paint.dim(`figure in ${path}`));
}
