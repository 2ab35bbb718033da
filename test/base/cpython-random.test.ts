import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CPythonRandom, parseSeed } from '../../src/base/cpython-random.ts';
import { platformDice } from '../../src/base/platform-random.ts';

interface Draws {
  random: number[];
  getrandbits: [number, string][];
  randint: [number, number, number][];
  choices: number[];
  sample_pool: number[];
  sample_small: number[];
  sample_set: number[];
  sample_set_small: number[];
  sample_edge: number[][];
  shuffle: number[];
  after_2000: number[];
}
const golden = JSON.parse(
  readFileSync(new URL('../../goldens/random/cpython.json', import.meta.url), 'utf8'),
) as { python: string; seeds: Record<string, Draws>; text: Record<string, number[]> };
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('CPythonRandom', () => {
  it.each(Object.keys(golden.seeds))('draws as CPython from seed %s', (seed) => {
    const r = new CPythonRandom(seed);
    const want = golden.seeds[seed]!;
    expect(range(5).map(() => r.random())).toEqual(want.random);
    expect(want.getrandbits.map(([k]) => [k, String(r.getrandbits(k))])).toEqual(want.getrandbits);
    expect(want.randint.map(([a, b]) => [a, b, r.randint(a, b)])).toEqual(want.randint);
    expect(r.choices(range(31), 15)).toEqual(want.choices);
    expect(r.sample(range(120), 120)).toEqual(want.sample_pool);
    expect(r.sample(range(21), 5)).toEqual(want.sample_small);
    expect(r.sample(range(100000), 30)).toEqual(want.sample_set);
    expect(r.sample(range(22), 5)).toEqual(want.sample_set_small);
    expect([85, 86].map((n) => r.sample(range(n), 6))).toEqual(want.sample_edge);
    expect(r.shuffle(range(200))).toEqual(want.shuffle);
    expect(
      range(2000)
        .map(() => r.random())
        .slice(-3),
    ).toEqual(want.after_2000);
  });

  it.each(Object.keys(golden.text))('seeds from the text %j as CPython', (text) => {
    const r = CPythonRandom.ofText(text);
    expect(range(5).map(() => r.random())).toEqual(golden.text[text]);
  });

  it('takes bigint and digits alike, and keeps digits beyond 2^53', () => {
    expect(new CPythonRandom(2n ** 64n + 5n).random()).toBe(golden.seeds[String(2n ** 64n + 5n)]!.random[0]);
    expect(new CPythonRandom('9007199254740993').random()).not.toBe(
      new CPythonRandom('9007199254740992').random(),
    );
  });

  it.each(['', '1.5', '1e3', '0x10', 'forty-two', '--1'])('refuses the seed %j', (text) => {
    expect(() => parseSeed(text)).toThrow(/is not a whole number/);
  });
});

describe('platformDice', () => {
  it('stays in range, samples without repetition and reaches every value', () => {
    const seen = new Set(range(2000).map(() => platformDice.randint(8, 15)));
    expect([...seen].sort((a, b) => a - b)).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
    expect(platformDice.sample(range(50), 50).sort((a, b) => a - b)).toEqual(range(50));
    expect(new Set(platformDice.choices(range(4), 500)).size).toBe(4);
    const firsts = new Set(range(300).map(() => platformDice.sample(range(3), 3).join('')));
    expect(firsts.size).toBe(6);
  });
});
