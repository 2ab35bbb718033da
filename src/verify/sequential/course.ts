// A test on its way: takes answers in committed order and says after each whether to go on. Any rule may stop an e-process, so these
// rules need no proof; but they see nothing beyond the answer they stop at, so that a course is the same however it was asked.

import { assert } from '../../base/error.ts';
import type { Trials } from '../../claim/grinding.ts';
import type { AskedKind, DrawOf, SizeOf } from '../../claim/plan.ts';
import type { Matches } from '../exact/exact-test.ts';
import { atMost, decimal, type Ratio } from '../exact/ratio.ts';
import { BETS, type BetRules, type Bets } from './bets.ts';
import { EProcess } from './e-process.ts';

/** The words that asking may be for (verify/word.ts). */
export const GOALS = ['verified', 'matches'] as const;
export type Goal = (typeof GOALS)[number];

/**
 * Why no further key was asked: a goal is reached; no goal can be reached any more by any answers; too few keys answer for a suspect in
 * which `PERSISTENCE` of them do; all were asked; no more may be.
 */
export const STOPS = [...GOALS, 'out-of-reach', 'futile', 'all-asked', 'budget'] as const;
export type Stop = (typeof STOPS)[number];

/** The least share of keys that still answer in a suspect which is looked for, and how often at most it is given up. */
export const PERSISTENCE = 0.25;
export const GIVEN_UP = 0.01;

/** Keys after which it is looked ahead, in a claim of so many: looking ahead takes as long as there are keys left. */
const OFTEN_UP_TO = 4096;

export interface Stakes {
  /** Looks and ways that p pays for. */
  readonly multiplicity: number;
  readonly alpha: number;
  readonly trials: Trials;
  /** Asking goes on for this word while it can be reached. */
  readonly until: Goal;
}

export class Course<K extends AskedKind> {
  readonly #bets: Bets;
  readonly #process: EProcess;
  readonly #of: number;
  readonly #stakes: Stakes;
  /** log2 of the value at which each goal is reached, a little less: near it fractions decide. */
  readonly #level: Readonly<Record<Goal, number>>;
  readonly #often: number;
  readonly name: string;
  /** The least p that could have come out, and the least of the whole claim, tokenizer or not. */
  readonly reachable: Ratio;
  readonly floor: Ratio;
  /** log10 of the value after each key. */
  readonly path: number[] = [];
  /** log of the likelihood ratio between a suspect in which PERSISTENCE of the keys answer and an innocent one. */
  #persistent = 0;
  /** Keys after which p, paid for, was at most alpha for the first time; null before. */
  reachedAlphaAt: number | null = null;
  #stop: Stop | undefined;

