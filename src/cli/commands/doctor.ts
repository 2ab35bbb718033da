// `whorl doctor`: what this machine is, and with a model what it is, which rows are free, what a run will cost here.

import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import { Command } from 'commander';
import type { OnEvent } from '../../base/events.ts';
import type { Provider } from '../../engine/session.ts';
import type { Found } from '../../engine/session-device.ts';
import type { RunShape } from '../../models/cost.ts';
import type { Decoder } from '../../models/family.ts';
import type { ModelFolder } from '../../models/model.ts';
import type { ConfigOptions } from '../../models/open-model.ts';
import type { FloatDtype } from '../../tensor/tensor.ts';
import { CONFIG } from '../model-flags.ts';
import { type Given, given, JSON_LINE, text, withOptions } from '../options.ts';
import {
  bytesText,
  countText,
  durationText,
  largeText,
  paint,
  print,
  printJson,
  shownText,
  table,
  tell,
} from '../output.ts';
import { withProgress } from '../progress.ts';

/** Runs as first experiments on SmolLM2 took them (LOG.md); a larger model takes the same steps, each dearer. */
const RUNS: Readonly<Record<'rows' | 'adapter', RunShape>> = {
  rows: { tokensPerStep: 850, steps: 60, rows: 256, labelsPerStep: 64 },
  adapter: { tokensPerStep: 460, steps: 40, rows: 128, labelsPerStep: 120 },
};

interface Machine {
  node: string;
  platform: string;
  cpu: string;
  /** Physical ones, and threads of an operation unless --threads says otherwise. */
  cores: number;
  threads: number;
  memory: number;
  free_memory: number;
  engine: string;
  providers: readonly string[];
  /** Providers beside the CPU, each tried: its rate, or why it has none. */
  accelerators: readonly Found[];
  /** What `--device auto` takes here. */
  auto: Provider;
  flops_per_second: number;
  cache: string;
}

interface ModelFacts {
  source: string;
  family: string;
  layers: number;
  hidden_size: number;
  vocabulary: number;
  positions: number;
  dtype: string;
  tied_head: boolean;
  parameters: number;
  bytes: number;
  free_rows: { free: number; stand_alone: number; vocabulary: number };
  runs: Record<string, { tokens: number; seconds: number; memory: number; fits: boolean }>;
}

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
  const report = await withProgress(async (onEvent) => {
    const machine = await examineMachine(onEvent);
    if (model === undefined) return { machine, model: null };
    return { machine, model: await examineModel(model, config, machine, onEvent) };
  });
  if (json) return printJson(report);
  showMachine(report.machine);
  if (report.model) showModel(report.model, report.machine);
  else tell(paint.dim('\nwith --model M: what M is, which of its rows are free, what a run costs here'));
}

async function examineMachine(onEvent: OnEvent): Promise<Machine> {
  const [
    { engineInfo },
    { measureRate },
    { fastestProvider, findAccelerators },
    { cores },
    { freeMemory },
    { cacheFolder },
  ] = await Promise.all([
    import('../../engine/session-info.ts'),
    import('../../engine/rate.ts'),
    import('../../engine/session-device.ts'),
    import('../../base/cores.ts'),
    import('../../base/memory.ts'),
    import('../../models/open-model.ts'),
  ]);
  onEvent({ kind: 'phase', name: 'measuring', detail: 'matrix products' });
  const engine = engineInfo();
  const rate = await measureRate();
  const accelerators = await findAccelerators();
  const { physical, usable } = cores() ?? {
    physical: availableParallelism(),
    usable: availableParallelism(),
  };
  return {
    node: process.version,
    platform: `${platform()}/${arch()}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: physical,
    threads: usable,
    memory: Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
    free_memory: freeMemory(),
    engine: `${engine.name} ${engine.version}`,
    providers: engine.providers,
    accelerators,
    auto: fastestProvider(accelerators, rate),
    flops_per_second: rate,
    cache: cacheFolder(),
  };
}

async function examineModel(
  path: string,
  choice: ConfigOptions,
  machine: Machine,
  onEvent: OnEvent,
): Promise<ModelFacts> {
  const [{ openModel }, { openTokenizer }, cost, { floatDtype }] = await Promise.all([
    import('../../models/open-model.ts'),
    import('../../text/tokenizer.ts'),
    import('../../models/cost.ts'),
    import('../../sources/checkpoints/read.ts'),
  ]);
  onEvent({ kind: 'phase', name: 'opening', detail: path });
  const model = await openModel(path, { onEvent, ...choice });
  const { decoder } = model;
  const tokenizer = await openTokenizer(model.folder);
  onEvent({ kind: 'phase', name: 'free rows', detail: 'against ordinary text of about 90 languages' });
  const [{ freeRows }, { loadReference }] = await Promise.all([
    import('../../fingerprint/free-rows.ts'),
    import('../../text/reference.ts'),
  ]);
  const { counts } = await freeRows(tokenizer, loadReference().rows);
  const dtype = floatDtype(model.tensors.get(decoder.embedding)!);
  const runs = Object.entries(RUNS).map(([name, run]) => [
    name,
    estimate(cost, decoder, run, dtype, machine),
  ]);
  const { config } = decoder;
  return {
    source: model.source,
    family: decoder.model_type,
    layers: config.num_hidden_layers,
    hidden_size: config.hidden_size,
    vocabulary: config.vocab_size,
    positions: config.max_position_embeddings,
    dtype: dtypesOf(model),
    tied_head: config.tie_word_embeddings,
    parameters: cost.modelSize(decoder).parameters,
    bytes: [...model.tensors.values()].reduce((sum, ref) => sum + ref.length, 0),
    free_rows: { free: counts.free, stand_alone: counts.standAlone, vocabulary: counts.vocabulary },
    runs: Object.fromEntries(runs) as ModelFacts['runs'],
  };
}

const dtypesOf = (model: ModelFolder): string =>
  [...new Set([...model.tensors.values()].map(({ dtype }) => dtype))].join(', ');

function estimate(
  cost: typeof import('../../models/cost.ts'),
  decoder: Decoder,
  run: RunShape,
  dtype: FloatDtype,
  machine: Machine,
) {
  const work = cost.trainingCost(decoder, run);
  const { total } = cost.memoryEstimate(decoder, { ...run, dtype });
  return {
    tokens: work.tokens,
    seconds: cost.trainingSeconds(work, machine.flops_per_second),
    memory: total,
    fits: total < machine.memory,
  };
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
    ['positions', countText(model.positions)],
    [
      'free rows',
      `${countText(free.free)} of ${countText(free.vocabulary)} occur in no ordinary text, ${countText(free.stand_alone)} of them stand alone`,
    ],
  ];
  for (const line of table(rows)) print(line);
  print(
    `\n${paint.bold('A run here, by estimate')} ${paint.dim('(steps as on SmolLM2; training ends earlier when every cell holds)')}`,
  );
  const runs = Object.entries(model.runs).map(([name, { tokens, seconds, memory, fits }]) => [
    name,
    `${countText(tokens)} tokens`,
    `about ${durationText(seconds)}`,
    `about ${bytesText(memory)}`,
    fits ? '' : paint.red(`more than the ${bytesText(machine.memory)} here`),
  ]);
  for (const line of table(runs)) print(line);
}
