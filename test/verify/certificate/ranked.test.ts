// T6 and T5 in a certificate: what it ranked is in the file, both checkers rank it anew and count decoys. Whatever its signer says of
// either otherwise is refused.

import { describe, expect, test } from 'vitest';
import type { ClaimPlan } from '../../../src/claim/plan.ts';
import { checkCertificate } from '../../../src/verify/certificate/check.ts';
import { chainedRanks, type Predicate, type Statement } from '../../../src/verify/certificate/statement.ts';
import { answersPlan, membershipPlan } from '../../claim/plans.ts';
import { CERTIFICATE_KINDS, KEYS, made, stampAlone } from './made.ts';
import { codeOf, EXIT, improved } from './mutants.ts';
import { hasPython, pythonCodes } from './python.ts';

type Ranks = NonNullable<Predicate['ranks']>;

/** Chained anew, as a signer would who says something else. */
function say(change: (ranks: { scores: (number | null)[][]; log10_p: number | null }) => void) {
  return ({ predicate }: Statement): void => {
    const { scores, log10_p } = structuredClone(predicate.ranks!);
    const ranks = { scores, log10_p };
    change(ranks);
    predicate.ranks = chainedRanks(predicate.transcript, predicate.stamp, ranks);
  };
}

const EDITS: Readonly<Record<string, (statement: Statement) => void>> = {
  'another T6': say((ranks) => (ranks.log10_p! -= 1e-6)),
  'no T6': say((ranks) => (ranks.log10_p = null)),
  'every key’s scores turned round': say(({ scores }) => scores.forEach((row) => row.reverse())),
  'the keys’ scores in another order': say(({ scores }) => scores.reverse()),
  'a key without scores': say(({ scores }) => scores.pop()),
  'a key too many': say(({ scores }) => scores.push([...scores[0]!])),
  'a candidate without one': say(({ scores }) => scores[0]!.pop()),
  'a candidate too many': say(({ scores }) => scores[0]!.push(-1)),
  'another number under the old chain': ({ predicate }) => {
    (predicate.ranks as Ranks).scores[0]![0] = -0.25;
  },
  'the chain of nothing': ({ predicate }) => {
    (predicate.ranks as Ranks).chain = '0'.repeat(64);
  },
};

describe.each(['ranked', 'ranked, of a pool with a stamp'])('%s', (kind) => {
  const { statement, text } = CERTIFICATE_KINDS[kind]!();
  const edits = Object.entries(EDITS);
  // Of a pool a row has one number, and turned round it is the same.
  const told = edits.filter(([what]) => kind === 'ranked' || !what.startsWith('every key'));
  const texts = told.map(([, edit]) => improved(statement, KEYS.ed25519, edit));

  test('holds, and shows what was ranked', () => {
    expect(statement.predicate.ranks!.scores.flat().some((score) => score === null)).toBe(true);
    const checked = checkCertificate(text);
    const [, ranks] = checked.further();
    expect(ranks!.test).toMatch(/^T6/);
    const { multiplicity } = checked.verdict;
    const paid = statement.predicate.ranks!.log10_p! + Math.log10(multiplicity);
    expect(ranks!.log10_p).toBeCloseTo(Math.min(0, paid), 9); // p is at most 1
  });
  test.each(told.map(([what], i) => [what, texts[i]!]))('%s is refused', (_, edited) => {
    expect(codeOf(edited)).toBe(1);
  });
  test.skipIf(!hasPython)('Python refuses them too, and takes the one that holds', () => {
    const codes = pythonCodes([text, ...texts]);
    expect(codes[0]).toBe(codeOf(text));
    expect(codes.slice(1)).toEqual(texts.map(() => 1));
  });
});

const decoys =
  (change: (stated: { of: number; hits: number; ranks: number | null }) => void) =>
  ({ predicate }: Statement): void =>
    change(predicate.decoys!);
const DECOY_EDITS: Readonly<Record<string, (statement: Statement) => void>> = {
  'one more by hits': decoys((stated) => (stated.hits += stated.hits === 9999 ? -1 : 1)),
  'all by hits': decoys((stated) => (stated.hits = stated.hits === 9999 ? 0 : 9999)),
  'more than there are': decoys((stated) => (stated.hits = 10_000)),
  'another number by ranks': decoys(
    (stated) => (stated.ranks = stated.ranks === null ? 0 : stated.ranks + 1),
  ),
  'ranks that nobody counted': decoys((stated) => (stated.ranks = stated.ranks === null ? 9999 : null)),
  'fewer decoys': decoys((stated) => (stated.of = 9998)),
  'a member too many': decoys((stated) => Object.assign(stated, { more: 1 })),
  'a member too few': decoys((stated) => Reflect.deleteProperty(stated, 'ranks')),
  'hits as a text': decoys((stated) => Object.assign(stated, { hits: String(stated.hits) })),
  'no object': ({ predicate }) => Object.assign(predicate, { decoys: 0 }),
};

