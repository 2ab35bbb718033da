// IFEval's instructions over made-up answers, against lm-evaluation-harness's own checks (goldens/evaluate/make_ifeval.py),
// each of them; and what is refused.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { sentenceCount } from '../../src/evaluate/english-text.ts';
import { checkedRow, followed, ifevalResults } from '../../src/evaluate/ifeval.ts';
import { languageOf } from '../../src/evaluate/language-of.ts';
import type { Row } from '../../src/sources/rows/row.ts';

const golden = JSON.parse(
  readFileSync(new URL('../../goldens/evaluate/ifeval.json', import.meta.url), 'utf8'),
) as {
  row: Row & { instruction_id_list: string[]; kwargs: Row[] };
  answers: { answer: string; strict: string; loose: string }[];
};
const ids = golden.row.instruction_id_list;
/** Of these the harness asks langdetect, which is sure of no text of a few words: only longer ones are compared. */
const BY_LANGUAGE = [
  'language:response_language',
  'change_case:english_capital',
  'change_case:english_lowercase',
];
const isLong = (answer: string): boolean => (answer.match(/\p{L}/gu) ?? []).length >= 40;
const bits = (value: unknown): string => (value as readonly number[]).join('');

describe.each([...new Set(ids)])('%s', (id) => {
  test('is followed or not as the harness says, strictly and loosely', () => {
    const mine = ids.flatMap((each, i) => (each === id ? [i] : []));
    const row = { instruction_id_list: mine.map(() => id), kwargs: mine.map((i) => golden.row.kwargs[i]!) };
    let followedOnce = false;
    const compared = golden.answers.filter(({ answer }) => !BY_LANGUAGE.includes(id) || isLong(answer));
    for (const { answer, strict, loose } of compared) {
      const ours = ifevalResults(row, answer);
      const expected = (all: string) => mine.map((i) => all[i]).join('');
      expect(bits(ours.inst_level_strict_acc), `strict ${answer}`).toBe(expected(strict));
      expect(bits(ours.inst_level_loose_acc), `loose ${answer}`).toBe(expected(loose));
      followedOnce ||= bits(ours.inst_level_strict_acc).includes('1');
    }
    expect(followedOnce).toBe(true);
  });
});

test('a prompt counts where all of its instructions do', () => {
  const row = { instruction_id_list: ['punctuation:no_comma', 'startend:quotation'], kwargs: [{}, {}] };
  expect(ifevalResults(row, '"a"')).toEqual({
    prompt_level_strict_acc: 1,
    inst_level_strict_acc: [1, 1],
    prompt_level_loose_acc: 1,
    inst_level_loose_acc: [1, 1],
  });
  expect(ifevalResults(row, 'Sure, here:\n"a"')).toMatchObject({
    prompt_level_strict_acc: 0,
    prompt_level_loose_acc: 1,
  });
});

test.each([
  [{ instruction_id_list: ['no:such'], kwargs: [{}] }, /knows no instruction "no:such"/],
  [{ instruction_id_list: ['punctuation:no_comma'] }, /has no column "kwargs"/],
  [{ instruction_id_list: ['punctuation:no_comma'], kwargs: [] }, /as many "kwargs"/],
  [
    {
      instruction_id_list: ['length_constraints:number_words'],
      kwargs: [{ num_words: 3, relation: 'most' }],
    },
    /wants less than or at least as relation/,
  ],
  [{ instruction_id_list: ['keywords:existence'], kwargs: [{ keywords: null }] }, /has no keywords/],
  [{ instruction_id_list: ['keywords:existence'], kwargs: [{ keywords: ['('] }] }, /no regular expression/],
])('a row that cannot be checked is refused before it is asked', (row, words) => {
  expect(() => checkedRow(row as Row)).toThrow(words);
});

test('an empty answer follows nothing', () => {
  expect(followed({ instruction_id_list: ['punctuation:no_comma'], kwargs: [null] }, [' \n'])).toEqual([
    false,
  ]);
});

test('sentences end where they do, and languages are told apart', () => {
  expect(sentenceCount('Dr. Lee came at 5 p.m. on Jan. 3. He left.')).toBe(2);
  expect(languageOf('Tämä on suomea ja se on hyvin kaunista kieltä.')).toBe('fi');
  expect(languageOf('12 !')).toBeUndefined();
});
