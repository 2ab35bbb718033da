// What is said of keys that do not do what they must, and which of them are begun anew.

import { expect, test } from 'vitest';
import { type MeasuredCell, silentRoles, type Who, wrongKeys } from '../../src/fingerprint/cells.ts';

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
