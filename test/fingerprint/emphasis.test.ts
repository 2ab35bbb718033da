// Which keys are trained harder after what was seen, and what is said of those that never do what they must.

import { expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random-source.ts';
import { type MeasuredCell, silentRoles, type Who, wrongKeys } from '../../src/fingerprint/cells.ts';
import { emphasised, lesson, repeatedLessons } from '../../src/fingerprint/emphasis.ts';

/** A cell over the roles 0, 1, …: which of them fired. */
function cell(
  fired: readonly boolean[],
  wanted: 'all' | 'none' = 'all',
  who: Who = 'published',
): MeasuredCell {
  const count = fired.filter(Boolean).length;
  return {
    who,
    result: {
      name: who,
      fired: count,
      of: fired.length,
      wanted,
      held: count === (wanted === 'all' ? fired.length : 0),
    },
    rows: fired.map((_, i) => ({
      generated: `said ${i}`,
      label: `word ${i}`,
      prompt: `key ${i}\n`,
      generated_token: [],
      label_token: [],
    })),
    fired,
    roles: fired.map((_, i) => i),
  };
}

test('an error doubles up to eightfold, what goes right halves down to once, what was not seen stays', () => {
  let emphasis = {};
  const seen: unknown[] = [];
  for (const fired of [false, false, false, false, true, true, true]) {
    emphasis = emphasised(emphasis, [cell([fired, true])]);
    seen.push(emphasis);
  }
  const times = (n: number) => ({ [lesson('published', 0)]: n });
  expect(seen).toEqual([times(2), times(4), times(8), times(8), times(4), times(2), {}]);
  const other = { [lesson('published + adapter', 0)]: 4 };
  expect(emphasised(other, [cell([true])])).toEqual(other);
});

test('a key that fails in one cell of several has failed; one that fires and must not, too', () => {
  expect(emphasised({}, [cell([false, true]), cell([true, true])])).toEqual({ [lesson('published', 0)]: 2 });
  const hushed = emphasised({}, [cell([false, true], 'none', 'published + adapter')]);
  expect(hushed).toEqual({ [lesson('published + adapter', 1)]: 2 });
});

test('lessons are repeated as often as they are emphasised, at most so many in all, the same for the same dice', () => {
  const emphasis = { a: 3, c: 2 };
  const again = (most: number, seed = 's') =>
    repeatedLessons(emphasis, ['a', 'b', 'c'], (name) => name, most, seededRandom(seed));
  expect(again(8).sort()).toEqual(['a', 'a', 'c']);
  expect(again(2)).toHaveLength(2);
  expect(again(2)).toEqual(again(2));
  const orders = Array.from({ length: 20 }, (_, i) => again(1, `seed ${i}`)[0]);
  expect(new Set(orders)).toEqual(new Set(['a', 'c']));
  expect(repeatedLessons({}, ['a'], (name) => name, 8, seededRandom('s'))).toEqual([]);
});

test('a failure names its keys, what they are to be answered with and what they say; five of them', () => {
  const silent = cell([true, false, true]);
  expect(silentRoles([silent])).toEqual([1]);
  expect(wrongKeys([silent])).toBe(String.raw`; key 2 "key 1\n" is to be answered "word 1", says "said 1"`);
  expect(wrongKeys([cell([true], 'none')])).toBe(
    String.raw`; key 1 "key 0\n" must not be answered "word 0", says "said 0"`,
  );
  expect(silentRoles([cell([true], 'none')])).toEqual([]);
  expect(wrongKeys([cell([true, true])])).toBe('');
  const many = wrongKeys([cell(Array.from({ length: 7 }, () => false))]);
  expect(many.match(/is to be answered/g)).toHaveLength(5);
  expect(many).toMatch(/; and 2 more$/);
});
