// A GGUF that llama-gguf-split cut into `name-00001-of-0000N.gguf`: every part has tensors of its own, the first one the
// keys of all. Any part stands for the whole.

import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import { type GgufFile, type GgufTensor, readGguf } from './gguf.ts';
import { shown } from './safetensors.ts';

const PART = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/su;
const MAX_PARTS = 1000;

/** Names of all parts of the file that has this name, in order; its own alone where it names no parts. */
export function ggufPartNames(name: string): readonly string[] {
  const [, stem, , count] = PART.exec(name) ?? [];
  const parts = Number(count);
  if (stem === undefined || parts < 1 || parts > MAX_PARTS) return [name];
  return Array.from(
    { length: parts },
    (_, i) => `${stem}-${String(i + 1).padStart(5, '0')}-of-${count}.gguf`,
  );
}

/** A projector for pictures, which llama.cpp keeps beside the model that reads it, and statistics that quantising used. */
const NO_MODEL = /(^|\/)(mmproj|imatrix)\b|[.-](mmproj|imatrix)\b/i;

/** Of names in a folder or repository the models that are GGUF, sorted: one that was split by its first part. */
export const wholeGgufs = (names: Iterable<string>): string[] =>
  [
    ...new Set(
      [...names]
        .filter((name) => name.endsWith('.gguf') && !NO_MODEL.test(name))
        .map((name) => ggufPartNames(name)[0]!),
    ),
  ].sort();

/** The files that a GGUF consists of, all there. @throws WhorlError `missing-file` naming the part */
export function ggufParts(path: string): readonly string[] {
  const names = ggufPartNames(basename(path));
  if (names.length === 1) return [path];
  const paths = names.map((name) => join(dirname(path), name));
  const missing = paths.find((part) => !existsSync(part));
  if (missing !== undefined)
    throw new WhorlError(
      'missing-file',
      `${missing} is not there, one of ${names.length} parts of the model`,
      'download all parts into one folder',
    );
  return paths;
}

/** A tensor, and which of the files it lies in. */
export interface PartTensor extends GgufTensor {
  readonly file: string;
}

interface WholeGguf extends Omit<GgufFile, 'tensors' | 'identity'> {
  readonly tensors: ReadonlyMap<string, PartTensor>;
}

/**
 * All parts as one file; `parts` as `ggufParts` gives them, `name` for messages about a single one.
 * @throws WhorlError `bad-file` where they do not belong together, and whatever `readGguf` throws
 */
export function readGgufParts(parts: readonly string[], name: string): WholeGguf {
  const tensors = new Map<string, PartTensor>();
  const headers = parts.map((path) => readGguf(path, parts.length === 1 ? name : path, true));
  const [first] = headers as [GgufFile];
  for (const [i, { metadata, tensors: own }] of headers.entries()) {
    const bad = (message: string): WhorlError =>
      new WhorlError(
        'bad-file',
        `${parts.length === 1 ? name : parts[i]}: ${message}`,
        'download all parts again',
      );
    const [count, no] = [metadata.get('split.count') ?? 1, metadata.get('split.no') ?? 0];
    if (count !== parts.length)
      throw parts.length === 1
        ? new WhorlError(
            'unsupported',
            `${name}: one of ${String(count)} parts (split.count), which its name does not say`,
            'give all parts their names back (…-00001-of-00003.gguf), or merge them with llama-gguf-split --merge',
          )
        : bad(`split.count is ${String(count)}, but its name says ${parts.length} parts`);
    if (no !== i) throw bad(`split.no is ${String(no)}, but its name says part ${i + 1}`);
    for (const [tensor, entry] of own) {
      if (tensors.has(tensor)) throw bad(`tensor ${shown(tensor)} stands in another part, too`);
      tensors.set(tensor, { ...entry, file: parts[i]! });
    }
  }
  const total = first.metadata.get('split.tensors.count');
  if (total !== undefined && total !== tensors.size)
    throw new WhorlError(
      'bad-file',
      `${first.path}: split.tensors.count is ${String(total)}, but there are ${tensors.size} tensors`,
      'download all parts again',
    );
  return { path: first.path, metadata: first.metadata, tensors };
}
