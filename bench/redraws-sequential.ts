// The stopped e-test over answers that stand: the draw is made again and again, and p <= alpha must not come up more often than alpha,
// stopped or not. Answers are made up here, recorded (bench/redraws.ts), or of a run's keys (JSON: name to answers in committed order).
//   npx tsx bench/redraws-sequential.ts [--recorded FILE | --answers FILE --run RUN] [--times 1000000] [--stopped 20000] [--seed 1]

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bulkRandom } from '../src/base/random-source.ts';
import { OWNER_DRAWS } from '../src/claim/grinding.ts';
import { CLAIM_KINDS } from '../src/claim/kinds.ts';
import type { AskedKind, ClaimPlan, DrawOf, SizeOf } from '../src/claim/plan.ts';
import { type Matches, matchAnswers } from '../src/verify/exact/exact-test.ts';
import { toPValue } from '../src/verify/exact/ratio.ts';
import { BETS } from '../src/verify/sequential/bets.ts';
import { Course } from '../src/verify/sequential/course.ts';
import { EProcess } from '../src/verify/sequential/e-process.ts';
import { answersPlan, membershipPlan } from '../test/claim/plans.ts';
import { type RecordedModel, TABLES, tableOf } from '../test/verify/recorded.ts';
import { flag, openRun } from './machines.ts';

const LEVELS = [0.05, 0.01, 0.001, 1e-4];
const times = Number(flag('times')[0] ?? 1_000_000);
const seed = flag('seed')[0] ?? '1';
/** The whole rule, with looking ahead, is a hundred times as dear as the bets: so many draws a level are stopped by it. */
const STOPPED = Math.min(times, Number(flag('stopped')[0] ?? 20_000));
/** Looking ahead costs the square of the keys: of a longer pool the whole rule is put to its beginning. */
const LONGEST = 60;
/** Draws of each answerer whose value is also that of the product's own code, to the last bits. */
const COMPARED = 2000;

const totals: { tables: number; excess: number; most: number[] } = {
  ...{ tables: 0, excess: 0 },
  most: LEVELS.map(() => 0),
};

function redraw<K extends AskedKind>(kind: K, name: string, size: SizeOf[K], matches: Matches): void {
  const random = bulkRandom(createHash('sha256').update(`${seed} ${kind} ${name}`).digest());
  const drawing = (of: SizeOf[K]) => CLAIM_KINDS[kind].draw(of, (_, below) => random.int(below));
  const best = VALUES[kind](size, matches);
  const low = LEVELS.map(() => 0);
  const bounds = LEVELS.map((alpha) => -Math.log2(alpha));
  for (let t = 0; t < times; t++) {
    const draw = drawing(size);
    const log2 = best(draw);
    if (t < COMPARED) checkValue(kind, size, draw, matches, log2);
    for (const [i, bound] of bounds.entries()) if (log2 >= bound - NEAR) low[i]!++;
  }
  const [few, part] = beginning(kind, size, matches);
  const stopped = LEVELS.map(() => 0);
  for (const [i, alpha] of LEVELS.entries())
    for (let t = 0; t < STOPPED; t++) {
      const stakes = { multiplicity: 1, alpha, trials: OWNER_DRAWS, until: 'matches' as const };
      const course = new Course(kind, few, drawing(few), { of: part.length }, stakes);
      for (const named of part) course.take(named);
      if (toPValue(course.p).p_value <= alpha) stopped[i]!++;
    }
  const share = (counts: readonly number[], of: number) =>
    LEVELS.map((alpha, i) => ({
      ...{ alpha, share: counts[i]! / of },
      within: counts[i]! / of <= alpha + 3 * Math.sqrt((alpha * (1 - alpha)) / of),
    }));
  const [ever, whenStopped] = [share(low, times), share(stopped, STOPPED)];
  const excess = [...ever, ...whenStopped].filter(({ within }) => !within).length;
  totals.tables++;
  totals.excess += excess;
  totals.most = totals.most.map((most, i) => Math.max(most, ever[i]!.share));
  const keys = { ever: matches.length, stopped: part.length };
  console.log(
    JSON.stringify({ kind, name, keys, times, ever, stopped_of: STOPPED, stopped: whenStopped, excess }),
  );
}

/** The first keys of a pool as a claim of their own: the answers are what they were. */
function beginning<K extends AskedKind>(kind: K, size: SizeOf[K], matches: Matches): [SizeOf[K], Matches] {
  if (kind !== 'drawn-membership' || matches.length <= LONGEST) return [size, matches];
  return [{ ...size, pool: LONGEST }, matches.slice(0, LONGEST)];
}

/** log2 by which two orders of one sum may differ. A p within it of a level counts as at it: never too few. */
const NEAR = 1e-9;

type ValueOf<K extends AskedKind> = (size: SizeOf[K], matches: Matches) => (draw: DrawOf[K]) => number;

/** log2((a + 2·done)/(a + b + 2·all)): what a tally gives its next bet. */
const mixed = ([a, b]: readonly [number, number], most: number): Float64Array[] =>
  Array.from({ length: most + 1 }, (_, all) =>
    Float64Array.from({ length: all + 1 }, (_, done) => Math.log2((a + 2 * done) / (a + b + 2 * all))),
  );

/**
 * log2 of the greatest value that the bets reach, out of tables (docs/claims.md, section 3): a million draws of two
 * hundred keys take a second. The product's own code is asked beside it (`checkValue`).
 */
