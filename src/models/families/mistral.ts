// Mistral (Jiang et al. 2023): LLaMA whose layers may all see a window only; Ministral (2024), of which some may; Ministral 3 (2025),
// whose queries grow with their position.

import { WhorlError } from '../../base/error.ts';
import { type Blueprint, decoderOf } from '../blocks/blueprint.ts';
import { rms } from '../blocks/norms.ts';
import { fixedUpTo } from '../blocks/rope.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import {
  allSlide,
  GATED,
  type LineConfig,
  type LineDefaults,
  lineConfig,
  PRE_NORMS,
  slidingLayers,
} from './line.ts';

const DEFAULTS: Omit<LineDefaults, 'model_type'> = {
  num_key_value_heads: 8,
  max_position_embeddings: 4096 * 32,
  hidden_act: 'silu',
  tie_word_embeddings: false,
};

/** What all of them have. */
const planOf = (config: LineConfig, eps: number) => ({
  config,
  norm: rms(eps),
  norms: PRE_NORMS,
  attention: { bias: { in: false, out: false }, out: 'o_proj' },
  mlp: { ...GATED, bias: false, activation: config.hidden_act },
});

export function mistral(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, { ...DEFAULTS, model_type: 'mistral' });
  const window = read.window('sliding_window', 4096);
  const plan: Blueprint<LineConfig> = {
    ...planOf(config, read.number('rms_norm_eps', 1e-6)),
    ropes: [read.rope(config)],
    layers: allSlide(config.num_hidden_layers, window),
  };
  read.done();
  return decoderOf(plan);
}

export function ministral(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const config = lineConfig(read, { ...DEFAULTS, model_type: 'ministral' });
  const window = read.window('sliding_window', 4096);
  const kinds = read.layerTypes(config.num_hidden_layers, () => window !== undefined);
  const plan: Blueprint<LineConfig> = {
    ...planOf(config, read.number('rms_norm_eps', 1e-6)),
    ropes: [read.rope(config)],
    layers: slidingLayers(kinds, window),
  };
  read.done();
  return decoderOf(plan);
}

/** What transformers takes where a Ministral 3 says nothing of its positions. */
const GROWN = {
  rope_type: 'yarn',
  rope_theta: 1_000_000,
  factor: 16,
  original_max_position_embeddings: 16_384,
  beta_fast: 32,
  beta_slow: 1,
  mscale: 1,
  mscale_all_dim: 1,
  llama_4_scaling_beta: 0.1,
};

export function ministral3(given: ConfigJson, where: string): Decoder {
  const said = given.rope_parameters ?? given.rope_scaling ?? null;
  const json = said === null ? { ...given, rope_parameters: GROWN } : given;
  const read = readConfig(json, where);
  const config = lineConfig(read, {
    ...DEFAULTS,
    model_type: 'ministral3',
    head_dim: 128,
    max_position_embeddings: 262_144,
  });
  const window = read.window('sliding_window');
  // Some folders keep the model's length beside the scaling's own fields; its class does not read it there.
  const rope = read.rope({ ...config, own: ['llama_4_scaling_beta', 'max_position_embeddings'] });
  if (fixedUpTo([rope]) !== Number.POSITIVE_INFINITY)
    throw new WhorlError(
      'unsupported',
      `${where}: ${rope.rope_scaling.rope_type} RoPE beside llama_4_scaling_beta is not handled`,
      'this checkpoint needs a newer whorl',
    );
  const plan = planOf(config, read.number('rms_norm_eps', 1e-5));
  const queryGrowth = growthOf((said ?? GROWN) as ConfigJson, `${where}: rope_parameters`);
  read.done();
  return decoderOf<LineConfig>({
    ...plan,
    attention: { ...plan.attention, queryGrowth },
    ropes: [rope],
    layers: allSlide(config.num_hidden_layers, window),
  });
}

/** Both are needed: transformers has no default for either. */
function growthOf(fields: ConfigJson, where: string): { beta: number; every: number } {
  const read = readConfig(fields, where);
  const every = read.size('original_max_position_embeddings');
  const beta = read.amount('llama_4_scaling_beta');
  return { beta, every };
}
