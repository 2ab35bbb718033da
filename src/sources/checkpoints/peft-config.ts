// adapter_config.json as PEFT's LoraConfig reads it: what is adapted, by how much it is scaled, what is saved whole. A
// setting that changes what merging makes and is not handled here is refused by name.

import { WhorlError } from '../../base/error.ts';
import type { TensorRef } from '../../tensor/tensor.ts';
import { asObject } from '../strict-json.ts';
import { shown } from './safetensors.ts';

export const ADAPTER_CONFIG = 'adapter_config.json';

type Config = Readonly<Record<string, unknown>>;

// Settings that are read, and such as leave the saved adapter's function as it is: how it was begun, dropped out, or found.
const READ = new Set([
  'peft_type',
  'r',
  'lora_alpha',
  'use_rslora',
  'rank_pattern',
  'alpha_pattern',
  'layers_to_transform',
  'layers_pattern',
  'bias', // the file says which biases there are
  'ensure_weight_tying',
  'lora_bias',
  'modules_to_save',
  'target_parameters',
  'trainable_token_indices',
  'use_dora',
]);
const HARMLESS = new Set([
  'auto_mapping',
  'base_model_name_or_path',
  // How it was begun: `init_lora_weights` says whether any of them was used.
  'corda_config',
  'eva_config',
  'loftq_config',
  'lora_ga_config',
  'exclude_modules', // the file says which modules there are
  'fan_in_fan_out', // for layers that keep [in, out]; PEFT takes it back for the linear layers of our families
  'inference_mode',
  'lora_dropout',
  'megatron_core',
  'peft_version',
  'qalora_group_size',
  'revision',
  'runtime_config',
  'target_modules',
  'task_type',
]);
/** Beginnings that leave the base's own weights as they are; `pissa`, `olora` and the like subtract from them. */
const BEGINNINGS: readonly unknown[] = [true, false, 'gaussian', 'eva', 'orthogonal'];

/** @throws WhorlError `unsupported` naming the setting that is not handled */
export function checkConfig(config: Config, path: string): void {
  const refuse = (key: string): never => {
    const value = JSON.stringify(config[key]) ?? 'nothing';
    throw new WhorlError(
      'unsupported',
      `${path}: ${shown(key)} is ${value.slice(0, 80)}`,
      NO_MERGE[key] ?? 'merge it with PEFT (merge_and_unload), then use the merged model',
    );
  };
  if (config.peft_type !== 'LORA') refuse('peft_type');
  for (const [key, value] of Object.entries(config)) {
    if (READ.has(key) || HARMLESS.has(key)) continue;
    if (key === 'init_lora_weights' ? !BEGINNINGS.includes(value) : !idle(value)) refuse(key);
  }
}

/** Where even PEFT merges nothing, or only with what the adapter was begun from. */
const NO_MERGE: Readonly<Record<string, string>> = {
  alora_invocation_tokens: 'an activated LoRA holds for some tokens of a text only: there is no merged model',
  arrow_config: 'it routes every token to other adapters: there is no merged model',
  init_lora_weights:
    'it takes a part out of the base: save it as a plain LoRA (path_initial_model_for_weight_conversion of ' +
    'save_pretrained), or merge it with PEFT',
  peft_type: 'only LoRA (DoRA among it) is merged here: merge it with PEFT (merge_and_unload)',
};

/** Whether a setting says that its feature is not used. */
const idle = (value: unknown): boolean =>
  value === null ||
  value === false ||
  value === 'none' ||
  (typeof value === 'object' && Object.keys(value).length === 0);

/** A list names modules or their ends. A string is a regular expression, which decided when the adapter was made. */
export function targeted(module: string, targets: unknown): boolean {
  if (!Array.isArray(targets)) return true;
  return targets.some((target) => module === target || module.endsWith(`.${String(target)}`));
}

/**
 * Whether a module is in one of the layers that were adapted, as PEFT finds a layer's number: behind one of the names in
 * `layers_pattern`, or by default behind any name; of several numbers in a name the first.
 */
export function layers(config: Config, path: string): (module: string) => boolean {
  const given = config.layers_to_transform ?? null;
  if (given === null) return () => true;
  const numbers = [given].flat();
  if (!numbers.every(Number.isInteger))
    throw new WhorlError('bad-file', `${path}: layers_to_transform is no list of layers`);
  const names = [config.layers_pattern ?? []].flat().filter((name) => name !== '');
  if (!names.every((name) => typeof name === 'string' && /^[\w-]+$/.test(name)))
    throw new WhorlError(
      'unsupported',
      `${path}: layers_pattern has a regular expression`,
      'write the names of the layer lists out',
    );
  return (module) => {
    const parts = module.split('.');
    const numberAfter = (least: number, name?: string): string | undefined =>
      parts.find(
        (part, i) =>
          i >= least &&
          i < parts.length - 1 &&
          /^\d+$/.test(part) &&
          (name === undefined || parts[i - 1] === name),
      );
    const found =
      names.length === 0
        ? numberAfter(2)
        : names.map((name) => numberAfter(1, name as string)).find((number) => number !== undefined);
    return found !== undefined && numbers.includes(Number(found));
  };
}

