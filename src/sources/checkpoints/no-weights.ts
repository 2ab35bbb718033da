// What stands in a folder or repository instead of the weights that are looked for, and what to do about it.

import { WhorlError } from '../../base/error.ts';

interface Instead {
  readonly code: 'unsupported' | 'missing-file';
  readonly looks: RegExp;
  readonly what: (name: string) => string;
  readonly mend: string;
  /** Says what a folder is without a config.json too. */
  readonly alone?: true;
}

const SAVE = 'look for a revision with safetensors (often @refs/pr/1), or save it with transformers';

/** In the order in which they are looked for; names are paths inside the folder. */
const INSTEAD: readonly Instead[] = [
  {
    code: 'unsupported',
    looks: /^adapter_(config\.json|model\.(safetensors|bin))$/,
    what: () => 'is a PEFT adapter, not a model',
    mend: 'merge it with its base: whorl merge --model BASE --adapter FOLDER --out NEW',
    alone: true,
  },
  {
    code: 'unsupported',
    looks: /\.gguf$/,
    what: (name) => `has its weights as ${name}`,
    mend: 'give the .gguf file itself',
  },
  {
    code: 'unsupported',
    looks: /(^|\/)consolidated\.\d+\.pth$/,
    what: (name) => `is a checkpoint in Meta's own layout (${name})`,
    mend: 'take the repository whose name ends in -hf, or convert it with transformers',
    alone: true,
  },
  {
    code: 'unsupported',
    looks: /(^|\/)consolidated([.-][\w-]+)?\.safetensors$/,
    what: (name) => `is a checkpoint in Mistral's own layout (${name})`,
    mend: 'download model-….safetensors, the index and config.json, or convert it with transformers',
    alone: true,
  },
  {
    code: 'unsupported',
    looks: /(^|\/)(zero_to_fp32\.py$|global_step\d+(\/|$)|zero_pp_rank_)/,
    what: (name) => `holds the shards of a DeepSpeed training (${name})`,
    mend: 'merge them with zero_to_fp32.py, which lies beside them, and save the model with transformers',
    alone: true,
  },
  {
    code: 'unsupported',
    looks: /(^|\/)pytorch_model_fsdp(_\d+)?(\.bin|\/|$)|\.distcp$/,
    what: (name) => `holds the shards of an FSDP training (${name})`,
    mend: 'merge them: accelerate merge-weights FOLDER MERGED',
    alone: true,
  },
  {
    code: 'unsupported',
    looks: /^rust_model\.ot$|^openvino_model\.(bin|xml)$|\.(mlmodel|mlpackage|tflite|engine|npz)$/,
    what: (name) => `has its weights as ${name}`,
    mend: SAVE,
  },
  {
    code: 'missing-file',
    looks: /^model-\d+-of-\d+\.safetensors$/,
    what: (name) => `has shards (${name}) without model.safetensors.index.json`,
    mend: 'download the index too',
  },
  {
    code: 'unsupported',
    looks: /\.safetensors$/,
    what: (name) => `has its weights as ${name}, not as model.safetensors`,
    mend: 'download the layout that transformers reads, or save it with transformers',
  },
  {
    code: 'unsupported',
    looks: /\.(bin|pt|pth|ckpt)(\.index\.json)?$/,
    what: (name) => `has its weights as ${name}, which can run code`,
    mend: SAVE,
  },
  {
    code: 'unsupported',
    looks: /\.(onnx|onnx_data)$|^onnx$/,
    what: (name) => `has its weights as ${name}, a graph for inference`,
    mend: SAVE,
  },
  {
    code: 'unsupported',
    looks: /\.h5$|^model\.ckpt\.|^saved_model(\.pb)?$/,
    what: (name) => `has its weights as ${name}, TensorFlow's`,
    mend: 'save it with transformers for PyTorch, as safetensors',
  },
  {
    code: 'unsupported',
    looks: /^flax_model.*\.(msgpack|json)$/,
    what: (name) => `has its weights as ${name}, Flax's`,
    mend: 'save it with transformers for PyTorch, as safetensors',
  },
];

/** @param names of files in it  @param where what messages call it  @returns undefined where nothing stands instead */
export function insteadOfWeights(
  names: readonly string[],
  where: string,
  { hasConfig = true } = {},
): WhorlError | undefined {
  for (const { code, looks, what, mend } of INSTEAD.filter(({ alone }) => hasConfig || alone)) {
    const name = names.find((name) => looks.test(name));
    if (name !== undefined)
      return new WhorlError(code, `${where} ${what(shownName(name))}`, mend.replace('FOLDER', where));
  }
  return undefined;
}

/** With nothing in it that a terminal would act on. */
const shownName = (name: string): string => name.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, 120);
