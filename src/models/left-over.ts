// Tensors in a model's layers that its config.json does not speak of: transformers leaves them out with a warning.

import { WhorlError } from '../base/error.ts';
import { shown } from '../sources/checkpoints/safetensors.ts';
import type { Model } from './model.ts';

/** A layer's number in a name, and what stands before it. */
const IN_LAYER = /^(.*?\.)(\d+)\./;
/** What older versions of transformers stored beside weights, and made anew: rotary frequencies, masks, a table that T5 never reads. */
const BUFFERS = [
  /\brotary_emb\.inv_freq$/,
  /\bmasked_bias$/,
  /\bEncDecAttention\.relative_attention_bias\.weight$/,
];
const MASK = /\b(?:attn|attention|crossattention)\.bias$/;
const MASK_DIMENSIONS = 4; // [1, 1, positions, positions]; a bias has one

/** In the checkpoint's order, those of a layer list that the family reads; what lies elsewhere (a vision tower, another head) is no part of it. */
function leftOver({ decoder, tensors, config }: Pick<Model, 'decoder' | 'tensors' | 'config'>): string[] {
  const layers = new Map<string, number>();
  for (const name of decoder.shapes.keys()) {
    const [, list, number] = IN_LAYER.exec(name) ?? [];
    if (list !== undefined) layers.set(list, Math.max(layers.get(list) ?? 0, Number(number) + 1));
  }
  const isAfterLast = (list: string, number: string): boolean => Number(number) >= layers.get(list)!;
  const predicts = Number(config.num_nextn_predict_layers ?? 0) > 0; // layers of another task, behind the others
  return [...tensors]
    .filter(([name, { shape }]) => {
      const [, list = '', number = ''] = IN_LAYER.exec(name) ?? [];
      if (decoder.shapes.has(name) || !layers.has(list)) return false;
      const isBuffer =
        BUFFERS.some((buffer) => buffer.test(name)) || (MASK.test(name) && shape.length === MASK_DIMENSIONS);
      return !isBuffer && !(predicts && isAfterLast(list, number));
    })
    .map(([name]) => name);
}

/** In one line, undefined where there are none. */
export function leftOverNote(model: Model): string | undefined {
  const names = leftOver(model);
  if (names.length === 0) return undefined;
  const others = names.length === 1 ? '' : ` and ${names.length - 1} more tensors`;
  return `${model.source}: ${shown(names[0]!)}${others} of its layers ${names.length === 1 ? 'is' : 'are'} not in what its config.json describes`;
}

/** For who makes another model of this one. */
export const leftOverError = (note: string): WhorlError =>
  new WhorlError(
    'bad-file',
    note,
    'set the key that they belong to (num_hidden_layers, attention_bias, mlp_bias …), or take them out of the checkpoint, as transformers does when it opens it',
  );
