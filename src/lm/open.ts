// Who is to be asked, as a value, and how it becomes something that answers: one opener a kind.

import type { OnEvent } from '../base/events.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import type { Model } from '../models/model.ts';
import { type OpenModelOptions, openModel } from '../models/open-model.ts';
import type { Overlay, Variant } from '../models/overlay.ts';
import { openSandboxedTokenizer } from '../text/sandbox.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { EndpointModel } from './endpoint/endpoint-model.ts';
import type { EndpointSpec } from './endpoint/settings.ts';
import type { LanguageModel } from './language-model.ts';
import { LocalModel, type LocalModelOptions } from './local-model.ts';
import type { ScoringRules } from './score-tokens.ts';

/** A checkpoint whose weights lie here, or are fetched. */
export interface ModelSpec {
  readonly kind: 'model';
  /** A folder, a GGUF file, a hub id, or one that is open already. */
  readonly model: string | Model;
  /** Laid over the checkpoint; `variant` says which parts of it answer (default: its rows, no adapter). */
  readonly overlay?: Overlay;
  readonly variant?: Variant;
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

const TOKENIZERS: Readonly<Record<TokenizerPlace, (folder: string) => Promise<Voice>>> = {
  own: async (folder) => ({ tokenizer: await openTokenizer(folder) }),
  async sandboxed(folder) {
    const tokenizer = await openSandboxedTokenizer(folder);
    return {
      tokenizer,
      wrapped: (name, system) => tokenizer.wrapped(name, system),
      turns: (messages) => tokenizer.turns(messages),
      ended: () => tokenizer.close(),
    };
  },
};

async function openLocal(
  { model: named, overlay, variant, tokenizer = 'own' }: ModelSpec,
  options: OpenOptions,
): Promise<LocalModel> {
  const device = await openDevice(options);
  const model = typeof named === 'string' ? await openModel(named, options) : named;
  const voice = typeof tokenizer === 'string' ? await TOKENIZERS[tokenizer](model.folder) : { tokenizer };
  const { batch_tokens, sequences, scoring } = options;
  try {
    return await LocalModel.open(model, {
      ...voice,
      device,
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
