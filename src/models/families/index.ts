// The families by the name a checkpoint gives itself: config.json's `model_type`, GGUF's `general.architecture`.

import { nearest, WhorlError } from '../../base/error.ts';
import type { Decoder } from '../family.ts';
import type { GgufFamily } from '../gguf-family.ts';
import { gptNeox, gptNeoxConfig } from './gpt-neox.ts';
import { llama, llamaConfig } from './llama.ts';
import { llamaGguf } from './llama-gguf.ts';

/** Families that we read from GGUF, by `general.architecture`. */
export const GGUF_FAMILIES: ReadonlyMap<string, GgufFamily> = new Map([[llamaGguf.architecture, llamaGguf]]);

/** Families by config.json's `model_type`. */
export const FAMILIES: Readonly<
  Record<string, (config: Readonly<Record<string, unknown>>, where: string) => Decoder>
> = {
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
