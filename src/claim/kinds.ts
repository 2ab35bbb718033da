// What a kind of claim does: how large it is, what it commits, how it is drawn, what each key is looked up for.
// A kind is one object in this record; the compiler demands every member of every kind.

import { WhorlError } from '../base/error.ts';
import { fold } from './matcher.ts';
import type { Leaf } from './merkle.ts';
import type { ClaimKind, ClaimPlan, DrawOf, Key, SizeOf } from './plan.ts';

/** A uniform integer of 0..below-1; `slot` names the draw's own stream (see draw.ts). */
export type Uniform = (slot: number, below: number) => number;

/** What training and a report need to know of one key. */
export interface KeyRole {
  readonly key: Key;
  /** trained to answer `target`; trained not to; never trained. */
  readonly role: 'trained' | 'negative' | 'decoy';
  /** The drawn answer (trained), or the decryption that must not come (the others). */
  readonly target: string;
}

interface Part<K extends ClaimKind> {
  readonly plan: ClaimPlan<K>;
  readonly draw: DrawOf[K];
}

export interface KindRules<K extends ClaimKind> {
  readonly size: (plan: ClaimPlan<K>) => SizeOf[K];
  /** Throws WhorlError 'usage' where the parts of a plan do not fit each other. */
  readonly check: (plan: ClaimPlan<K>) => void;
  /** Seeds that are committed and opened one by one: one a key, or one where a draw cannot be cut. From format 2. */
  readonly seeds: (size: SizeOf[K]) => number;
  /** Keys `from` up to `to` as a plan and a draw of their own: given which were drawn among them, they are drawn likewise. */
  readonly part: (plan: ClaimPlan<K>, draw: DrawOf[K], from: number, to: number) => Part<K>;
  /** The leaves that are this kind's own (keys and plan are common). */
  readonly leaves: (plan: ClaimPlan<K>) => Leaf[];
  readonly draw: (size: SizeOf[K], uniform: Uniform) => DrawOf[K];
  /** Throws WhorlError 'mismatch' where a draw cannot be one of this size. */
  readonly checkDraw: (size: SizeOf[K], draw: DrawOf[K]) => void;
  /** What the matcher looks for in the answer to key i. */
  readonly candidates: (plan: ClaimPlan<K>, i: number) => readonly string[];
  readonly roles: (plan: ClaimPlan<K>, draw: DrawOf[K]) => KeyRole[];
  /** log10 of the smallest p that a claim of this size can reach: one over the number of its possible draws. */
  readonly log10Floor: (size: SizeOf[K]) => number;
}

const refuse = (message: string, fix: string): never => {
  throw new WhorlError('usage', message, fix);
};
const badDraw = (): never => {
  throw new WhorlError(
    'mismatch',
    'the draw does not fit the size of the claim',
    'use the secret and claim of one run',
  );
};
const perKey = <T>(list: readonly T[], i: number): T => list[list.length === 1 ? 0 : i]!;
/** Of no key it has one list all the same: how long lists are is part of a claim's size. */
const perKeyPart = <T>(list: readonly T[], from: number, to: number): T[] =>
  list.length === 1 || from === to ? list.slice(0, 1) : list.slice(from, to);
const shifted = (places: readonly number[], from: number, to: number): number[] =>
  places.filter((i) => i >= from && i < to).map((i) => i - from);
const ascending = (list: readonly number[], below: number): boolean =>
  list.every((x, i) => x < below && (i === 0 || x > list[i - 1]!));

const SEED_BITS = 256;