/** alpha / rank, or alpha / √rank (rsLoRA), by module. */
export function scales(config: Config, path: string): (module: string, rank: number) => number {
  const ranks = patterns(config, 'r', 'rank_pattern', path);
  const alphas = patterns(config, 'lora_alpha', 'alpha_pattern', path);
  const stabilised = config.use_rslora === true;
  return (module, rank) => {
    const named = ranks(module);
    if (named !== rank)
      throw new WhorlError(
        'mismatch',
        `${path}: ${shown(module)} has rank ${named}, but its tensors have ${rank}`,
        'config and weights are of different adapters',
      );
    return alphas(module) / (stabilised ? Math.sqrt(rank) : rank);
  };
}

/** A number for all modules, and others by pattern: the first that is a module's end, or with `^` the whole of it. */
function patterns(config: Config, key: string, patternKey: string, path: string): (module: string) => number {
  const numberOf = (value: unknown, name: string): number => {
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw new WhorlError('bad-file', `${path}: ${shown(name)} is not a number`);
  };
  const general = numberOf(config[key], key);
  const special = Object.entries(asObject(config[patternKey] ?? {}, `${path}: ${patternKey}`)).map(
    ([pattern, value]) => {
      // Regular expressions to PEFT. Only plain names are taken: others could be made to run for ever.
      if (!/^\^?(?:[\w-]|\\?\.)+$/.test(pattern))
        throw new WhorlError(
          'unsupported',
          `${path}: ${patternKey} has the regular expression ${shown(pattern)}`,
          'write the module names out',
        );
      const whole = pattern.startsWith('^');
      const name = pattern.replace(/^\^/, '').replaceAll('\\.', '.');
      return { name, whole, value: numberOf(value, pattern) };
    },
  );
  return (module) =>
    special.find(({ name, whole }) => module === name || (!whole && module.endsWith(`.${name}`)))?.value ??
    general;
}

/** A list of names. Throws `bad-file` for anything else. */
export function namesIn(config: Config, key: string, path: string): readonly string[] {
  const value = config[key] ?? [];
  const names = typeof value === 'string' ? [value] : value;
  if (Array.isArray(names) && names.every((name) => typeof name === 'string' && name !== '')) return names;
  throw new WhorlError('bad-file', `${path}: ${key} is no list of names`);
}

/** Whether a parameter is adapted by its own name, or the end of it. */
export function parameterTargets(config: Config, path: string): (parameter: string) => boolean {
  const names = namesIn(config, 'target_parameters', path);
  return (parameter) => names.some((name) => parameter === name || parameter.endsWith(`.${name}`));
}

/** Parameters that hold all experts of a layer, in the order in which a module has them: what PEFT wraps first is innermost. */
const STACKED = ['gate_up_proj', 'down_proj'];

/**
 * The parameter for all experts of a layer that a low-rank map of this module is on: PEFT wraps one around the other
 * (`base_layer`) where there are several. Undefined for a plain matrix. Throws `unsupported` for one of another name.
 */
export function stackedParameter(config: Config, module: string, path: string): string | undefined {
  const holder = module.replace(/(?:[.]base_layer)+$/, '');
  const named = namesIn(config, 'target_parameters', path).flatMap((name) => {
    const [of, parameter] = [name.slice(0, name.lastIndexOf('.')), name.slice(name.lastIndexOf('.') + 1)];
    return parameter !== 'weight' && (holder === of || holder.endsWith(`.${of}`)) ? [parameter] : [];
  });
  if (named.length === 0) return undefined;
  const other = named.find((parameter) => !STACKED.includes(parameter));
  if (other !== undefined)
    throw new WhorlError(
      'unsupported',
      `${path}: target_parameters has ${shown(other)} of ${shown(holder)}, which is no matrix of experts that Whorl knows`,
      'merge it with PEFT (merge_and_unload), then use the merged model',
    );
  const around = (module.length - holder.length) / '.base_layer'.length;
  const parameters = STACKED.filter((parameter) => named.includes(parameter));
  const parameter = parameters[parameters.length - 1 - around];
  if (parameter === undefined)
    throw new WhorlError(
      'mismatch',
      `${path}: target_parameters has ${parameters.length} parameters of ${shown(holder)}, the tensors are of ${around + 1}`,
      'config and weights are of different adapters',
    );
  return `${holder}.${parameter}`;
}

/** Which rows the saved ones stand for: by the module's name or its end; a bare list is for the embedding. */
export function tokenRows(
  config: Config,
  saved: ReadonlyMap<string, TensorRef>,
  path: string,
): ReadonlyMap<string, { readonly rows: readonly number[]; readonly values: TensorRef }> {
  const key = 'trainable_token_indices';
  const given = config[key] ?? null;
  const lists = given === null || Array.isArray(given) ? [['', given]] : Object.entries(asObject(given, key));
  if (saved.size === 0 && given !== null && lists.some(([, rows]) => Array.isArray(rows) && rows.length > 0))
    throw new WhorlError('bad-file', `${path}: ${key} names rows, but none were saved`);
  const found = [...saved].map(([module, values]) => {
    const [, rows] = lists.find(([name]) => module.endsWith(String(name))) ?? [];
    if (!Array.isArray(rows) || !rows.every((row) => Number.isInteger(row) && row >= 0))
      throw new WhorlError('bad-file', `${path}: ${key} does not say which rows ${shown(module)} has`);
    if (values.shape.length !== 2 || values.shape[0] !== rows.length)
      throw new WhorlError(
        'bad-file',
        `${path}: ${key} names ${rows.length} rows of ${shown(module)}, saved are [${values.shape}]`,
      );
    return [module, { rows: rows as number[], values }] as const;
  });
  return new Map(found);
}
