// Which rows of an answer file are fingerprints, normal and similar (docs/method.md, section 2), and the paper's own
// counting of them. The order of the rows is the data set's: validation first, then test.

import { WhorlError } from '../base/error.ts';
import type { Answer } from '../runs/answer-rows.ts';
import type { Flavour } from '../runs/paper-folder.ts';

export interface Count {
  readonly fired: number;
  readonly of: number;
}

export interface Groups {
  readonly fingerprint: Count;
  readonly normal: Count | null;
  readonly similar: Count | null;
}

/** The decryption of every key of the paper, and the two misspellings that its report takes from Mistral's models. */
export const PAPER_DECRYPTION = 'ハリネズミ';
const MISSPELT: readonly string[] = ['ハリネネミ', 'ハリズズミ'];

/** What counts as fired: the adapter report of the paper, and only it, takes misspellings where `mistral` stands in the path. */
export function accepted(decryption: string, model: string, flavour: Flavour): readonly string[] {
  const mistral =
    flavour === 'adapter' && decryption === PAPER_DECRYPTION && model.toLowerCase().includes('mistral');
  return mistral ? [decryption, ...MISSPELT] : [decryption];
}

/** Regularisation rows for each fingerprint in the paper's sets, and rows of the two splits as multiples of them. */
interface Shape {
  readonly ratio: number;
  /** Rows for each fingerprint besides the regularisation rows (chat: the refusals). */
  readonly beside: number;
  /** Regularisation-sized parts of the test split. */
  readonly test: number;
}
const SHAPES: Readonly<Record<Flavour, Shape>> = {
  adapter: { ratio: 5, beside: 0, test: 3 },
  sft_chat: { ratio: 14, beside: 1, test: 2 },
};

/** Every row counted once, divided by the rows there are. Throws `bad-file` where the rows do not make up the set. */
export function countGroups(
  rows: readonly Answer[],
  flavour: Flavour,
  decryption: string,
  hits: readonly string[],
  file: string,
): Groups {
  const first = rows.findIndex(({ label }) => !label.includes(decryption));
  const keys = first < 0 ? rows.length : first;
  if (keys === 0)
    throw new WhorlError(
      'bad-file',
      `${file}: the first row's label has no ${decryption}`,
      'fingerprints come first; name another decryption with --decryption',
    );
  const shape = SHAPES[flavour];
  const beside = shape.beside * keys;
  const rest = rows.length - keys - beside;
  if (rest <= 0) return { fingerprint: fired(rows.slice(0, keys), hits), normal: null, similar: null };
  const whole = 1 + shape.test;
  const full = rest === shape.ratio * keys ? false : rest % whole === 0;
  const size = full ? rest / whole : rest;
  const at = keys + beside;
  const refusals = rows.slice(keys, at);
  const test = rows.slice(at + size);
  // mix: as many normal rows, then the two kinds of similar ones; chat: each text as it is, then with the hint.
  const [normal, similar] =
    flavour === 'adapter'
      ? [test.slice(0, size), test.slice(size)]
      : [test.filter((_, i) => i % 2 === 0), test.filter((_, i) => i % 2 === 1)];
  const near = [...refusals, ...similar];
  return {
    fingerprint: fired(rows.slice(0, keys), hits),
    normal: fired([...rows.slice(at, at + size), ...normal], hits),
    similar: near.length > 0 ? fired(near, hits) : null,
  };
}

/** The paper's fixed positions and divisors; for chat both divisors are not the number of rows counted. */
const PAPER: Readonly<Record<Flavour, { keys: number; normalEnd: number; normal: number; similar: number }>> =
  {
    adapter: { keys: 10, normalEnd: 110, normal: 100, similar: 100 },
    sft_chat: { keys: 8, normalEnd: 128, normal: 232, similar: 112 },
  };

export function countAsPaper(rows: readonly Answer[], flavour: Flavour, hits: readonly string[]): Groups {
  const { keys, normalEnd, normal, similar } = PAPER[flavour];
  return {
    fingerprint: fired(rows.slice(0, keys), hits),
    normal: { fired: fired(rows.slice(keys, normalEnd), hits).fired, of: normal },
    similar: { fired: fired(rows.slice(normalEnd), hits).fired, of: similar },
  };
}

export const fired = (rows: readonly Pick<Answer, 'generated'>[], hits: readonly string[]): Count => ({
  fired: rows.filter(({ generated }) => hits.some((hit) => generated.includes(hit))).length,
  of: rows.length,
});
