// Models that see beside reading: config.json keeps the language part's own config under `text_config`, the folder its
// weights under a prefix. Of a text alone they make what their language part makes of it.

import { WhorlError } from '../../base/error.ts';
import type { ConfigJson } from '../config.ts';
import type { Renaming } from '../names.ts';

/** What the language part's tensors are called in the whole model. */
interface WrapperNames {
  /** In transformers 5, from the part's own names. */
  readonly inside: Renaming;
  /** In files, from those: transformers 4 kept the part with its head in one place. */
  readonly stored: readonly Renaming[];
}

interface Wrapper extends WrapperNames {
  /** Of a part that is a family of its own here but for its name, and whose three positions (time, height, width) are one in a text. */
  readonly as?: { readonly model_type: string; readonly defaults: ConfigJson };
}

const LANGUAGE_MODEL: WrapperNames = {
  inside: [['model.', 'model.language_model.']],
  stored: [
    [
      ['model.language_model.', 'language_model.model.'],
      ['lm_head.', 'language_model.lm_head.'],
    ],
  ],
};
const TEXT_MODEL: WrapperNames = { inside: [['model.', 'model.text_model.']], stored: [] };

/** Qwen's first files have the part under its own names, beside `visual.`. */
const QWEN_NAMES: WrapperNames = {
  inside: LANGUAGE_MODEL.inside,
  stored: [[['model.language_model.', 'model.']]],
};
const QWEN2_PART: Wrapper = {
  ...QWEN_NAMES,
  as: {
    model_type: 'qwen2',
    defaults: { num_key_value_heads: 8, rms_norm_eps: 1e-5, rope_theta: 1_000_000, max_window_layers: 80 },
  },
};
const QWEN3_PART: Wrapper = {
  ...QWEN_NAMES,
  as: { model_type: 'qwen3', defaults: { max_position_embeddings: 128_000, rope_theta: 500_000 } },
};

/** By `model_type`: those whose language part is a decoder of its own that sees a text as any other does. */
export const WRAPPERS: ReadonlyMap<string, Wrapper> = new Map([
  ['gemma3', LANGUAGE_MODEL],
  ['idefics3', TEXT_MODEL],
  ['internvl', LANGUAGE_MODEL],
  ['llava', LANGUAGE_MODEL],
  ['llava_next', LANGUAGE_MODEL],
  ['llava_onevision', LANGUAGE_MODEL],
  ['mistral3', LANGUAGE_MODEL],
  ['qwen2_5_vl', QWEN2_PART],
  ['qwen2_vl', QWEN2_PART],
  ['qwen3_vl', QWEN3_PART],
  ['smolvlm', TEXT_MODEL],
]);

/** Keys under which a wrapper keeps its language part's config. */
const INNER = ['text_config', 'llm_config', 'language_config', 'thinker_config'] as const;

const objectAt = (config: ConfigJson, key: string): ConfigJson | undefined => {
  const value = config[key];
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as ConfigJson)
    : undefined;
};

export interface LanguagePart {
  readonly config: ConfigJson;
  readonly names: WrapperNames;
}

/**
 * The language part of a wrapper; undefined for a config that wraps none.
 * @throws WhorlError `unsupported` for a wrapper that is not known, `bad-file` for one without `text_config`
 */
export function languagePart(config: ConfigJson, where: string): LanguagePart | undefined {
  const type = String(config.model_type);
  const names = WRAPPERS.get(type);
  const key = INNER.find((name) => objectAt(config, name) !== undefined);
  if (names === undefined) {
    if (key === undefined) return undefined;
    const inner = objectAt(config, key)!.model_type;
    throw new WhorlError(
      'unsupported',
      `${where}: model_type ${JSON.stringify(config.model_type ?? null)} wraps a language model (${key}${inner === undefined ? '' : `: ${JSON.stringify(inner)}`}), and Whorl does not know how`,
      'save that part alone and give its folder (docs/models.md lists wrappers that are opened as they are)',
    );
  }
  const text = objectAt(config, 'text_config') ?? (names.as && withoutSight(config));
  if (text === undefined)
    throw new WhorlError('bad-file', `${where}: a ${type} without text_config`, 'get the checkpoint again');
  // The head and the way weights are stored are the whole model's.
  const outer = Object.fromEntries(
    ['tie_word_embeddings', 'quantization_config'].flatMap((name) =>
      (config[name] ?? null) === null ? [] : [[name, config[name]]],
    ),
  );
  if (names.as) return { config: asFamily(names.as, text, outer), names };
  return { config: { ...text, ...outer }, names };
}

/** A wrapper's config that has the keys of its language part beside its own (Qwen2-VL's first). */
const withoutSight = (config: ConfigJson): ConfigJson =>
  Object.fromEntries(Object.entries(config).filter(([key]) => !/^(?:vision_|image_|video_)/.test(key)));

function asFamily(
  { model_type, defaults }: NonNullable<Wrapper['as']>,
  text: ConfigJson,
  outer: ConfigJson,
): ConfigJson {
  const config: Record<string, unknown> = { ...defaults, ...text, ...outer, model_type };
  // Either of the two ties there.
  config.tie_word_embeddings = [text, outer].some((each) => each.tie_word_embeddings === true);
  for (const key of ['rope_scaling', 'rope_parameters']) {
    const fields = objectAt(config, key);
    if (fields)
      config[key] = Object.fromEntries(
        Object.entries(fields).map(([name, value]) => [name, value === 'mrope' ? 'default' : value]),
      );
  }
  return config;
}
