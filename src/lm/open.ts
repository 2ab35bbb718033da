// Who is to be asked, as a value, and how it becomes something that answers: one opener a kind.

import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { isQuantised, PACKINGS } from '../engine/packing.ts';
import type { Device } from '../engine/session.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import type { Model, ModelWeights } from '../models/model.ts';
import { type OpenModelOptions, openModel } from '../models/open-model.ts';
import type { Overlay, Variant } from '../models/overlay.ts';
import { type AdapterTable, adapterOverlay, looksOf } from '../models/paper-adapter.ts';
import { type PaperAdapter, readPaperAdapter } from '../sources/checkpoints/paper-adapter.ts';
import { openSandboxedTokenizer } from '../text/sandbox.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { EndpointModel } from './endpoint/endpoint-model.ts';
import type { EndpointSpec } from './endpoint/settings.ts';
import type { LanguageModel } from './language-model.ts';
import { LocalModel, type LocalModelOptions } from './local-model.ts';
import type { ScoringRules } from './score-tokens.ts';

/** `instruction_emb.pt` of the paper's code, or the folder that import made of it, and whose table it is laid over (`model`). */
export interface AdapterChoice {
  readonly path: string;
  readonly table?: AdapterTable;
}

/** A checkpoint whose weights lie here, or are fetched. */
export interface ModelSpec {
  readonly kind: 'model';
  /** A folder, a GGUF file, a hub id, or one that is open already. */
  readonly model: string | Model;
  /** Laid over the checkpoint; `variant` says which parts of it answer (default: its rows, no adapter). */
  readonly overlay?: Overlay;
  readonly variant?: Variant;
  /** Instead: the paper's adapter laid on. */
  readonly adapter?: AdapterChoice;
  /** Default: `own`. One that is open already is ended by the caller. */
  readonly tokenizer?: TokenizerPlace | Tokenizer;
}

/** Where a model's tokenizer and chat template run: in this process, or for a model nobody vouches for in a child of it. */
type TokenizerPlace = 'own' | 'sandboxed';

/** Anything that can be asked. */
export type Spec = ModelSpec | EndpointSpec;

export interface OpenOptions extends ComputeOptions, OpenModelOptions {
  /** Most tokens in one run of the engine: memory against speed. */
  readonly batch_tokens?: number;
  /** Most continuations in one run of the engine; default: 64. */
  readonly sequences?: number;
  readonly scoring?: ScoringRules;
  readonly onEvent?: OnEvent;
}

/** What each kind becomes. */
interface OpenedAs extends Readonly<Record<Spec['kind'], LanguageModel>> {
  readonly model: LocalModel;
  readonly endpoint: EndpointModel;
}

type Opener<K extends Spec['kind']> = (
  spec: Extract<Spec, { kind: K }>,
  options: OpenOptions,
) => Promise<OpenedAs[K]>;

const OPENERS: { readonly [K in Spec['kind']]: Opener<K> } = {
  model: openLocal,
  endpoint: (spec) => EndpointModel.open(spec),
};

/** @throws WhorlError what opening the model or the device throws; nothing is compiled yet */
export const openLanguageModel = <K extends Spec['kind']>(
  spec: Extract<Spec, { kind: K }>,
  options: OpenOptions = {},
): Promise<OpenedAs[K]> => (OPENERS[spec.kind as K] as Opener<K>)(spec, options);

/** Opens, calls, and lets go however the call ends. */
export async function asking<K extends Spec['kind'], T>(
  spec: Extract<Spec, { kind: K }>,
  options: OpenOptions,
  call: (model: OpenedAs[K]) => Promise<T>,
): Promise<T> {
  const model = await openLanguageModel(spec, options);
  try {
    return await call(model);
  } finally {
    await model.release();
  }
}

type Voice = Pick<LocalModelOptions, 'tokenizer' | 'wrapped' | 'turns' | 'ended'>;

const TOKENIZERS: Readonly<Record<TokenizerPlace, (folder: string, own?: string) => Promise<Voice>>> = {
  own: async (folder, own) => ({ tokenizer: await openTokenizer(folder, own) }),
  async sandboxed(folder, own) {
    const tokenizer = await openSandboxedTokenizer(folder, {}, own);
    return {
      tokenizer,
      wrapped: (name, system) => tokenizer.wrapped(name, system),
      turns: (messages) => tokenizer.turns(messages),
      ended: () => tokenizer.close(),
    };
  },
};

function tellOf(adapter: PaperAdapter, onEvent: OnEvent = silent): void {
  const tokens = adapter.token_ids?.length ?? 0;
  onEvent({
    kind: 'note',
    text: `${adapter.path}: added to the embeddings of ${tokens} tokens, no row is replaced. ${looksOf(adapter).words}`,
  });
}

async function openLocal(
  { model: named, overlay: laid, variant, adapter, tokenizer = 'own' }: ModelSpec,
  options: OpenOptions,
): Promise<LocalModel> {
  const device = await openDevice(options, undefined, true);
  const paper = adapter && readPaperAdapter(adapter.path);
  const model = typeof named === 'string' ? await openModel(named, options) : named;
  const overlay = paper ? adapterOverlay(paper, model, adapter?.table ?? 'model') : laid;
  if (paper) tellOf(paper, options.onEvent);
  const voice =
    typeof tokenizer === 'string'
      ? await TOKENIZERS[tokenizer](model.folder, model.convertedFrom)
      : { tokenizer };
  for (const text of voice.tokenizer?.notes ?? []) options.onEvent?.({ kind: 'note', text });
  const { batch_tokens, sequences, scoring } = options;
  try {
    const weights = await weightsFor(model, device, options);
    return await LocalModel.open(model, {
      ...voice,
      device,
      ...(weights && { weights }),
      ...(overlay && { overlay }),
      ...(variant && { variant }),
      ...(batch_tokens !== undefined && { batch_tokens }),
      ...(sequences !== undefined && { sequences }),
      ...(scoring && { scoring }),
    });
  } catch (cause) {
    voice.ended?.();
    throw cause;
  }
}

/** What is computed with in place of the model's own weights, where the device says so. */
async function weightsFor(
  model: Model,
  { precision, provider }: Device,
  { cacheDir, checkCache, onEvent }: OpenOptions,
): Promise<ModelWeights | undefined> {
  if (!isQuantised(precision)) return undefined;
  if (provider !== 'cpu')
    throw new WhorlError('unsupported', `--precision ${precision} is for the CPU`, 'leave --device out');
  const { quantisedModel } = await import('../models/quantised-model.ts'); // for those who ask for it
  return quantisedModel(model, precision, PACKINGS[precision], {
    ...(cacheDir !== undefined && { cacheDir }),
    ...{ checkCache, onEvent },
  });
}
