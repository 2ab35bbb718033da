// The stopped e-test over recorded answers: the draw is made again and again, and p <= alpha must not come up more often than alpha, stopped
// or not. Answers come from a file (JSON: name to a list of answers in committed order) or are made up here.
// Run: npx tsx bench/redraws-sequential.ts [--answers FILE --run RUN] [--times 1000000] [--seed 1]

import { readFileSync } from 'node:fs';
import { seededRandom } from '../src/base/random-source.ts';
import { OWNER_DRAWS } from '../src/claim/grinding.ts';
import { CLAIM_KINDS } from '../src/claim/kinds.ts';
import type { AskedKind, ClaimPlan, SizeOf } from '../src/claim/plan.ts';
import { type Matches, matchAnswers } from '../src/verify/exact/exact-test.ts';
import { toPValue } from '../src/verify/exact/ratio.ts';
import { BETS } from '../src/verify/sequential/bets.ts';
import { Course } from '../src/verify/sequential/course.ts';
import { EProcess } from '../src/verify/sequential/e-process.ts';
import { answersPlan, membershipPlan } from '../test/claim/plans.ts';
import { flag, openRun } from './machines.ts';

const LEVELS = [0.05, 0.01, 0.001, 1e-4];
const times = Number(flag('times')[0] ?? 1_000_000);
const random = seededRandom(flag('seed')[0] ?? '1');
/** The whole rule, with looking ahead, is a hundred times as dear as the bets: so many draws are stopped by it. */
const STOPPED = Math.min(times, 20_000);

function redraw<K extends AskedKind>(kind: K, name: string, size: SizeOf[K], matches: Matches): void {
  const { prior, bets } = BETS[kind];
  const draw = () => CLAIM_KINDS[kind].draw(size, (_, below) => random.int(below));
  const low = LEVELS.map(() => 0);
  for (let t = 0; t < times; t++) {
    const process = new EProcess(prior);
    const { on } = bets(size, draw(), new Set());
    for (const [key, named] of matches.entries()) {
      const bet = on(key, named);
      if (bet) process.lay(bet);
    }
    for (const [i, alpha] of LEVELS.entries()) if (2 ** -process.log2Best <= alpha) low[i]!++;
  }
  const stopped = LEVELS.map(() => 0);
  for (const [i, alpha] of LEVELS.entries())
    for (let t = 0; t < STOPPED; t++) {
      const stakes = { multiplicity: 1, alpha, trials: OWNER_DRAWS, until: 'matches' as const };
      const course = new Course(kind, size, draw(), { of: matches.length }, stakes);
      for (const named of matches) course.take(named);
      if (toPValue(course.p).p_value <= alpha) stopped[i]!++;
    }
  const share = (counts: readonly number[], of: number) =>
    LEVELS.map((alpha, i) => ({
      ...{ alpha, share: counts[i]! / of },
      within: counts[i]! / of <= alpha + 3 * Math.sqrt((alpha * (1 - alpha)) / of),
    }));
  const [ever, whenStopped] = [share(low, times), share(stopped, STOPPED)];
  const excess = [...ever, ...whenStopped].filter(({ within }) => !within).length;
  console.log(JSON.stringify({ kind, name, times, ever, stopped_of: STOPPED, stopped: whenStopped, excess }));
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
if (file !== undefined) {
  const { plan } = (await openRun(flag('run')[0]!)).opened;
  const recorded = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string[]>;
  for (const [name, answers] of Object.entries(recorded))
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
