// Context and continuation against lm-evaluation-harness's own TemplateLM (goldens/lm-eval/pairs.json).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { rstrip } from '../../src/base/python-space.ts';
import { scoreTokens } from '../../src/lm/score-tokens.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';

const goldens = new URL('../../goldens/', import.meta.url).pathname;
const { spaces, pairs, kinds } = JSON.parse(readFileSync(join(goldens, 'lm-eval', 'pairs.json'), 'utf8')) as {
  spaces: string;
  pairs: [string, string][];
  kinds: Record<string, [number[], number[]][]>;
};

it.each(Object.entries(kinds))('%s splits every pair as lm-eval does', async (kind, golden) => {
  const tokenizer = await openTokenizer(join(goldens, 'tokenizers', 'kinds', kind));
  const requests = pairs.map(([context, continuation]) => ({ context, continuation }));
  const beginning = [(tokenizer.bosId ?? tokenizer.eosId)!] as const;
  const rows = await scoreTokens(tokenizer, requests, beginning);
  const split = rows.map((row) =>
    row instanceof Error ? row.message : [row.tokens.slice(0, row.from), row.tokens.slice(row.from)],
  );
  // A context that the tokenizer makes nothing of is one lm-eval would fail on; ours begins with EOS there.
  const possible = golden.flatMap(([context], i) => (context.length > 0 ? [i] : []));
  expect(possible.length).toBeGreaterThan(40);
  expect(possible.map((i) => [pairs[i], split[i]])).toEqual(possible.map((i) => [pairs[i], golden[i]]));
});

it("strips exactly Python's white space", () => {
  for (let code = 0; code < 0x10000; code++) {
    const char = String.fromCharCode(code);
    expect(rstrip(`a${char}`), code.toString(16)).toBe(spaces.includes(char) ? 'a' : `a${char}`);
  }
  expect(rstrip(` a b${spaces}`)).toBe(' a b');
  expect(rstrip(spaces)).toBe('');
});

it('says what cannot be scored, in the place of its tokens', async () => {
  const tokenizer = await openTokenizer(join(goldens, 'tokenizers', 'kinds', 'byte-level'));
  const rows = await scoreTokens(
    tokenizer,
    [
      { context: 'a', continuation: '' },
      { context: 'a ', continuation: '' },
      { context: '', continuation: '' },
    ],
    [0],
  );
  expect(rows[0]).toMatchObject({ code: 'usage' });
  expect(rows[1]).toMatchObject({ from: 2 }); // the white space is what is scored
  expect(rows[2]).toMatchObject({ code: 'usage' });
});
