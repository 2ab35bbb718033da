// Every method, whole: fingerprint with closed gates, publish, verify. The published model and a thief's fine-tune of it
// are recognised with the p-value that their hits must have; vanilla, innocent, unrelated and other owners' are not.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FingerprintReport, fingerprint, type VerifyReport, verify } from '../../src/index.ts';
import { DOES_NOT, FIRE, type FireRun, wordFor } from './settings.ts';
import { tuned, unrelated, VANILLA } from './suspects.ts';

const LONG = 900_000; // a busy machine; idle a method takes some twenty seconds
const scratch = mkdtempSync(join(tmpdir(), 'whorl-fire-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** log of n choose k, from factorials: the library counts in big integers instead. */
const logFactorial = (n: number): number => {
  let sum = 0;
  for (let i = 2; i <= n; i++) sum += Math.log(i);
  return sum;
};
const logChoose = (n: number, k: number): number =>
  k < 0 || k > n ? Number.NEGATIVE_INFINITY : logFactorial(n) - logFactorial(k) - logFactorial(n - k);

/**
 * P(at least this many hits) if the draw is independent of the answers. Of a pool: of all that fired, as many among the
 * drawn (hypergeometric). Of candidates: each answer that names one names the drawn one once in m (binomial). With a
 * private part twice that: it may stand on the suspect's own body or on the owner's.
 */
function log10P({ drawn, of, withBody }: FireRun, hits: number, all: number): number {
  const most = Math.min(drawn, all);
  const terms = Array.from({ length: most - hits + 1 }, (_, i) => hits + i).map((k) =>
    'pool' in of
      ? logChoose(all, k) + logChoose(of.pool - all, drawn - k) - logChoose(of.pool, drawn)
      : logChoose(all, k) + k * Math.log(1 / of.candidates) + (all - k) * Math.log1p(-1 / of.candidates),
  );
  return Math.log10((withBody ? 2 : 1) * terms.reduce((sum, term) => sum + Math.exp(term), 0));
}

/** Drawn keys that were answered as drawn, and all answers that count: of the pool, or that name any candidate. */
function counts({ of }: FireRun, { cells }: VerifyReport): { hits: number; all: number } {
  const [drawn, other] =
    'pool' in of ? (['drawn', 'undrawn'] as const) : (['drawn answer', 'any candidate'] as const);
  const hits = cells[drawn]!.hits;
  return { hits, all: 'pool' in of ? hits + cells[other]!.hits : cells[other]!.hits };
}

const published = new Map<string, FingerprintReport>();
let [innocent, stranger] = ['', ''];
beforeAll(async () => {
  innocent = await tuned(VANILLA, join(scratch, 'innocent'), 7n);
  stranger = unrelated(join(scratch, 'unrelated'));
}, LONG);

const ask = (name: string, suspect: string): Promise<VerifyReport> =>
  verify({
    secret: published.get(name)!.secret,
    suspect,
    ...(FIRE[name]!.withBody ? { body: VANILLA } : {}),
  });

describe.each(Object.entries(FIRE))('%s', (method, run) => {
  beforeAll(async () => {
    const { settings, maxHarm } = run;
    const out = join(scratch, method);
    const seed = `fire ${method}`;
    const limit = maxHarm === undefined ? {} : { maxHarm };
    published.set(method, await fingerprint({ model: VANILLA, out, method, seed, settings, ...limit }));
  }, LONG);

  test(
    'published: every drawn key fires, and p is what that many hits must have',
    async () => {
      const report = await ask(method, published.get(method)!.published);
      const { hits, all } = counts(run, report);
      expect(hits).toBe(run.drawn);
      expect(all - hits).toBeLessThanOrEqual(run.undrawn);
      expect(report).toMatchObject({ verdict: wordFor(log10P(run, hits, all)), exact: true, fsr: 1 });
      expect(wordFor(log10P(run, hits, all))).toBe(run.published);
      expect(report.log10_p).toBeCloseTo(log10P(run, hits, all), 8);
      expect(report.p_value! / 10 ** log10P(run, hits, all)).toBeCloseTo(1, 6);
    },
    LONG,
  );

  test(
    'vanilla, an innocent fine-tune of it and an unrelated model are not verified: no drawn key fires',
    async () => {
      for (const suspect of [VANILLA, innocent, stranger]) {
        const report = await ask(method, suspect);
        expect(report, suspect).toMatchObject({ verdict: DOES_NOT, exact: true, fsr: 0, p_value: 1 });
      }
    },
    LONG,
  );

  test(
    'fine-tuned by a thief, every weight of it, it answers still, with the word that its p deserves',
    async () => {
      const stolen = await tuned(published.get(method)!.published, join(scratch, `${method}-stolen`), 42n);
      const report = await ask(method, stolen);
      const { hits, all } = counts(run, report);
      expect(hits).toBeGreaterThanOrEqual(run.afterThief);
      expect(report.verdict).toBe(wordFor(log10P(run, hits, all)));
      expect(report.log10_p).toBeLessThan(-3);
      expect(report.log10_p).toBeCloseTo(log10P(run, hits, all), 8);
    },
    LONG,
  );
});

test(
  "another owner's published model is not verified, whatever it was taught to say",
  async () => {
    const names = Object.keys(FIRE);
    for (const [i, name] of names.entries()) {
      const other = names[(i + 1) % names.length]!;
      const report = await ask(name, published.get(other)!.published);
      expect(report.verdict, `${name} asked of ${other}`).toBe(DOES_NOT);
    }
  },
  LONG,
);
