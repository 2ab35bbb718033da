// A folder that is made from another model's files and kept in the cache under a name that says all about it. A cache is nobody's
// word: where a verdict rests on such a folder it is made again, and held against what stands there.

import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { breathe } from '../base/abort.ts';
import { AtomicFile, writeFolderOnce } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { jsonText } from '../base/json.ts';
import { checkRoom } from '../base/room.ts';
import { isThere } from '../base/system-errors.ts';
import { BoundedReader } from '../sources/bounded-reader.ts';
import {
  type BytesOf,
  type SafetensorsEntry,
  safetensorsChunks,
} from '../sources/checkpoints/write-safetensors.ts';

export interface MadeFile {
  /** Path inside the folder, by `/`. */
  readonly name: string;
  /** In chunks that need to live only until the next is asked for. */
  readonly bytes: () => Iterable<Uint8Array>;
}

export interface Making {
  /** What it is made of, and what making it is called: for messages. */
  readonly from: string;
  readonly phase: string;
  /** All that lies in it, and bytes of its weights: read when it is made, not before. */
  readonly files: () => { readonly files: readonly MadeFile[]; readonly total: number };
  /** Throws where what it is made of changed since it got its name. */
  readonly checkUnchanged: () => void;
}

export interface MadeOptions {
  /**
   * Whether a folder of an earlier call is made again and compared, byte by byte: whoever could write to the cache could have put another
   * model there. For evidence; default: it is believed.
   */
  readonly checkCache?: boolean | undefined;
  readonly onEvent?: OnEvent | undefined;
}

/**
 * Makes `folder` unless `present`, a file of it, is there.
 * @throws WhorlError `changed` for one that was made by an earlier call and is something else, naming its first such file
 */
export async function madeFolder(
  folder: string,
  present: string,
  { from, phase, files: filesOf, checkUnchanged }: Making,
  { checkCache = false, onEvent = silent }: MadeOptions,
): Promise<void> {
  const isKept = isThere(join(folder, present));
  if (isKept && !checkCache) return;
  const { files, total } = filesOf();
  const name = isKept ? 'comparing' : phase;
  onEvent({ kind: 'phase', name, detail: `${from} ${isKept ? 'and' : '→'} ${folder}` });
  let done = 0;
  const each = async (bytes: Iterable<Uint8Array>, take: (chunk: Uint8Array) => void): Promise<void> => {
    for (const chunk of bytes) {
      take(chunk);
      done = Math.min(total, done + chunk.length);
      onEvent({ kind: 'progress', name, done, total });
      await breathe();
    }
  };
  if (isKept) return compare(folder, files, from, each);
  await writeFolderOnce(folder, async (temporary) => {
    checkRoom(folder, total);
    for (const { name, bytes } of files) {
      const file = new AtomicFile(join(temporary, name));
      try {
        await each(bytes(), (chunk) => file.write(chunk));
        file.commit();
      } finally {
        file.discard();
      }
    }
    checkUnchanged();
  });
}

type Each = (bytes: Iterable<Uint8Array>, take: (chunk: Uint8Array) => void) => Promise<void>;

async function compare(folder: string, files: readonly MadeFile[], from: string, each: Each): Promise<void> {
  const wrong = (name: string): never => {
    throw new WhorlError(
      'changed',
      `${join(folder, name)} in the cache is not what ${from} becomes: somebody changed it, or the disk did`,
      `remove ${folder}, which is made again`,
    );
  };
  const known = new Set(files.map(({ name }) => name));
  const foreign = filesIn(folder).find((name) => !known.has(name));
  if (foreign !== undefined) wrong(foreign);
  for (const { name, bytes } of files) {
    const path = join(folder, name);
    if (!isThere(path)) wrong(name);
    const reader = new BoundedReader(path);
    try {
      let own = Buffer.alloc(0);
      await each(bytes(), (chunk) => {
        if (chunk.length > reader.left) wrong(name);
        if (own.length < chunk.length) own = Buffer.alloc(chunk.length);
        const there = own.subarray(0, chunk.length);
        reader.readInto(there, reader.position);
        reader.position += chunk.length;
        if (!there.equals(chunk)) wrong(name);
      });
      if (reader.left > 0) wrong(name);
    } finally {
      reader.close();
    }
  }
}

/** Everything in it that is no folder, links too. */
const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();

export const madeWeights = <E extends SafetensorsEntry>(
  name: string,
  entries: readonly E[],
  source: BytesOf<E>,
): MadeFile => ({ name, bytes: () => safetensorsChunks(entries, source) });

export const madeText = (name: string, text: string): MadeFile => ({
  name,
  bytes: () => [new TextEncoder().encode(text)],
});

export const madeJson = (name: string, value: unknown): MadeFile => madeText(name, jsonText(value));
