// What stands in a folder or repository instead of the weights that are looked for, and what to do about it.

import { WhorlError } from '../../base/error.ts';
import { ggufPartNames, wholeGgufs } from './gguf-parts.ts';

interface Instead {
  readonly code: 'unsupported' | 'missing-file';
  readonly looks: RegExp;
  /** Must stand there, too. */
  readonly beside?: RegExp;
  /** @param name the first that looks so  @param all whatever stands there */
  readonly what: (name: string, all: readonly string[]) => string;
  /** @param where what messages call the folder */
  readonly mend: string | ((where: string, name: string, all: readonly string[]) => string);
  /** Says something of a folder that has a config.json only. */
  readonly withConfig?: true;
}

const SAVE = 'look for a revision with safetensors (often @refs/pr/1), or save it with transformers';
const SAVE_TORCH = 'save it with transformers for PyTorch, as safetensors';
const SHARD = /^model-(\d+)-of-(\d+)\.safetensors$/;
/** What trainers save beside a model: states, not weights. */
const STATE =
  /(^|\/)(optimizer|scheduler|scaler|rng_state\w*|random_states\w*|training_args|dataloader)[\w.-]*\.(pt|bin|pth|pkl)$/;

/** In the order in which they are looked for; names are paths inside the folder. */
const INSTEAD: readonly Instead[] = [
  {
    code: 'unsupported',
    looks: /^model_index\.json$/,
    what: (name) => `is a diffusers pipeline (${name}), not a language model`,
    mend: 'give a model that writes text; docs/models.md lists the families',
  },
  {
    code: 'unsupported',
    looks: /^adapter_(config\.json|model\.(safetensors|bin))$/,
    what: () => 'is a PEFT adapter, not a model',
    mend: (where) => `merge it with its base: whorl merge --model BASE --adapter ${where} --out NEW`,
  },
  {
    code: 'unsupported',
    looks: /\.gguf$/,
    what: (_, all) => ggufWords(wholeGgufs(all)),
    mend: (where, _, all) => {
      const files = wholeGgufs(all);
      const paths = files.slice(0, MOST_NAMED).map((file) => `${where}/${shownName(file)}`);
      const more = files.length > MOST_NAMED ? ` or ${files.length - MOST_NAMED} more` : '';
      return `give ${files.length === 1 ? 'the file itself' : 'one of them'}: ${paths.join(' or ')}${more}`;
    },
  },
  {
    code: 'unsupported',
    looks: /(^|\/)consolidated\.\d+\.pth$/,
    what: (name) => `is a checkpoint in Meta's own layout (${name})`,
    mend: 'take the repository whose name ends in -hf, or convert it with transformers',
  },
  {
    code: 'unsupported',
    looks: /(^|\/)consolidated([.-][\w-]+)?\.safetensors$/,
    what: (name) => `is a checkpoint in Mistral's own layout (${name})`,
    mend: 'download model-….safetensors, the index and config.json, or convert it with transformers',
  },
  {
    code: 'unsupported',
    looks:
      /(^|\/)(zero_to_fp32\.py$|global_step\d+(\/|$)|(bf16_|fp16_)?zero_pp_rank_|mp_rank_\d+_model_states\.pt$)/,
    what: (name) => `holds the shards of a DeepSpeed training (${name})`,
    mend: 'merge them with zero_to_fp32.py, which lies beside global_step…, and save the model with transformers',
  },
  {
    code: 'unsupported',
    looks:
      /(^|\/)latest_checkpointed_iteration\.txt$|(^|\/)iter_\d+(\/|$)|^mp_rank_\d+(_\d+)?(\/|$)|model_optim_rng\.pt$/,
    what: (name) => `is a checkpoint of Megatron-LM (${name})`,
    mend: "convert it to Hugging Face's layout with Megatron's own tools",
  },
  {
    code: 'unsupported',
    looks: /(^|\/)pytorch_model_fsdp(_\d+)?(\.bin|\/|$)|\.distcp(\/|$)/,
    what: (name) => `holds the shards of an FSDP training (${name})`,
    mend: (where, name) => {
      const folder = /^(.*?pytorch_model_fsdp_\d+|.*\.distcp)(\/|$)/.exec(name)?.[1];
      const inner = folder === undefined || /__\d+_\d+\.distcp$/.test(folder) ? '' : `/${folder}`;
      return name.endsWith('.bin')
        ? 'load it with torch into the model, and save that with transformers'
        : `merge them: accelerate merge-weights ${where}${inner} MERGED`;
    },
  },
  {
    code: 'unsupported',
    looks: /(^|\/)lit_(config\.json|model\.pth)$/,
    what: (name) => `is a checkpoint of LitGPT (${name})`,
    mend: 'litgpt convert_from_litgpt, and save it with transformers',
  },
  {
    code: 'unsupported',
    looks: /\.nemo$|^model_weights(\/|$)/,
    what: (name) => `is a checkpoint of NeMo (${name})`,
    mend: "export it to Hugging Face's layout with NeMo",
  },
  {
    code: 'unsupported',
    looks: /(^|\/)(manifest\.ocdbt|_METADATA|ocdbt\.process_\d+|_CHECKPOINT_METADATA)(\/|$)/,
    what: (name) => `is a checkpoint of JAX (Orbax, ${name})`,
    mend: SAVE_TORCH,
  },
  {
    code: 'unsupported',
    looks: /\.weights\.h5$|\.keras$/,
    what: (name) => `is a Keras model (${name})`,
    mend: 'take the repository in the layout of transformers, or export it there with keras_hub',
  },
  {
    code: 'unsupported',
    looks: /^(mlc-chat-config|ndarray-cache|tensor-cache)\.json$/,
    what: (name) => `is compiled for MLC (${name})`,
    mend: 'give the model that it was made from',
  },
  {
    code: 'unsupported',
    looks: /^model\.bin$/,
    beside: /^(shared_|source_|target_)?vocabulary\.(json|txt)$/,
    what: (name) => `is a model of CTranslate2 (${name})`,
    mend: 'give the model that it was made from',
  },
  {
    code: 'unsupported',
    looks: /^rust_model\.ot$|^openvino_model\.(bin|xml)$|\.(mlmodel|mlpackage|tflite|engine|npz|llamafile)$/,
    what: (name) => `has its weights as ${name}`,
    mend: SAVE,
  },
  {
    code: 'missing-file',
    looks: SHARD,
    what: (name, all) => {
      const { has, of } = shards(all);
      return `has ${has === of ? 'shards' : `${has} of ${of} shards`} (${name}) without model.safetensors.index.json`;
    },
    mend: (_where, _name, all) => {
      const { has, of } = shards(all);
      return has === of ? 'download the index too' : 'download the index and the other shards too';
    },
  },
  {
    code: 'unsupported',
    looks: /^model\.\w+\.safetensors$/,
    what: (name) => `has its weights as ${name}, a variant that is opened by name only`,
    mend: 'name the file model.safetensors',
    withConfig: true,
  },
  {
    code: 'unsupported',
    looks: /\.safetensors$/,
    what: (name) => `has its weights as ${name}, not as model.safetensors`,
    mend: 'download the layout that transformers reads, or save it with transformers',
    withConfig: true,
  },
  {
    code: 'unsupported',
    looks: /\.(onnx|onnx_data|onnx\.data)$|^onnx$|^onnx\/|^genai_config\.json$/,
    what: (name) => `has its weights as ${name}, a graph for inference`,
    mend: SAVE,
  },
  {
    code: 'unsupported',
    looks: /\.h5(\.index\.json)?$|(^|\/)model\.ckpt[.-]|^saved_model(\.pb)?$/,
    what: (name) => `has its weights as ${name}, TensorFlow's`,
    mend: SAVE_TORCH,
  },
  {
    code: 'unsupported',
    looks: /^flax_model.*\.(msgpack|json)$|\.msgpack$/,
    what: (name) => `has its weights as ${name}, Flax's`,
    mend: SAVE_TORCH,
  },
  {
    code: 'unsupported',
    looks: /\.(bin|pt|pth|ckpt)(\.index\.json)?$/,
    what: (name) => `has its weights as ${name}, which can run code`,
    mend: SAVE,
    withConfig: true,
  },
];

