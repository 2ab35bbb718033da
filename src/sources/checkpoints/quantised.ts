// Weights that a quantisation method packed, told by what their tensors are called: by it or by config.json such a folder is named
// before a shape or a dtype is found strange.

import { WhorlError } from '../../base/error.ts';

/** Endings that the methods give to the parts of a linear layer. */
const METHODS: readonly (readonly [method: string, ending: RegExp])[] = [
  [
    'bitsandbytes',
    /\.(SCB|weight_format|(weight\.)?(absmax|nested_absmax|quant_map|nested_quant_map|quant_state[.\w]*))$/,
  ],
  ['GPTQ or AWQ', /\.(qweight|qzeros)$/],
  ['HQQ', /\.W_q$/],
  ['EXL2', /\.(q_weight|q_invperm|q_groups)$/],
  ['EXL3', /\.(trellis|suh|svh)$/],
  ['compressed-tensors', /\.weight_packed$/],
  ['MXFP4', /(\.weight|_proj)_(blocks|scales)$/],
  ['AQLM', /\.(codebooks|codes)$/],
  ['quanto', /\.weight\._(data|scale)$/],
  ['fp8', /\.weight_scale_inv$/],
  ['MLX', /\.(scales|biases)$/],
];
/** A full weight may have one beside it; a layer in 8 bits has one always. */
const SCALE = /\.weight_scale$/;

const MEND = 'give the model they were made from, or a GGUF';

/** The method that tensors of these names are packed by, and one of the names; undefined for none. */
export function quantisedNames(names: Iterable<string>): readonly [method: string, name: string] | undefined {
  const all = [...names];
  for (const [method, ending] of METHODS) {
    const name = all.find((tensor) => ending.test(tensor));
    if (name !== undefined) return [method, name];
  }
  const scale = all.find((tensor) => SCALE.test(tensor));
  return scale === undefined ? undefined : ['8 bits', scale];
}

/** @param where config.json, or whatever says so  @param how in brackets, where it is known */
export const quantisedError = (where: string, how?: string): WhorlError =>
  new WhorlError(
    'unsupported',
    `${where}: the weights are quantised${how === undefined ? '' : ` (${how})`}`,
    MEND,
  );
