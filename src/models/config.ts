// Reading a config.json strictly: a key that would change the mathematics and is not handled is an error naming it.

import { WhorlError } from '../base/error.ts';
import { ACTIVATIONS, type Activation } from './blocks/activations.ts';
import type { Rope } from './rope.ts';
import { ROPE_KEYS, type RopeOptions, readRope } from './rope-config.ts';

/** Keys that say nothing about the forward pass of a decoder in inference. */
const HARMLESS = new Set([
  '_name_or_path',
  'architectures',
  'attention_dropout',
  'auto_map',
  'bos_token_id',
  'dtype',
  'eos_token_id',
  'initializer_range',
  'is_llama_config',
  'max_sequence_length',
  'model_type',
  'pad_token_id',
  'pretraining_tp', // slices of one product, added up: the same product
  'tokenizer_class',
  'torch_dtype',
  'transformers.js_config',
  'transformers_version',
  'unk_token_id',
  'use_cache',
  'chunk_size_feed_forward',
  'id2label',
  'label2id',
  'is_encoder_decoder',
  'output_attentions',
  'output_hidden_states',
  'return_dict',
  'problem_type',
  'hidden_dropout',
  'classifier_dropout',
  'is_decoder',
]);

export type ConfigJson = Readonly<Record<string, unknown>>;

export interface ConfigReader {
  size(key: string, fallback?: number): number;
  number(key: string, fallback: number): number;
  flag(key: string, fallback: boolean): boolean;
  /** One of transformers' names of an activation. */
  activation(key: string, fallback: Activation): Activation;
  /** a / b, both read from config.json; an error naming them where it is no whole number. */
  quotient(key: string, a: number, by: string, b: number): number;
  rope(options: RopeOptions): Rope;
  /** The key may be absent, null or this value; anything else is another architecture. */
  only(key: string, value: unknown): void;
  /** Throws for keys nobody asked for and nobody knows to be harmless. */
  done(): void;
}

export function readConfig(json: ConfigJson, where: string): ConfigReader {
  const asked = new Set<string>();
  const get = (key: string): unknown => {
    asked.add(key);
    return Object.hasOwn(json, key) ? json[key] : undefined;
  };
  const bad = (key: string, wanted: string): never => {
    throw new WhorlError(
      'bad-file',
      `${where}: ${key} is ${JSON.stringify(json[key] ?? null)}, not ${wanted}`,
      'get the checkpoint again',
    );
  };
  const unsupported = (key: string): never => {
    throw new WhorlError(
      'unsupported',
      `${where}: ${key} = ${JSON.stringify(json[key])} changes the model's mathematics and is not handled`,
      'this checkpoint needs a newer whorl',
    );
  };
  const reader: ConfigReader = {
    size(key, fallback) {
      const value = get(key) ?? fallback;
      if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > 2 ** 31 - 1)
        bad(key, 'a positive integer');
      return value as number;
    },
    number(key, fallback) {
      const value = get(key) ?? fallback;
      if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) bad(key, 'a positive number');
      return value as number;
    },
    flag(key, fallback) {
      const value = get(key) ?? fallback;
      if (typeof value !== 'boolean') bad(key, 'true or false');
      return value as boolean;
    },
    activation(key, fallback) {
      const value = get(key) ?? fallback;
      if (typeof value !== 'string') bad(key, 'the name of an activation');
      if (!Object.hasOwn(ACTIVATIONS, value as string)) unsupported(key);
      return value as Activation;
    },
    quotient(key, a, by, b) {
      if (a % b !== 0)
        throw new WhorlError(
          'bad-file',
          `${where}: ${key} ${a} is not a multiple of ${by} ${b}`,
          'get the checkpoint again',
        );
      return a / b;
    },
    rope(options) {
      for (const key of ROPE_KEYS) asked.add(key);
      return readRope(json, where, options);
    },
    only(key, value) {
      const actual = get(key);
      if (actual !== undefined && actual !== null && actual !== value) unsupported(key);
    },
    done() {
      for (const key of Object.keys(json)) if (!asked.has(key) && !HARMLESS.has(key)) unsupported(key);
    },
  };
  return reader;
}