/** What `INSTEAD` says nothing about. */
const STATES: Instead = {
  code: 'missing-file',
  looks: STATE,
  what: (name) => `holds the state of a training (${name}) and no weights`,
  mend: 'give the folder that the model was saved to, or save it with transformers',
};

/** @param names of files in it  @param where what messages call it  @returns undefined where nothing stands instead */
export function insteadOfWeights(
  names: readonly string[],
  where: string,
  { hasConfig = true } = {},
): WhorlError | undefined {
  const weights = names.filter((name) => !STATE.test(name));
  for (const entry of [...INSTEAD, STATES]) {
    if (entry.withConfig && !hasConfig) continue;
    const { code, looks, beside, what, mend } = entry;
    const all = entry === STATES ? names : weights;
    const name = all.find((name) => looks.test(name));
    if (name === undefined || (beside && !all.some((other) => beside.test(other)))) continue;
    const fix = typeof mend === 'string' ? mend : mend(where, shownName(name), all);
    return new WhorlError(code, `${where} ${what(shownName(name), all)}`, fix);
  }
  return undefined;
}

const MOST_NAMED = 5;

function ggufWords(files: readonly string[]): string {
  const [first] = files;
  if (first === undefined) return 'has parts of a GGUF model only';
  if (files.length > 1) return `has ${files.length} GGUF files, and one of them is the model`;
  const parts = ggufPartNames(first).length;
  return `has its weights as ${shownName(first)}${parts > 1 ? ` and ${parts - 1} more parts` : ''}`;
}

/** How many there are, and how many their names speak of. */
function shards(all: readonly string[]): { has: number; of: number } {
  const names = all.filter((name) => SHARD.test(name));
  return { has: names.length, of: Number(SHARD.exec(names[0]!)![2]) };
}

/** With nothing in it that a terminal would act on. */
const shownName = (name: string): string => name.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, 120);
