// What a key is worth to a test that is stopped: a bet on its draw, at the odds that the draw has given everything before it. One
// object a kind of claim (docs/claims.md, section 3).

import type { AskedKind, DrawOf, SizeOf } from '../../claim/plan.ts';
import type { Matches } from '../exact/exact-test.ts';

/** What the draw did at a key whose answer tells something. */
export interface Bet {
  /** Keys of one group are bet on by what came of those before them; a mixture of its own each. */
  readonly group: 0 | 1;
  /** Probability under the null that `won`, as a fraction strictly between 0 and 1. */
  readonly odds: readonly [numerator: number, denominator: number];
  readonly won: boolean;
}

export interface Bets {
  /** Undefined where an answer (the candidates that it names) says nothing either way. */
  readonly on: (key: number, named: Matches[number]) => Bet | undefined;
  /** What a suspect that learnt everything would name. */
  readonly ideal: (key: number) => Matches[number];
  /** What speaks most against the owner. */
  readonly worst: (key: number) => Matches[number];
  /** Whether a suspect that learnt the draw should answer this key, and whether this answer does it; undefined: it should not. */
  readonly fires: (key: number, named: Matches[number]) => boolean | undefined;
  /** How often an innocent answers a key that should be answered. It sets the price of going on, and no p-value. */
  readonly innocent: number;
}

export interface BetRules<K extends AskedKind> {
  readonly name: string;
  /** Twice the two parameters of the Beta mixture over what is not known of the suspect: how often a bet is won. */
  readonly prior: readonly [won: number, lost: number];
  /** @param lost places of keys that the suspect's tokenizer keeps from being asked as committed: they are not hoped for */
  readonly bets: (size: SizeOf[K], draw: DrawOf[K], lost: ReadonlySet<number>) => Bets;
}

export const BETS: { readonly [K in AskedKind]: BetRules<K> } = {
  // The drawn candidate is among the c that answer i names with probability c/m, whatever was drawn for other keys.
  'drawn-answers': {
    name: 'T3 committed random targets, key by key (e-process)',
    prior: [2, 2],
    bets: ({ m }, { indices }, lost) => {
      const hits = (key: number, named: Matches[number]) => named.includes(indices[key]!);
      return {
        on: (key, named) =>
          named.length === 0 || named.length === m
            ? undefined
            : { group: 0, odds: [named.length, m], won: hits(key, named) },
        ideal: (key) => (lost.has(key) ? [] : [indices[key]!]),
        worst: (key) => [(indices[key]! + 1) % m],
        fires: hits,
        innocent: 1 / m,
      };
    },
  },
  // Among the keys that are left, each is drawn with equal probability, given which were drawn before it and all answers. Keys
  // that fire and keys that do not are bet on apart: that a drawn key is silent speaks against the owner, too.
  'drawn-membership': {
    name: 'T4 committed random membership, key by key (e-process)',
    prior: [1, 1],
    bets: ({ n, pool }, { trained }, lost) => {
      const drawn = new Set(trained);
      const left: number[] = []; // drawn keys from this one on
      for (let key = 0, still = n; key < pool; key++) {
        left.push(still);
        if (drawn.has(key)) still--;
      }
      return {
        on(key, named) {
          const [still, of] = [left[key]!, pool - key];
          if (still === 0 || still === of) return undefined;
          return { group: named.length > 0 ? 0 : 1, odds: [still, of], won: drawn.has(key) };
        },
        ideal: (key) => (drawn.has(key) && !lost.has(key) ? [0] : []),
        worst: (key) => (drawn.has(key) ? [] : [0]),
        fires: (key, named) => (drawn.has(key) ? named.length > 0 : undefined),
        innocent: 0.01,
      };
    },
  },
};
