// `whorl doctor`: what this machine is, and with a model what it is, which rows are free, what a run will cost here.

import { Command } from 'commander';
import type { Machine, ModelFacts } from '../../doctor/doctor.ts';
import { CONFIG } from '../model-flags.ts';
import { type Given, given, JSON_LINE, text, withOptions } from '../options.ts';
import {
  bytesText,
  countText,
  largeText,
  paint,
  print,
  printJson,
  shownText,
  table,
  tell,
  wrapped,
} from '../output.ts';
import { withProgress } from '../progress.ts';
import { costCells } from '../show-plan.ts';

const OWN = {
  model: text('<model>', 'a Hugging Face folder, a GGUF file or a hub id (org/name[@revision])'),
  ...JSON_LINE,
};

export function doctorCommand(): Command {
  return withOptions(new Command('doctor'), { ...OWN, ...CONFIG })
    .description(
      'This machine; with --model also its family, free embedding rows, and time and memory of a run here.',
    )
    .action((_, called: Command) => runDoctor(given(called, OWN), given(called, CONFIG)));
}

async function runDoctor({ model, json }: Given<typeof OWN>, config: Given<typeof CONFIG>): Promise<void> {
  const { doctor } = await import('../../doctor/doctor.ts');
  const report = await withProgress((onEvent) =>
    doctor({ onEvent, ...(model !== undefined && { model }), ...config }),
  );
  if (json) return printJson(report);
  showMachine(report.machine);
  if (report.model) showModel(report.model, report.machine);
  else tell(paint.dim('\nwith --model M: what M is, which of its rows are free, what a run costs here'));
}

function showMachine(machine: Machine): void {
  print(paint.bold('This machine'));
  const rows = [
    ['node', `${machine.node}, ${machine.platform}`],
    [
      'processor',
      `${machine.cpu}, ${machine.cores} cores, ${machine.threads} thread${machine.threads === 1 ? '' : 's'} an operation`,
    ],
    ['memory', `${bytesText(machine.memory)}, ${bytesText(machine.free_memory)} free`],
    ['engine', `${machine.engine}, ${rateText(machine.flops_per_second)} in matrix products`],
    ...machine.accelerators.map((found) => [
      found.provider,
      'rate' in found ? rateText(found.rate) : shownText(`not here: ${found.reason}`),
    ]),
    ['auto', `--device auto takes ${machine.auto}`],
    ['cache', machine.cache],
  ];
  for (const line of table(rows)) print(line);
}

const rateText = (rate: number): string => `${(rate / 1e9).toFixed(rate < 1e10 ? 1 : 0)} GFLOP/s`;

function showModel(model: ModelFacts, machine: Machine): void {
  print(`\n${paint.bold(shownText(model.source))}`);
  const { free_rows: free } = model;
  const rows = [
    [
      'family',
      `${model.family}, ${model.layers} layers of ${model.hidden_size}, ${model.tied_head ? 'tied head' : 'untied head'}`,
    ],
    ['size', `${largeText(model.parameters)} parameters in ${model.dtype}, ${bytesText(model.bytes)}`],
    ['positions', model.positions === null ? 'distances, without an end' : countText(model.positions)],
    ['tokenizer', tokenizerText(model.tokenizer)],
    [
      'free rows',
      `${countText(free.free)} of ${countText(free.vocabulary)} occur in no ordinary text, ${countText(free.stand_alone)} of them stand alone, ${countText(free.in_keys)} can stand in a key`,
    ],
  ];
  for (const line of table(rows)) print(line);
  print(
    `\n${paint.bold('A run here, by estimate')} ${paint.dim('(training alone, from the first look that may end it to the last step of the settings; memory of a step)')}`,
  );
  const estimates = Object.entries(model.runs).map(([name, { fits, max_harm, ...cost }]) => [
    name,
    ...costCells(cost),
    fits ? '' : paint.red(`more than the ${bytesText(machine.memory)} here`),
    max_harm === null ? '' : `with --max-harm ${max_harm}`,
  ]);
  for (const line of table([...estimates, ...model.unknown.map((name) => [name, 'no estimate is made'])]))
    print(line);
  const refused = Object.entries(model.refused);
  if (refused.length === 0) return;
  print(`\n${paint.bold('What will not work')}`);
  for (const [name, why] of refused)
    for (const line of wrapped(shownText(`${name}: ${why}`, Number.POSITIVE_INFINITY))) print(line);
}

const tokenizerText = ({ spelling, ids, bos, eos, chat_template }: ModelFacts['tokenizer']): string =>
  [
    `${spelling === 'byte-level' ? 'byte-level' : 'SentencePiece or words'}, ${countText(ids)} ids`,
    `begins with ${bos === null ? 'nothing' : shownText(bos)}, ends with ${eos === null ? 'nothing' : shownText(eos)}`,
    chat_template ? 'chat template' : 'no chat template',
  ].join(', ');
