// What a model's bytes amount to: sha256 of files, of tensors, and of all tensors together.

import { createHash } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TensorRef } from '../../tensor/tensor.ts';
import { BoundedReader, withReader } from '../bounded-reader.ts';
import { furtherTemplates } from './chat-templates.ts';
import type { Checkpoint } from './checkpoint.ts';

/** sha256 of a file's bytes, hex, streamed. */
export const digestFile = (path: string): string =>
  withReader(path, (reader) => digestRange(reader, 0, reader.size));

/** sha256 of each tensor's bytes, hex, by name. Reads each byte of the weights once, with flat memory. */
export function digestTensors(checkpoint: Checkpoint): ReadonlyMap<string, string> {
  const byFile = new Map<string, [string, TensorRef][]>();
  for (const entry of checkpoint.tensors) {
    const same = byFile.get(entry[1].file);
    if (same) same.push(entry);
    else byFile.set(entry[1].file, [entry]);
  }
  const digests = new Map<string, string>();
  for (const [file, tensors] of byFile) {
    const reader = new BoundedReader(file);
    try {
      for (const [name, ref] of tensors) digests.set(name, digestRange(reader, ref.offset, ref.length));
    } finally {
      reader.close();
    }
  }
  return digests;
}

/**
 * sha256, hex, over one line `["name","dtype",[shape],"sha256 of its bytes"]\n` a tensor, sorted by name's UTF-8
 * bytes. Which file or shard a tensor lies in does not matter. `except` leaves tensors out.
 */
export function combineDigests(
  tensors: ReadonlyMap<string, TensorRef>,
  digests: ReadonlyMap<string, string>,
  except: ReadonlySet<string> = new Set(),
): string {
  const hash = createHash('sha256');
  const names = [...tensors.keys()].filter((name) => !except.has(name));
  names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const name of names) {
    const { dtype, shape } = tensors.get(name)!;
    hash.update(`${JSON.stringify([name, dtype, shape, digests.get(name)])}\n`);
  }
  return hash.digest('hex');
}

/** Digest of every tensor. */
export const digestCheckpoint = (checkpoint: Checkpoint): string =>
  combineDigests(checkpoint.tensors, digestTensors(checkpoint));

/** Digest of all tensors but `exceptNames` (for a claim: all but the embedding and an untied head). */
export function digestBody(checkpoint: Checkpoint, exceptNames: Iterable<string>): string {
  const except = new Set(exceptNames);
  const tensors = new Map([...checkpoint.tensors].filter(([name]) => !except.has(name)));
  return combineDigests(tensors, digestTensors({ ...checkpoint, tensors }));
}

/** Everything beside the weights by which a folder decides what a text becomes, and what is answered. */
export const SMALL_FILES = {
  tokenizer: [
    'added_tokens.json',
    'chat_template.jinja',
    'chat_template.json',
    'merges.txt',
    'special_tokens_map.json',
    'spiece.model',
    'tokenizer.json',
    'tokenizer.model',
    'tokenizer_config.json',
    'vocab.json',
    'vocab.txt',
  ],
  config: ['config.json', 'generation_config.json'],
} as const;

/**
 * sha256, hex, over one line `["name","sha256 of its bytes"]\n` for each of these files that is there, in this order; a
 * tokenizer's also over `additional_chat_templates/*.jinja`, sorted.
 */
export function digestSmallFiles(folder: string): { readonly tokenizer: string; readonly config: string } {
  const digest = (names: readonly string[]): string => {
    const hash = createHash('sha256');
    for (const name of names) {
      const path = join(folder, name);
      if (statSync(path, { throwIfNoEntry: false })?.isFile())
        hash.update(`${JSON.stringify([name, digestFile(realpathSync(path))])}\n`);
    }
    return hash.digest('hex');
  };
  const tokenizer = [...SMALL_FILES.tokenizer, ...furtherTemplates(folder)];
  return { tokenizer: digest(tokenizer), config: digest(SMALL_FILES.config) };
}

function digestRange(reader: BoundedReader, offset: number, length: number): string {
  const hash = createHash('sha256');
  for (const chunk of reader.chunks(offset, length)) hash.update(chunk);
  return hash.digest('hex');
}