  constructor(
    kind: K,
    size: SizeOf[K],
    draw: DrawOf[K],
    { of, lost = new Set() }: { readonly of: number; readonly lost?: ReadonlySet<number> },
    stakes: Stakes,
  ) {
    const { name, prior, bets }: BetRules<K> = BETS[kind];
    this.name = name;
    this.#bets = bets(size, draw, lost);
    this.#process = new EProcess(prior);
    this.#of = of;
    this.#stakes = stakes;
    this.#often = Math.ceil(of / OFTEN_UP_TO);
    const matches = Math.log2(stakes.multiplicity) - Math.log2(stakes.alpha);
    this.#level = { matches, verified: matches + stakes.trials.log10 / Math.log10(2) };
    const perfect = (hoped: Bets): Ratio => {
      const best = new EProcess(prior);
      for (let key = 0; key < of; key++) layOn(best, hoped, key, hoped.ideal(key));
      return best.p;
    };
    this.reachable = perfect(this.#bets);
    this.floor = lost.size === 0 ? this.reachable : perfect(bets(size, draw, new Set()));
    this.#settle();
  }

  /** Keys that were taken in. */
  get asked(): number {
    return this.path.length;
  }

  get stop(): Stop | undefined {
    return this.#stop;
  }

  get p(): Ratio {
    return this.#process.p;
  }

  get log10Best(): number {
    return this.#process.log2Best * Math.log10(2);
  }

  /** Takes in the answer to the next key; without effect once it has stopped. @param named candidates that the answer names */
  take(named: Matches[number]): void {
    if (this.#stop !== undefined) return;
    const key = this.asked;
    assert(key < this.#of, 'an answer to no key');
    layOn(this.#process, this.#bets, key, named);
    this.path.push(this.#process.log2 * Math.log10(2));
    const { innocent, fires } = this.#bets;
    const fired = fires(key, named);
    if (fired !== undefined && innocent < PERSISTENCE)
      this.#persistent += fired
        ? Math.log(PERSISTENCE / innocent)
        : Math.log1p(-PERSISTENCE) - Math.log1p(-innocent);
    this.#settle();
  }

  /** No more may be asked. */
  end(): void {
    this.#stop ??= 'budget';
  }

  /**
   * Keys that can be asked at a time without one that asking one by one would have spared: as many as it takes at least until a goal is
   * reached, or goes out of reach, or the suspect is given up. At least 1.
   */
  get together(): number {
    if (this.#stop !== undefined) return 0;
    const open = this.#open();
    const { innocent } = this.#bets;
    const silent = Math.log1p(-PERSISTENCE) - Math.log1p(-innocent);
    const givenUp =
      this.reachedAlphaAt === null && innocent < PERSISTENCE
        ? Math.ceil((Math.log(GIVEN_UP) - this.#persistent) / silent)
        : Number.POSITIVE_INFINITY;
    const ends = [
      ...open.map((goal) => this.#needed(goal)),
      this.#lostAfter(open.at(-1)!),
      givenUp,
      this.#of - this.asked,
    ];
    return Math.max(1, Math.min(...ends));
  }

  /** Goals worth asking for that are not reached, the dearest first. */
  #open(): Goal[] {
    const wanted = this.#stakes.until === 'verified' ? GOALS : GOALS.slice(1);
    return wanted.filter((goal) => goal === 'verified' || this.reachedAlphaAt === null);
  }

  #settle(): void {
    if (this.reachedAlphaAt === null && this.#reached('matches')) this.reachedAlphaAt = this.asked;
    this.#stop = this.#whyHere();
  }

  #whyHere(): Stop | undefined {
    const matches = this.reachedAlphaAt !== null;
    if (matches && this.#reached('verified')) return 'verified';
    if (matches && this.#stakes.until === 'matches') return 'matches';
    if (this.asked === this.#of) return 'all-asked';
    const out = (goal: Goal): boolean => this.#needed(goal) === Number.POSITIVE_INFINITY;
    if (this.asked % this.#often === 0 && this.#open().every(out))
      return matches ? 'matches' : 'out-of-reach';
    return !matches && this.#persistent <= Math.log(GIVEN_UP) ? 'futile' : undefined;
  }

  #reached(goal: Goal): boolean {
    if (this.#process.log2Best < this.#level[goal] - NEAR) return false;
    const { multiplicity, alpha, trials } = this.#stakes;
    const draws = goal === 'verified' ? trials.draws : 1n;
    return atMost(this.#process.p, BigInt(multiplicity) * draws, decimal(alpha));
  }

  /**
   * Keys that a suspect which learnt everything would have to be asked from here on; Infinity where all are too few.
   * @param worst keys before that which speak most against the owner
   */
  #needed(goal: Goal, worst = 0): number {
    const ahead = this.#process.ahead();
    const { ideal, worst: bad } = this.#bets;
    for (let i = 0; this.asked + i < this.#of; i++) {
      const key = this.asked + i;
      layOn(ahead, this.#bets, key, i < worst ? bad(key) : ideal(key));
      if (ahead.log2Best >= this.#level[goal] - NEAR) return i + 1;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The fewest answers after which a goal can be out of reach: found by halving, since each bad one makes it worse. */
  #lostAfter(goal: Goal): number {
    let [can, cannot] = [0, this.#of - this.asked];
    while (cannot - can > 1) {
      const middle = (can + cannot) >> 1;
      if (this.#needed(goal, middle) === Number.POSITIVE_INFINITY) cannot = middle;
      else can = middle;
    }
    return cannot;
  }
}

/** log2 by which rounding may be off, and more. */
const NEAR = 1e-6;

function layOn(process: EProcess, bets: Bets, key: number, named: Matches[number]): void {
  const bet = bets.on(key, named);
  if (bet) process.lay(bet);
}
