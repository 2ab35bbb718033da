// What this machine is, and with a model what it is, which of its rows are free, and what a run will cost here.

import { arch, availableParallelism, cpus, platform } from 'node:os';
import { type Abortable, abortable } from '../base/abort.ts';
import type { CostEstimate } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import type { Provider } from '../engine/session.ts';
import type { Found } from '../engine/session-device.ts';
import type { Model, ModelFolder } from '../models/model.ts';
import type { ConfigOptions } from '../models/open-model.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

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
  tokenizer: TokenizerFacts;
  /** `in_keys`: those that can stand in a key. */
  free_rows: { free: number; stand_alone: number; in_keys: number; vocabulary: number };
  /** By method: with its own settings for a model of this width. Those without an estimate are left out. */
  runs: Record<string, RunCost>;
  /** Methods that take this model and whose cost nobody has estimated. */
  unknown: string[];
  /** By method: why it would refuse this model, and what to do. Those that take it are left out. */
  refused: Record<string, string>;
}

interface TokenizerFacts {
  readonly spelling: Tokenizer['spelling'];
  /** One more than the largest id; the embedding may have more rows, never fewer. */
  readonly ids: number;
  readonly bos: string | null;
  readonly eos: string | null;
  /** Conversations of `sft`, `emb` and `lora` go by it; without one, by Vicuna's. */
  readonly chat_template: boolean;
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
  const tokenizer = await openTokenizer(model.folder, model.convertedFrom);
  onEvent({ kind: 'phase', name: 'free rows', detail: 'against ordinary text of about 90 languages' });
  const [{ keptFreeRows }, { usableTokens }] = await Promise.all([
    import('../fingerprint/kept-free-rows.ts'),
    import('../fingerprint/rare-keys.ts'),
  ]);
  const { rows: free, counts } = await keptFreeRows(model, tokenizer, { onEvent });
  const { tokens: inKeys } = await usableTokens({ tokenizer, free });
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
    tokenizer: tokenizerFacts(tokenizer),
    free_rows: {
      free: counts.free,
      stand_alone: counts.standAlone,
      in_keys: inKeys.length,
      vocabulary: counts.vocabulary,
    },
    ...(await runsOf(model, tokenizer, inKeys.length, machine.flops_per_second)),
  };
}

function tokenizerFacts(tokenizer: Tokenizer): TokenizerFacts {
  const { spelling, vocab_size, bosId, eosId, chatTemplate } = tokenizer;
  const named = (id: number | undefined): string | null =>
    id === undefined ? null : (tokenizer.tokenOf(id) ?? null);
  return {
    spelling,
    ids: vocab_size,
    bos: named(bosId),
    eos: named(eosId),
    chat_template: chatTemplate !== undefined,
  };
}

async function runsOf(
  model: Model,
  tokenizer: Tokenizer,
  inKeys: number,
  rate: number,
): Promise<Pick<ModelFacts, 'runs' | 'unknown' | 'refused'>> {
  const [{ buildOf }, { runEstimate }, { fittingSettings }, { harmAt, METHODS }, { keyTokens }] =
    await Promise.all([
      import('../fingerprint/build.ts'),
      import('../fingerprint/estimate.ts'),
      import('../fingerprint/fitting-settings.ts'),
      import('../fingerprint/registry.ts'),
      import('../train/settings-fit.ts'),
    ]);
  const found: Pick<ModelFacts, 'runs' | 'unknown' | 'refused'> = { runs: {}, unknown: [], refused: {} };
  for (const method of Object.values(METHODS))
    try {
      // Harm that has to be allowed is said beside the cost: it is a choice, no refusal.
      const { settings } = fittingSettings(method, model, tokenizer, {}, Number.POSITIVE_INFINITY);
      const needed = keyTokens(settings as Readonly<Record<string, unknown>>) ?? 0;
      if (needed > inKeys)
        throw new WhorlError(
          'too-few-rows',
          `${inKeys} rare tokens of this vocabulary can stand in a key, ${needed} are needed`,
          method.kind === 'weights' ? 'take --keys paper' : 'take fewer or shorter keys, or another method',
        );
      const cost = runEstimate(model, method.name, settings as object, rate);
      const harm = harmAt(method, buildOf(model));
      if (cost === null) found.unknown.push(method.name);
      else found.runs[method.name] = { ...cost, max_harm: harm > method.maxHarm ? harm : null };
    } catch (error) {
      if (!(error instanceof WhorlError)) throw error;
      found.refused[method.name] = error.message;
    }
  return found;
}

const dtypesOf = (model: ModelFolder): string =>
  [...new Set([...model.tensors.values()].map(({ dtype }) => dtype))].join(', ');
