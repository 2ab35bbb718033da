// What this machine is, and with a model what it is, which of its rows are free, and what a run will cost here.

import { arch, availableParallelism, cpus, platform } from 'node:os';
import { type Abortable, abortable } from '../base/abort.ts';
import type { CostEstimate } from '../base/dry-run.ts';
import type { OnEvent } from '../base/events.ts';
import type { Provider } from '../engine/session.ts';
import type { Found } from '../engine/session-device.ts';
import type { Model, ModelFolder } from '../models/model.ts';
import type { ConfigOptions } from '../models/open-model.ts';

export interface Machine {
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

export interface ModelFacts {
  source: string;
  family: string;
  layers: number;
  hidden_size: number;
  vocabulary: number;
  /** null: no end. */
  positions: number | null;
  dtype: string;
  tied_head: boolean;
  parameters: number;
  bytes: number;
  free_rows: { free: number; stand_alone: number; vocabulary: number };
  /** By method: with its own settings for a model of this width. Those without an estimate are left out. */
  runs: Record<string, RunCost>;
}

interface RunCost extends CostEstimate {
  /** `--max-harm` that such a run wants, where it is more than the method's own limit. */
  readonly max_harm: number | null;
}

export interface DoctorOptions extends ConfigOptions, Abortable {
  /** A Hugging Face folder, a GGUF file or a hub id. */
  readonly model?: string;
  readonly onEvent?: OnEvent;
}

export interface DoctorReport {
  readonly machine: Machine;
  readonly model: ModelFacts | null;
}

/** Measures the machine's rate (some seconds). @throws WhorlError what opening the model throws */
export function doctor(options: DoctorOptions): Promise<DoctorReport> {
  return abortable(options, async ({ model, ignoreConfigKeys, onEvent }) => {
    const machine = await examineMachine(onEvent);
    if (model === undefined) return { machine, model: null };
    const choice = ignoreConfigKeys === undefined ? {} : { ignoreConfigKeys };
    return { machine, model: await examineModel(model, choice, machine, onEvent) };
  });
}

async function examineMachine(onEvent: OnEvent): Promise<Machine> {
  const [
    { engineInfo },
    { measureRate },
    { fastestProvider, findAccelerators },
    { cores },
    { freeMemory, totalMemory },
    { cacheFolder },
  ] = await Promise.all([
    import('../engine/session-info.ts'),
    import('../engine/rate.ts'),
    import('../engine/session-device.ts'),
    import('../base/cores.ts'),
    import('../base/memory.ts'),
    import('../models/open-model.ts'),
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
    memory: totalMemory(),
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
  const [{ openModel }, { openTokenizer }, { modelSize }] = await Promise.all([
    import('../models/open-model.ts'),
    import('../text/tokenizer.ts'),
    import('../models/cost.ts'),
  ]);
  onEvent({ kind: 'phase', name: 'opening', detail: path });
  const model = await openModel(path, { onEvent, ...choice });
  const { decoder } = model;
  const tokenizer = await openTokenizer(model.folder);
  onEvent({ kind: 'phase', name: 'free rows', detail: 'against ordinary text of about 90 languages' });
  const [{ freeRows }, { loadReference }] = await Promise.all([
    import('../fingerprint/free-rows.ts'),
    import('../text/reference.ts'),
  ]);
  const { counts } = await freeRows(tokenizer, loadReference().rows);
  const { config } = decoder;
  return {
    source: model.source,
    family: decoder.model_type,
    layers: config.num_hidden_layers,
    hidden_size: config.hidden_size,
    vocabulary: config.vocab_size,
    positions: decoder.encoder ? null : config.max_position_embeddings,
    dtype: dtypesOf(model),
    tied_head: config.tie_word_embeddings,
    parameters: modelSize(decoder).parameters,
    bytes: [...model.tensors.values()].reduce((sum, ref) => sum + ref.length, 0),
    free_rows: { free: counts.free, stand_alone: counts.standAlone, vocabulary: counts.vocabulary },
    runs: await runsOf(model, machine.flops_per_second),
  };
}

async function runsOf(model: Model, rate: number): Promise<ModelFacts['runs']> {
  const [{ runEstimate }, { harmAt, METHODS, registryName, settingsFor }] = await Promise.all([
    import('../fingerprint/estimate.ts'),
    import('../fingerprint/registry.ts'),
  ]);
  const width = model.decoder.config.hidden_size;
  const name = registryName(model);
  const found = Object.values(METHODS).flatMap((method): [string, RunCost][] => {
    const cost = runEstimate(model, method.name, settingsFor(method, name, {}, width) as object, rate);
    if (cost === null) return [];
    const harm = harmAt(method, width);
    return [[method.name, { ...cost, max_harm: harm > method.maxHarm ? harm : null }]];
  });
  return Object.fromEntries(found);
}

const dtypesOf = (model: ModelFolder): string =>
  [...new Set([...model.tensors.values()].map(({ dtype }) => dtype))].join(', ');