const VALUES: { readonly [K in AskedKind]: ValueOf<K> } = {
  'drawn-answers': ({ m }, matches) => {
    const bets = matches
      .map((named, key) => ({ key, named: new Set(named) }))
      .filter(({ named }) => named.size > 0 && named.size < m);
    const share = mixed(BETS['drawn-answers'].prior, bets.length);
    const odds = Float64Array.from({ length: m + 1 }, (_, c) => Math.log2(c / m));
    return ({ indices }) => {
      let [value, best, won] = [0, 0, 0];
      for (const [laid, { key, named }] of bets.entries()) {
        if (named.has(indices[key]!)) value += share[laid]![won++]! - odds[named.size]!;
        else value += share[laid]![laid - won]! - odds[m - named.size]!;
        if (value > best) best = value;
      }
      return best;
    };
  },
  'drawn-membership': ({ n, pool }, matches) => {
    const fired = Uint8Array.from(matches, (named) => (named.length > 0 ? 0 : 1));
    const share = mixed(BETS['drawn-membership'].prior, pool);
    const log2 = Float64Array.from({ length: pool + 1 }, (_, i) => Math.log2(i));
    const drawn = new Uint8Array(pool);
    return ({ trained }) => {
      drawn.fill(0);
      for (const key of trained) drawn[key] = 1;
      let [value, best, still] = [0, 0, n];
      const [won, lost] = [
        [0, 0],
        [0, 0],
      ];
      for (let key = 0; key < pool; key++) {
        const of = pool - key;
        if (still === 0 || still === of) break; // and no bet is laid after it
        const group = fired[key]!;
        const laid = won[group]! + lost[group]!;
        if (drawn[key] === 1) {
          value += share[laid]![won[group]!]! - log2[still]! + log2[of]!;
          won[group]!++;
          still--;
        } else {
          value += share[laid]![lost[group]!]! - log2[of - still]! + log2[of]!;
          lost[group]!++;
        }
        if (value > best) best = value;
      }
      return best;
    };
  },
};

/** @throws Error where the product's own e-process gives another value */
function checkValue<K extends AskedKind>(
  kind: K,
  size: SizeOf[K],
  draw: DrawOf[K],
  matches: Matches,
  log2: number,
): void {
  const { prior, bets } = BETS[kind];
  const process = new EProcess(prior);
  const { on } = bets(size, draw, new Set());
  for (const [key, named] of matches.entries()) {
    const bet = on(key, named);
    if (bet) process.lay(bet);
  }
  if (!(Math.abs(process.log2Best - log2) <= NEAR))
    throw new Error(`the e-process gives 2^${process.log2Best} where its bets come to 2^${log2}`);
}

function of<K extends AskedKind>(
  kind: K,
  plan: ClaimPlan<K>,
  name: string,
  answers: readonly string[],
): void {
  redraw(kind, name, CLAIM_KINDS[kind].size(plan), matchAnswers(plan, answers));
}

const [file] = flag('answers');
const [recorded] = flag('recorded');
if (recorded !== undefined) {
  const { models } = JSON.parse(readFileSync(recorded, 'utf8')) as { models: RecordedModel[] };
  // Answers that name the same are one question to the test, whoever gave them.
  const asked = new Map<string, { names: string[]; ask: (name: string) => void }>();
  for (const model of models)
    for (const table of Object.keys(TABLES)) {
      const { kind, size, matches } = tableOf(model, table);
      const same = JSON.stringify({ kind, size, matches });
      const known = asked.get(same) ?? { names: [], ask: (name) => redraw(kind, name, size, matches) };
      asked.set(same, known);
      known.names.push(`${model.name}, ${table}`);
    }
  for (const { names, ask } of asked.values())
    ask(names.length === 1 ? names[0]! : `${names[0]!} (as ${names.length} tables)`);
} else if (file !== undefined) {
  const { plan } = (await openRun(flag('run')[0]!)).opened;
  const given = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string[]>;
  for (const [name, answers] of Object.entries(given))
    of(plan.kind as 'drawn-answers', plan as ClaimPlan<'drawn-answers'>, name, answers);
} else {
  const y = membershipPlan().decryptions[0]!;
  const many = <T>(count: number, one: (i: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => one(i));
  const t3: Record<string, (i: number) => string> = {
    constant: () => 'word7',
    'another candidate for every key': (i) => `word${i % 4}`,
    'a candidate or nothing': (i) => (i % 2 ? `word${i % 3}` : 'no'),
    'all candidates': () => 'word0 word1 word2 word3',
    refuses: () => 'I cannot help with that.',
  };
  for (const [name, answer] of Object.entries(t3)) {
    of('drawn-answers', answersPlan(16, 4), name, many(16, answer));
    of(
      'drawn-answers',
      { ...answersPlan(16, 4), matcher: 'contains' },
      `${name}, any candidate counts`,
      many(16, answer),
    );
  }
  of(
    'drawn-answers',
    answersPlan(),
    'a candidate for every key, of 256',
    many(32, (i) => `word${i}`),
  );
  const t4: Record<string, (i: number) => string> = {
    shouts: () => y,
    'every other key': (i) => (i % 2 ? y : ''),
    'the first ten': (i) => (i < 10 ? y : ''),
    'all but one': (i) => (i === 17 ? '' : y),
    silent: () => '',
  };
  for (const [name, answer] of Object.entries(t4))
    of('drawn-membership', membershipPlan(60, 10, 0), name, many(60, answer));
}
console.log(JSON.stringify({ ...totals, times, stopped: STOPPED }));
if (totals.excess > 0) process.exitCode = 1;