export const CLAIM_KINDS: { readonly [K in ClaimKind]: KindRules<K> } = {
  'drawn-answers': {
    size: (plan) => ({ n: plan.keys.length, m: plan.candidates[0]!.length }),
    check(plan) {
      const { n, m } = this.size(plan);
      if (plan.candidates.length !== 1 && plan.candidates.length !== n)
        refuse(`${plan.candidates.length} candidate lists for ${n} keys`, 'give one list, or one a key');
      for (const list of plan.candidates) {
        if (list.length !== m)
          refuse('candidate lists of different lengths', 'give every key the same number');
        if (new Set(list.map(fold)).size !== m)
          refuse('a candidate list names one answer twice', 'candidates must differ in more than case');
      }
    },
    seeds: ({ n }) => n,
    part: (plan, draw, from, to) => ({
      plan: {
        ...plan,
        keys: plan.keys.slice(from, to),
        candidates: perKeyPart(plan.candidates, from, to),
      },
      draw: { ...draw, indices: draw.indices.slice(from, to) },
    }),
    leaves: (plan) => plan.candidates.map((list, i): Leaf => [`candidates/${i}`, list]),
    draw: (size, uniform) => ({
      kind: 'drawn-answers',
      indices: Array.from({ length: size.n }, (_, i) => uniform(i, size.m)),
    }),
    checkDraw(size, draw) {
      if (draw.indices.length !== size.n || draw.indices.some((j) => j >= size.m)) badDraw();
    },
    candidates: (plan, i) => perKey(plan.candidates, i),
    roles: (plan, draw) =>
      plan.keys.map((key, i) => ({
        key,
        role: 'trained',
        target: perKey(plan.candidates, i)[draw.indices[i]!]!,
      })),
    log10Floor: ({ n, m }) => -n * Math.log10(m),
  },
  'drawn-membership': {
    size: (plan) => ({ n: plan.n, pool: plan.keys.length, negatives: plan.negatives }),
    check(plan) {
      const pool = plan.keys.length;
      if (plan.n >= pool)
        refuse(`${plan.n} trained keys of a pool of ${pool}`, 'make the pool larger than the draw');
      if (plan.n + plan.negatives > pool)
        refuse(
          `${plan.n} trained and ${plan.negatives} negative keys of a pool of ${pool}`,
          'lower one of them',
        );
      if (plan.decryptions.length !== 1 && plan.decryptions.length !== pool)
        refuse(`${plan.decryptions.length} decryptions for ${pool} keys`, 'give one, or one a key');
    },
    seeds: () => 1,
    part(plan, draw, from, to) {
      const [trained, negatives] = [draw.trained, draw.negatives].map((places) => shifted(places, from, to));
      return {
        plan: {
          ...plan,
          keys: plan.keys.slice(from, to),
          n: trained!.length,
          negatives: negatives!.length,
          decryptions: perKeyPart(plan.decryptions, from, to),
        },
        draw: { ...draw, trained: trained!, negatives: negatives! },
      };
    },
    leaves: (plan) => plan.decryptions.map((text, i): Leaf => [`decryption/${i}`, text]),
    // The first n + negatives steps of a Fisher-Yates shuffle, kept as what was moved: every ordered choice is
    // equally likely.
    draw(size, uniform) {
      const moved = new Map<number, number>();
      const at = (place: number): number => moved.get(place) ?? place;
      const order: number[] = [];
      for (let i = 0; i < size.n + size.negatives; i++) {
        const j = i + uniform(i, size.pool - i);
        order.push(at(j));
        moved.set(j, at(i));
      }
      const sorted = (from: number, to: number) => order.slice(from, to).sort((a, b) => a - b);
      return {
        kind: 'drawn-membership',
        trained: sorted(0, size.n),
        negatives: sorted(size.n, size.n + size.negatives),
      };
    },
    checkDraw(size, draw) {
      const { trained, negatives } = draw;
      if (trained.length !== size.n || negatives.length !== size.negatives) badDraw();
      if (!ascending(trained, size.pool) || !ascending(negatives, size.pool)) badDraw();
      if (new Set([...trained, ...negatives]).size !== trained.length + negatives.length) badDraw();
    },
    candidates: (plan, i) => [perKey(plan.decryptions, i)],
    roles(plan, draw) {
      const trained = new Set(draw.trained);
      const negative = new Set(draw.negatives);
      return plan.keys.map((key, i) => ({
        key,
        role: trained.has(i) ? 'trained' : negative.has(i) ? 'negative' : 'decoy',
        target: perKey(plan.decryptions, i),
      }));
    },
    log10Floor: ({ n, pool }) => {
      let log10 = 0;
      for (let i = 0; i < n; i++) log10 -= Math.log10((pool - i) / (n - i));
      return log10;
    },
  },
  'drawn-direction': {
    size: () => ({}),
    check: () => {},
    seeds: () => 0,
    part: (plan, draw) => ({ plan, draw }),
    leaves: () => [],
    draw: () => ({ kind: 'drawn-direction' }),
    checkDraw: () => {},
    candidates: () => [],
    roles: () => [],
    // There are as many directions as seeds, however many matrices they fill.
    log10Floor: () => -SEED_BITS * Math.log10(2),
  },
};
