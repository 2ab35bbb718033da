// What a fingerprint costs stands in the card and in run.json, and beyond the limit nothing is published; the run is kept.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { compare } from '../../src/evaluate/compare.ts';
import { type FingerprintReport, fingerprint } from '../../src/fingerprint/fingerprint.ts';
import { checkHarm, type HarmFigures, harmWords, worstHarm } from '../../src/fingerprint/harm-limit.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-harm-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const MODEL = join(packageRoot(), 'assets/embedded/model');

const language = (name: string, mean: number, largest = 9) => ({
  name,
  mean,
  largest,
  positions: 4,
  shift: 0,
});
const KL: HarmFigures = { kind: 'kl', of: [language('English', 4.5), language('Thai', 0.25)] };
const PERPLEXITY: HarmFigures = {
  kind: 'perplexity',
  of: [
    { name: 'English', tokens: 5, vanilla: 20, published: 25.4 },
    { name: 'Thai', tokens: 5, vanilla: 10, published: 30 },
  ],
};

describe('the number', () => {
  test('is of the language that suffers most', () => {
    expect(worstHarm(KL)).toMatchObject({ language: 'English', value: 4.5 });
    expect(worstHarm(PERPLEXITY).language).toBe('Thai');
    expect(worstHarm(PERPLEXITY).value).toBeCloseTo(1.0986122886681098, 12); // Python: math.log(3)
    expect(worstHarm({ kind: 'untied' })).toMatchObject({ language: null, value: 0 });
  });

  test('what is not a number is above any limit', () => {
    const broken: HarmFigures = { kind: 'kl', of: [language('English', Number.NaN), language('Thai', 1)] };
    expect(() => checkHarm(broken, 1e6)).toThrow(/is Infinity \(English\)/);
  });

  test('the limit itself is allowed, and the mend that is named is enough', () => {
    expect(checkHarm(KL, 4.5).value).toBe(4.5);
    for (const value of [4.5, 0.10001, 1.23456e-3, 99.99]) {
      const figures: HarmFigures = { kind: 'kl', of: [language('English', value)] };
      let fix = '';
      try {
        checkHarm(figures, value / 2);
      } catch (error) {
        fix = (error as { fix: string }).fix;
      }
      const named = Number(/--max-harm (\S+)/.exec(fix)![1]);
      expect(named).toBeGreaterThanOrEqual(value);
      expect(named).toBeLessThan(1.2 * value);
      expect(checkHarm(figures, named).value).toBe(value);
    }
  });
});

test('the words of the card hold the numbers', () => {
  expect(harmWords(KL)).toMatch(/English 4\.5 \(largest at one position 9\), most in English, 4\.5\./);
  expect(harmWords(PERPLEXITY)).toMatch(
    /English 20 before, 25\.4 after; the largest rise in Thai, 10 before, 30 after \(1\.1 nats/,
  );
  expect(harmWords({ kind: 'untied' })).toContain('bit for bit');
});

const ROWS = {
  ...{ trained: '6', candidates: '64', steps: '10', first_check: '10', check_below: '1000', lr: '0.05' },
  ...{ gate_contexts: '0', bare_slack: '6', kl_target: '1000' },
  ...{ reference_positions: '2', primary_positions: '16' },
};
const means = (figures: readonly { readonly mean: number }[]): number[] => figures.map(({ mean }) => mean);

/** Each with what the limit is held against: of what is published, so of rows and stamp together where both are. */
describe.each<[string, string, Record<string, string>, (report: FingerprintReport) => number[]]>([
  ['rows and a stamp', 'rows', ROWS, ({ difference }) => means(difference.slice(0, -1))],
  ['rows alone', 'rows', { ...ROWS, stamp: 'off' }, ({ kl }) => means(kl!)],
  [
    'emb',
    'emb',
    {
      ...{
        pool: '12',
        trained: '3',
        negatives: '3',
        strangers: '2',
        ordinary: '4',
        repeats: '1',
        key_length: '4',
      },
      ...{ alphabet: '40', epochs: '1', first_check: '1', slack: '1000', batch: '8', lr: '0.01' },
      ...{ batch_tokens: '2048', template: 'vicuna', max_length: '128', pull_back: 'false' },
    },
    ({ perplexity }) => perplexity.map((one) => Math.log(one.published / one.vanilla)),
  ],
])('%s', (name, method, settings, figuresOf) => {
  const out = join(scratch, name);
  const run = (maxHarm: number) =>
    fingerprint({
      ...{
        model: MODEL,
        out,
        method,
        seed: 'harm',
        settings,
        maxHarm,
      },
      ...(method === 'emb' && { decryption: 'river' }),
    });

  test('nothing is published above the limit, and the same command with a larger one goes on', async () => {
    await expect(run(-1)).rejects.toMatchObject({ code: 'usage' });
    await expect(run(1e-9)).rejects.toMatchObject({
      code: 'too-harmful',
      message: expect.stringMatching(/^nothing is published: .* in nats .*, above --max-harm 1e-9/) as string,
    });
    expect(existsSync(join(out, 'published'))).toBe(false);
    expect(existsSync(join(out, 'secret.whorl'))).toBe(true);
    const report = await run(1000);
    const { harm, kl, perplexity, difference, published } = report;
    expect(harm.value).toBeGreaterThan(1e-9);
    expect(harm.limit).toBe(1000);
    expect(harm.value).toBe(Math.max(...figuresOf(report)));
    const card = readFileSync(join(published, 'README.md'), 'utf8');
    expect(card).toContain(String(Number(harm.value.toPrecision(3))));
    expect(card).not.toContain('as the model it was made from does');
    const kept = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')) as Record<string, unknown>;
    expect(kept.worst_harm).toEqual(harm);
    // One code: the figures that end a run of any method are those of `whorl compare`.
    const compared = await compare({ model: MODEL, with: published });
    expect(difference).toEqual([...compared.languages, compared.all]);
    expect(kept.difference).toEqual(JSON.parse(JSON.stringify(difference)));
    const measured = /"?type"?: perplexity/.test(card) ? perplexity : kl;
    for (const { name } of measured!) expect(card).toContain(`name: "Reference text of Whorl: ${name}"`);
    expect(card.match(/type: kl_divergence/g)).toHaveLength(2 * measured!.length);
  });
});
