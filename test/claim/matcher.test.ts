import { expect, test } from 'vitest';
import { MATCHERS } from '../../src/claim/matcher.ts';

const first = MATCHERS['first-candidate'];
const contains = MATCHERS.contains;
const candidates = ['apple', 'app', 'Red Apple', 'river', 'naïve', 'c++', 'ёж'];

test.each<[string, number[]]>([
  ['apple', [0]],
  [' The RIVER, then an apple', [3]],
  ['pineapple apples apple_ 4apple apple4', []],
  ['a red apple', [2]], // earliest, then longest: not `apple` inside it
  ['app apple', [1]],
  ['“apple”', [0]],
  ['nai\u0308ve', [4]], // decomposed
  ['NAÏVE', [4]],
  ['C++!', [5]],
  ['Ёж', [6]],
  ['ежёж', []],
  ['apple\u0301', []], // a mark belongs to the word
  ['🍎apple🍎', [0]],
  ['', []],
])('first-candidate in %j', (text, found) => {
  expect(first.match(text, candidates)).toEqual(found);
});

test.each<[string, number[]]>([
  ['apple', [0]],
  [' riverriverriver\nriver', [3]],
  ['riverrive app', [1]],
  ['appleapp', []], // two candidates in one word are no repetition
  ['pineapple appleapple', [0]],
  ['Red AppleRed Apple', [2]],
  ['riverbed', []],
  ['xriverriver', []],
])('first-candidate-repeated in %j', (text, found) => {
  expect(MATCHERS['first-candidate-repeated'].match(text, candidates)).toEqual(found);
});

test('first-candidate names one at most, whatever is shouted', () => {
  expect(first.match(candidates.join(' '), candidates)).toHaveLength(1);
});

test('candidates are literals, never patterns', () => {
  expect(first.match('axb', ['a.b', '.*', '(a+)+$', '[x]'])).toEqual([]);
  expect(first.match('x .* y', ['a.b', '.*'])).toEqual([1]);
});

test('contains finds every candidate anywhere, case kept', () => {
  expect(contains.match('xハリネズミx', ['ハリネズミ'])).toEqual([0]);
  expect(contains.match('pineapple', candidates)).toEqual([0, 1]);
  expect(contains.match('PINEAPPLE', candidates)).toEqual([]);
});
