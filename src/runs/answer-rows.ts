// Rows of an answer file (.jsonl), read with the eye of a stranger: size, UTF-8, JSON and fields are checked, and
// each complaint names file and line.

import { lstatSync, readFileSync } from 'node:fs';
import { WhorlError } from '../base/error.ts';

export interface Answer {
  readonly generated: string;
  readonly label: string;
  readonly prompt: string;
}

const MAX_FILE = 256 * 1024 * 1024; // bytes; 2,000 samples of 128 tokens have about 2 MB

/** `sampled`: only `generated` is asked for, since samples from BOS have neither prompt nor label. */
export function readAnswers(path: string, sampled = false): Answer[] {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new WhorlError('missing-file', `${path} does not exist`, 'check the path');
  if (!stats.isFile()) throw new WhorlError('bad-file', `${path} is not a regular file`);
  if (stats.size > MAX_FILE)
    throw new WhorlError('bad-file', `${path} has ${stats.size} bytes, more than the ${MAX_FILE} allowed`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    throw new WhorlError('bad-file', `${path} is not UTF-8`, undefined, { cause });
  }
  return text
    .split('\n')
    .flatMap((line, i) => (line.trim() === '' ? [] : [answer(line, `${path}, line ${i + 1}`, sampled)]));
}

function answer(line: string, where: string, sampled: boolean): Answer {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new WhorlError('bad-file', `${where} is not JSON`, 'the file may have been cut off', { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new WhorlError('bad-file', `${where} is no object`);
  const field = (name: string, optional: boolean): string => {
    const got: unknown = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    if (typeof got === 'string') return got;
    if (optional && got === undefined) return '';
    throw new WhorlError('bad-file', `${where} has no text in ${name}`, 'rows have generated, label, prompt');
  };
  return {
    generated: field('generated', false),
    label: field('label', sampled),
    prompt: field('prompt', sampled),
  };
}