describe.each<[string, () => ReturnType<typeof made>]>([
  // Two of twelve hits, by chance among sixteen each; ranks that tie, in products too (2·6 = 3·4).
  [
    'answers, few of which hit',
    () => made({ plan: answersPlan(12, 16) as ClaimPlan, lost: 10, ranked: true }),
  ],
  ['no answer that hits', () => made({ plan: answersPlan(12, 16) as ClaimPlan, lost: 12 })],
  [
    'a part of a pool',
    () =>
      made({
        plan: membershipPlan(60, 12, 5) as ClaimPlan,
        lost: 6,
        range: { from: 7, to: 51 },
        ranked: true,
      }),
  ],
])('decoys: %s', (_, make) => {
  const { statement, text } = make();
  const stated = statement.predicate.decoys!;
  const edits = Object.values(DECOY_EDITS).map((edit) => improved(statement, KEYS.ed25519, edit));
  const unsaid = improved(statement, KEYS.ed25519, ({ predicate }) => delete predicate.decoys);

  test('are what the further lines have', () => {
    const lines = checkCertificate(text)
      .further()
      .filter(({ test }) => test.startsWith('T5'));
    expect(lines.map((line) => line.decoys.reached)).toEqual(
      stated.ranks === null ? [stated.hits] : [stated.hits, stated.ranks],
    );
    expect(checkCertificate(unsaid).further()).toEqual(checkCertificate(text).further());
  });
  test('both refuse whatever else is said, and take a file that does not say it', () => {
    const codes = [text, unsaid, ...edits].map(codeOf);
    expect(codes.slice(0, 2)).toEqual([
      EXIT[statement.predicate.result.word],
      EXIT[statement.predicate.result.word],
    ]);
    expect(codes.slice(2)).toEqual(edits.map(() => 1));
    if (hasPython) expect(pythonCodes([text, unsaid, ...edits])).toEqual(codes);
  });
});

test('decoys are counted neither of a stamp alone, nor of a test that was stopped, nor of keys beyond what a checker draws', () => {
  const some = { of: 9999, hits: 9999, ranks: null } as const;
  const large = made({ plan: answersPlan(501, 2) as ClaimPlan, lost: 501 });
  const others = [
    made({ plan: stampAlone(), read: [9, -1, null] }),
    made({ plan: answersPlan(12, 16) as ClaimPlan, sequential: {} }),
    large,
  ];
  expect(others.map(({ statement }) => statement.predicate.decoys)).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(codeOf(large.text)).not.toBe(1);
  const texts = others.map(({ statement }) =>
    improved(statement, KEYS.ed25519, ({ predicate }) => {
      predicate.decoys = some;
    }),
  );
  for (const text of texts) expect(codeOf(text)).toBe(1);
  if (hasPython) expect(pythonCodes([large.text, ...texts])).toEqual([codeOf(large.text), 1, 1, 1]);
});

test('the same answers and other scores are another T6: what a suspect scores is its signer’s word', () => {
  const { statement } = CERTIFICATE_KINDS.ranked!();
  const silent = say((ranks) => {
    for (const row of ranks.scores) row.fill(null);
    ranks.log10_p = 0;
  });
  // All are equal now: the coin alone places them, so T6 is what the coin gives and not what is said.
  expect(() => checkCertificate(improved(statement, KEYS.ed25519, silent))).toThrow(/T6 is 0, replayed -\d/);
});

test('nothing is ranked of a test that was stopped, nor where there are no keys', () => {
  const { ranks } = CERTIFICATE_KINDS.ranked!().statement.predicate;
  const others = [
    made({ plan: answersPlan(12, 16) as ClaimPlan, sequential: {} }),
    made({ plan: stampAlone(), read: [9, -1, null] }),
  ];
  const texts = others.map(({ statement }) =>
    improved(statement, KEYS.ed25519, ({ predicate }) => {
      predicate.ranks = ranks;
    }),
  );
  for (const text of texts) expect(codeOf(text)).toBe(1);
  if (hasPython) expect(pythonCodes(texts)).toEqual([1, 1]);
});
