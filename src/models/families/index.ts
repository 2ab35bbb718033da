// The families by the name a checkpoint gives itself, config.json's `model_type`; by GGUF's name they stand in `gguf.ts`.

import { WhorlError } from '../../base/error.ts';
import { nameHint } from '../../base/near-name.ts';
import type { Decoder } from '../family.ts';
import { asStored, called } from '../names.ts';
import { arcee } from './arcee.ts';
import { bloom } from './bloom.ts';
import { cohere } from './cohere.ts';
import { cohere2 } from './cohere2.ts';
import { ernie } from './ernie.ts';
import { exaone4 } from './exaone4.ts';
import { falcon } from './falcon.ts';
import { gemma } from './gemma.ts';
import { gemma2 } from './gemma2.ts';
import { gemma3 } from './gemma3.ts';
import { glm, glm4 } from './glm.ts';
import { gptNeox, gptNeoxConfig } from './gpt-neox.ts';
import { gpt2 } from './gpt2.ts';
import { gptj } from './gptj.ts';
import { granite } from './granite.ts';
import { llama, llamaConfig } from './llama.ts';
import { ministral, ministral3, mistral } from './mistral.ts';
import { mixtral } from './mixtral.ts';
import { nemotron } from './nemotron.ts';
import { olmo } from './olmo.ts';
import { olmo2 } from './olmo2.ts';
import { olmo3 } from './olmo3.ts';
import { olmoe } from './olmoe.ts';
import { opt } from './opt.ts';
import { phi } from './phi.ts';
import { phi3 } from './phi3.ts';
import { qwen2 } from './qwen2.ts';
import { qwen2Moe } from './qwen2-moe.ts';
import { qwen3 } from './qwen3.ts';
import { qwen3Moe } from './qwen3-moe.ts';
import { seedOss } from './seed-oss.ts';
import { smollm3 } from './smollm3.ts';
import { stablelm } from './stablelm.ts';
import { starcoder2 } from './starcoder2.ts';
import { mt5, t5 } from './t5.ts';
import { languagePart, WRAPPERS } from './wrappers.ts';

/** Families by config.json's `model_type`. */
export const FAMILIES: Readonly<
  Record<
    string,
    (
      config: Readonly<Record<string, unknown>>,
      where: string,
      stored?: { has(name: string): boolean },
    ) => Decoder
  >
> = {
  arcee,
  bloom,
  cohere,
  cohere2,
  ernie4_5: ernie,
  exaone4,
  falcon,
  gemma,
  gemma2,
  gemma3_text: gemma3,
  glm,
  glm4,
  gpt2,
  gptj,
  granite,
  ministral,
  ministral3,
  mistral,
  mixtral,
  mt5,
  nemotron,
  olmo,
  olmo2,
  olmo3,
  olmoe,
  opt,
  phi,
  phi3,
  qwen2,
  qwen2_moe: qwen2Moe,
  qwen3,
  qwen3_moe: qwen3Moe,
  seed_oss: seedOss,
  smollm3,
  stablelm,
  starcoder2,
  t5,
  gpt_neox: (config, where) => gptNeox(gptNeoxConfig(config, where)),
  llama: (config, where) => llama(llamaConfig(config, where)),
};

/**
 * The family that a config.json names, of a wrapper that of its language part.
 * @param stored names of the folder's tensors, where it is known: the family's own are as they are there
 * @throws WhorlError `unsupported` with the nearest family's name
 */
export function familyOf(
  config: Readonly<Record<string, unknown>>,
  where: string,
  stored?: { has(name: string): boolean },
): Decoder {
  const type = config.model_type;
  const make = typeof type === 'string' && Object.hasOwn(FAMILIES, type) ? FAMILIES[type] : undefined;
  if (make) {
    checkCounted(config, where);
    const decoder = make(config, where, stored);
    return stored ? asStored(decoder, stored) : decoder;
  }
  const part = languagePart(config, where);
  if (part) {
    const decoder = familyOf(part.config, `${where}: text_config`);
    const whole = called(decoder, part.names.inside);
    return stored ? asStored(whole, stored, part.names.stored) : whole;
  }
  const known = [...Object.keys(FAMILIES), ...WRAPPERS.keys()];
  throw new WhorlError(
    'unsupported',
    `${where}: model_type ${JSON.stringify(type ?? null)} is not supported`,
    nameHint(typeof type === 'string' ? type : '', known, { list: 'docs/models.md lists those that are' }),
  );
}

const LAYERS = ['num_hidden_layers', 'n_layer', 'num_layers', 'num_decoder_layers'];
const EXPERTS = ['num_local_experts', 'num_experts'];
/** Far more of each, and of experts in all layers, than any model has: every tensor of theirs is named before one is looked for. */
const [MOST_LAYERS, MOST_EXPERTS, MOST_TOGETHER] = [10_000, 10_000, 200_000];

/** @throws WhorlError `bad-file` for more layers or experts than can be named */
function checkCounted(config: Readonly<Record<string, unknown>>, where: string): void {
  const said = (keys: readonly string[], most: number): number => {
    let largest = 1;
    for (const key of keys) {
      const value = config[key];
      if (typeof value !== 'number') continue;
      if (value > most) throw tooMany(`${where}: ${key} is ${value}`, most);
      largest = Math.max(largest, value);
    }
    return largest;
  };
  const [layers, experts] = [said(LAYERS, MOST_LAYERS), said(EXPERTS, MOST_EXPERTS)];
  if (experts > 1 && layers * experts > MOST_TOGETHER)
    throw tooMany(`${where}: ${layers} layers of ${experts} experts are ${layers * experts}`, MOST_TOGETHER);
}

const tooMany = (what: string, most: number): WhorlError =>
  new WhorlError('bad-file', `${what}, more than ${most}`, 'get the checkpoint again');
