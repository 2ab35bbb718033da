// The FSR report as tables and as the bars of its figure.

import type { AnswerKind } from '../runs/paper-folder.ts';
import type { Bar } from './bar-chart.ts';
import type { FsrReport, Share } from './fsr.ts';
import type { Table, TableCell } from './table.ts';

const WORDS: Readonly<Record<AnswerKind, string>> = {
  vanilla: 'vanilla',
  publish: 'published',
  publish_w_adapter: 'published + adapter',
  sample_from_bos: 'samples from BOS',
  tuned_publish: 'user model',
  tuned_round: 'user model, sampled',
  tuned_w_adapter: "user's embeddings + adapter",
  tuned_direct: 'user model + adapter',
};

const named = (kind: AnswerKind, task: string | null | undefined): string =>
  task ? `${WORDS[kind]}, ${task}` : WORDS[kind];

export function fsrTables(report: FsrReport): Table[] {
  const flavour = report.paper_arithmetic ? `${report.flavour}, the paper's arithmetic` : report.flavour;
  return [
    {
      title: `FSR (${flavour})`,
      columns: ['model', 'asked', 'fired', 'of', 'FSR %', '95 % low', '95 % high', 'normal %', 'similar %'],
      rows: report.runs.flatMap(({ model, files, samples }) => [
        ...files.map(({ kind, task, fsr, normal, similar }) => [
          model,
          named(kind, task),
          ...shareCells(fsr),
          normal?.percent ?? null,
          similar?.percent ?? null,
        ]),
        ...(samples ? [[model, WORDS.sample_from_bos, ...shareCells(samples), null, null]] : []),
      ]),
    },
    {
      title: `Averages (${flavour})`,
      columns: ['asked', 'models', 'files', 'FSR %', 'normal %', 'similar %'],
      rows: report.averages.map(({ kind, task, models, files, fsr, normal, similar }) => [
        averageName(kind, task),
        models,
        files,
        fsr,
        normal,
        similar,
      ]),
    },
    {
      title: 'Ten rounds at temperature 0.7, against 75 %',
      columns: [
        'model',
        'data set',
        'mean FSR %',
        't',
        't-test p',
        'fired',
        'of',
        '95 % low',
        '95 % high',
        'exact p',
      ],
      rows: report.runs.flatMap(({ model, rounds }) =>
        rounds.map(({ task, mean, t, t_p_value, pooled, exact_p_value }) => [
          model,
          task,
          mean,
          t,
          t_p_value,
          pooled.fired,
          pooled.of,
          pooled.low,
          pooled.high,
          exact_p_value,
        ]),
      ),
    },
    {
      title: 'Missing files',
      columns: ['model', 'file'],
      rows: report.runs.flatMap(({ model, missing }) => missing.map((file) => [model, file])),
    },
    {
      title: 'Files whose names say nothing',
      columns: ['model', 'file'],
      rows: report.runs.flatMap(({ model, unknown }) => unknown.map((file) => [model, file])),
    },
  ].filter(({ rows }) => rows.length > 0);
}

const averageName = (kind: AnswerKind, task: string | null): string =>
  task === null && kind.startsWith('tuned') ? `${WORDS[kind]}, all data sets` : named(kind, task);

const shareCells = ({ fired, of, percent, low, high }: Share): TableCell[] => [fired, of, percent, low, high];

export function fsrBars(report: FsrReport): Bar[] {
  return report.runs.flatMap(({ model, files, samples }) => [
    ...files.map(({ kind, task, fsr }) => ({ group: model, label: named(kind, task), ...fsr })),
    ...(samples ? [{ group: model, label: WORDS.sample_from_bos, ...samples }] : []),
  ]);
}
