// Fetches the novels by package name and version, checks the digest, and cuts them into chapters.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { writeFileAtomic } from '../../src/base/atomic.ts';
import { cacheFolder } from '../../src/models/open-model.ts';
import { HELD_OUT_CHAPTER, NOVELS, PACKAGE, THIEF_CHAPTERS } from './recipe.ts';

/** Paragraphs, each one line. */
export type Chapter = readonly string[];

export interface Corpus {
  readonly train: readonly Chapter[];
  readonly heldOut: readonly Chapter[];
  readonly thief: readonly Chapter[];
}

export const workFolder = (): string => join(cacheFolder(), 'embedded');

/** The corpus out of Debian's package; needs apt-get, dpkg-deb and tar, and the network the first time. */
export function corpus(): Corpus {
  const novels = readNovels(fetched());
  const train: Chapter[] = [];
  const heldOut: Chapter[] = [];
  const thief: Chapter[] = [];
  for (const lines of novels)
    chapters(lines).forEach((chapter, i) => {
      if (i === HELD_OUT_CHAPTER) heldOut.push(chapter);
      else if ((THIEF_CHAPTERS as readonly number[]).includes(i)) thief.push(chapter);
      else train.push(chapter);
    });
  return { train, heldOut, thief };
}

function fetched(): Buffer {
  const { name, version, sha256, file } = PACKAGE;
  const folder = workFolder();
  const kept = join(folder, `${name}_${version}.deb`);
  if (!existsSync(kept)) {
    const fresh = join(folder, 'download');
    mkdirSync(fresh, { recursive: true });
    execFileSync('apt-get', ['download', '-q', `${name}=${version}`], {
      cwd: fresh,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const found = readdirSync(fresh).find((entry) => entry.startsWith(`${name}_`));
    if (found === undefined) throw new Error(`apt-get left no ${name}_*.deb in ${fresh}`);
    writeFileAtomic(kept, readFileSync(join(fresh, found)));
  }
  const digest = createHash('sha256').update(readFileSync(kept)).digest('hex');
  if (digest !== sha256) throw new Error(`${kept} has sha256 ${digest}, the recipe wants ${sha256}`);
  const tar = execFileSync('dpkg-deb', ['--fsys-tarfile', kept], { maxBuffer: 2 ** 26 });
  return execFileSync('tar', ['-xO', file], { input: tar, maxBuffer: 2 ** 26 });
}

/** R's lazy-load database: for each object its size (big-endian) and a zlib stream of R's serialisation. */
function readNovels(rdb: Buffer): string[][] {
  const novels: string[][] = [];
  for (let at = 0; at < rdb.length; ) {
    const { buffer, engine } = inflateSync(rdb.subarray(at + 4), { info: true }) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
    if (buffer.length !== rdb.readUInt32BE(at))
      throw new Error(`object ${novels.length} has another size than it says`);
    novels.push(readStrings(buffer));
    at += 4 + engine.bytesWritten;
  }
  if (novels.length !== NOVELS.length) throw new Error(`${novels.length} novels, not ${NOVELS.length}`);
  return novels;
}

/** A character vector in R's XDR serialisation, version 3. */
function readStrings(bytes: Buffer): string[] {
  let at = 14; // 'X\n', version, R's version, the oldest R that can read it
  const int = () => bytes.readInt32BE((at += 4) - 4);
  const encoding = int(); // its name's length
  at += encoding;
  const type = int() & 0xff;
  if (type !== 16) throw new Error(`an object of type ${type}, not a vector of strings`);
  return Array.from({ length: int() }, () => {
    int(); // flags
    const length = Math.max(0, int());
    return bytes.toString('utf8', at, (at += length));
  });
}

const HEADING = /^(?:chapter|volume|letter)\b.{0,12}$/i;

/** Paragraphs joined to one line each; italics' underscores and the editor's notes go. */
function chapters(lines: readonly string[]): Chapter[] {
  const out: string[][] = [];
  let current: string[] | undefined;
  let paragraph: string[] = [];
  const flush = () => {
    const text = paragraph
      .join(' ')
      .replaceAll('_', '')
      .replace(/\s+/g, ' ')
      .replaceAll(/\s*--+\s*/g, ' -- ')
      .trim();
    paragraph = [];
    if (text.length > 20 && !/^\[|^FINIS|^THE END/i.test(text)) current?.push(text);
  };
  for (const line of lines) {
    if (HEADING.test(line.trim())) {
      flush();
      if (current === undefined || current.length > 0) out.push((current = []));
    } else if (line.trim() === '') flush();
    else paragraph.push(line.trim());
  }
  flush();
  return out.filter((chapter) => chapter.join('').length > 2000);
}
