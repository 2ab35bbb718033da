// The families by the name a checkpoint gives itself: config.json's `model_type`, GGUF's `general.architecture`.

import { nearest, WhorlError } from '../../base/error.ts';
import type { Decoder } from '../family.ts';
import type { GgufFamily } from '../gguf-family.ts';
import { cohere } from './cohere.ts';
import { gemma } from './gemma.ts';
import { gemma2 } from './gemma2.ts';
import { gemma3 } from './gemma3.ts';
import { gptNeox, gptNeoxConfig } from './gpt-neox.ts';
import { granite } from './granite.ts';
import { llama, llamaConfig } from './llama.ts';
import { llamaGguf } from './llama-gguf.ts';
import { mistral } from './mistral.ts';
import { mixtral } from './mixtral.ts';
import { olmo2 } from './olmo2.ts';
import { phi } from './phi.ts';
import { phi3 } from './phi3.ts';
import { qwen2 } from './qwen2.ts';
import { qwen2Moe } from './qwen2-moe.ts';
import { qwen3 } from './qwen3.ts';
import { qwen3Moe } from './qwen3-moe.ts';
import { smollm3 } from './smollm3.ts';
import { stablelm } from './stablelm.ts';
import { starcoder2 } from './starcoder2.ts';

/** Families that we read from GGUF, by `general.architecture`. */
export const GGUF_FAMILIES: ReadonlyMap<string, GgufFamily> = new Map([[llamaGguf.architecture, llamaGguf]]);

/** Families by config.json's `model_type`. */
export const FAMILIES: Readonly<
  Record<string, (config: Readonly<Record<string, unknown>>, where: string) => Decoder>
> = {
  cohere,
  gemma,
  gemma2,
  gemma3_text: gemma3,
  granite,
  mistral,
  mixtral,
  olmo2,
  phi,
  phi3,
  qwen2,
  qwen2_moe: qwen2Moe,
  qwen3,
  qwen3_moe: qwen3Moe,
  smollm3,
  stablelm,
  starcoder2,
  gpt_neox: (config, where) => gptNeox(gptNeoxConfig(config, where)),
  llama: (config, where) => llama(llamaConfig(config, where)),
};

/** The family that a config.json names. @throws WhorlError `unsupported` with the nearest family's name */
export function familyOf(config: Readonly<Record<string, unknown>>, where: string): Decoder {
  const type = config.model_type;
  const make = typeof type === 'string' && Object.hasOwn(FAMILIES, type) ? FAMILIES[type] : undefined;
  if (make) return make(config, where);
  const near = typeof type === 'string' ? nearest(type, Object.keys(FAMILIES)) : undefined;
  throw new WhorlError(
    'unsupported',
    `${where}: model_type ${JSON.stringify(type ?? null)} is not supported${near ? ` (did it mean "${near}"?)` : ''}`,
    `supported: ${Object.keys(FAMILIES).join(', ')}`,
  );
}
