// SHA-256 of every file of a folder, by its path in it, in the order that model signatures have: part by part of the path.

import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkAborted } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { isNotThere, systemError } from '../base/system-errors.ts';

const CHUNK = 2 ** 22;
const MOST_FILES = 100_000;

/** As Python orders paths: by their parts, each by code points. */
export function inOrder(a: string, b: string): number {
  const [left, right] = [a.split('/'), b.split('/')];
  for (let i = 0; i < Math.min(left.length, right.length); i++)
    if (left[i] !== right[i]) return Buffer.compare(Buffer.from(left[i]!), Buffer.from(right[i]!));
  return left.length - right.length;
}

/**
 * What is signed of a folder, by paths within it, and how many bytes.
 * @param ignored paths within the folder; of a folder all that is in it
 * @throws WhorlError `missing-file`, `unsupported` for a link or what is neither file nor folder
 */
export function signedFiles(
  folder: string,
  ignored: readonly string[],
): { readonly names: readonly string[]; readonly bytes: number } {
  const names = [...filesIn(folder, '', new Set(ignored.map((path) => path.replace(/\/+$/, ''))))].sort(
    inOrder,
  );
  return { names, bytes: names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0) };
}

/** @throws WhorlError as `signedFiles` does */
export async function digestFolder(
  folder: string,
  ignored: readonly string[],
  onEvent: OnEvent,
): Promise<ReadonlyMap<string, string>> {
  const { names, bytes: total } = signedFiles(folder, ignored);
  const digests = new Map<string, string>();
  let done = 0;
  for (const name of names)
    digests.set(
      name,
      await digestFile(join(folder, name), (bytes) => {
        done += bytes;
        onEvent({ kind: 'progress', name: 'digests', done, total });
      }),
    );
  return digests;
}

function* filesIn(
  folder: string,
  below: string,
  ignored: ReadonlySet<string>,
  seen = { entries: 0 },
): Generator<string> {
  for (const entry of listed(join(folder, below))) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    if (ignored.has(name)) continue;
    if (++seen.entries > MOST_FILES)
      throw new WhorlError('unsupported', `${folder} has too many files to be a model`);
    if (entry.isDirectory()) yield* filesIn(folder, name, ignored, seen);
    else if (entry.isFile()) yield name;
    else
      throw new WhorlError(
        'unsupported',
        `${join(folder, name)} is a link or no file`,
        'sign a folder of files, such as published/',
      );
  }
}

function listed(path: string) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (cause) {
    if (!isNotThere(cause)) throw systemError(cause, path, 'reading') ?? cause;
    throw new WhorlError('missing-file', `${path} does not exist`, 'give a model folder', { cause });
  }
}

async function digestFile(path: string, read: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { highWaterMark: CHUNK })) {
    checkAborted();
    hash.update(part as Buffer);
    read((part as Buffer).length);
  }
  return hash.digest('hex');
}
