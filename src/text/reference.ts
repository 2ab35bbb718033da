// The multilingual reference text: what decides which tokens are ordinary, where divergence is trained away and
// where harm is measured. Built by scripts/make-reference.mjs, which names every source and licence.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { WhorlError } from '../base/error.ts';
import { packageRoot } from '../base/package-root.ts';

export interface LanguageTexts {
  readonly language: string;
  readonly texts: readonly string[];
}

export interface Reference {
  readonly sources: readonly { name: string; version: string; licence: string; what: string }[];
  /** Decides which tokens are ordinary: paragraphs of about 90 languages, words, emoji. */
  readonly rows: {
    readonly texts: readonly string[];
    readonly words: readonly string[];
    readonly emoji: readonly string[];
  };
  /** Positions for the divergence term of the loss. */
  readonly train: readonly LanguageTexts[];
  /** English, Chinese, Japanese, Russian, Emoji, Code, Mathematics; shares no text with the other two parts. */
  readonly heldOut: readonly LanguageTexts[];
  /** Ordinary English sentences, for wrappers. */
  readonly sentences: readonly string[];
  /** SHA-256 of the uncompressed file, lower-case hex. */
  readonly digest: string;
}

/** The name under which an owner's own ordinary text stands beside the languages. */
export const OWN_TEXT = 'Own';

const FILE = 'assets/reference/reference.json.gz';
const MAX_BYTES = 64 * 2 ** 20;
let loaded: Reference | undefined;

/** Reads the set once a process (about 40 ms). Errors: missing-file when the package is incomplete. */
export function loadReference(): Reference {
  if (loaded !== undefined) return loaded;
  const path = join(packageRoot(), FILE);
  let text: Buffer;
  try {
    text = gunzipSync(readFileSync(path), { maxOutputLength: MAX_BYTES });
  } catch (cause) {
    throw new WhorlError('missing-file', `${path} cannot be read`, 'install the package again', { cause });
  }
  const { rows, ...rest } = JSON.parse(text.toString('utf8')) as Omit<Reference, 'digest' | 'rows'> & {
    rows: { texts: string[]; words: string; emoji: string };
  };
  loaded = {
    ...rest,
    rows: { texts: rows.texts, words: rows.words.split(' '), emoji: rows.emoji.split(' ') },
    digest: createHash('sha256').update(text).digest('hex'),
  };
  return loaded;
}
