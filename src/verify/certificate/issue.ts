// A certificate out of an opened claim and a suspect's answers: the leaves of the keys that were asked are opened, all
// others stay secret.

import type { Json } from '../../claim/canonical.ts';
import { claimText } from '../../claim/claim.ts';
import { leavesOf } from '../../claim/commitment.ts';
import { drawsLog2 } from '../../claim/grinding.ts';
import { listsOf, PLACE, placesOfKey, placesOfStamp, VANILLA_LEAVES } from '../../claim/leaves.ts';
import { merklePath } from '../../claim/merkle.ts';
import type { Opened, OpenedOf } from '../../claim/open.ts';
import type { ClaimKind } from '../../claim/plan.ts';
import type { SecretContents } from '../../claim/secret-contents.ts';
import type { StampPlan } from '../../claim/stamp.ts';
import { DECOYS } from '../exact/t5.ts';
import type { DecoysRead, RanksRead } from '../further.ts';
import type { StampReading } from '../stamp.ts';
import { DOES_NOT_SAY, type Verdict } from '../verdict.ts';
import {
  chained,
  chainedRanks,
  chainedStamp,
  type Exchange,
  type LeafOpening,
  PREDICATE_TYPE,
  type Predicate,
  STATEMENT_TYPE,
  type Statement,
  subjectDigest,
} from './statement.ts';

export interface Issued
  extends Pick<
    Predicate,
    'signer' | 'suspect' | 'body' | 'changed' | 'beacon' | 'proofs' | 'created' | 'software'
  > {
  readonly verdict: Verdict;
  readonly around: { readonly prefix: string; readonly suffix: string };
  readonly look: number;
  /** Null where it was not read: then it stays closed. */
  readonly stamp: StampReading | null;
  readonly exchanges: readonly Omit<Exchange, 'chain'>[];
  readonly ranks?: RanksRead | undefined;
  readonly decoys?: DecoysRead | undefined;
}

/** @param opened of a claim of format 2, drawn and not picked */
export function statementOf(opened: Opened, secret: SecretContents, issued: Issued): Statement {
  const { verdict, around, look, exchanges, stamp, ranks, decoys, ...more } = issued;
  const { asked, keys, p_exact, multiplicity, log10_draws, sequential } = verdict;
  const transcript = chained(opened.claim.root, exchanges);
  const read = stamp && chainedStamp(opened.claim.root, transcript, sumsRead(opened.plan.stamp!, stamp));
  const first = Object.values(verdict.cells)[0];
  const opens = { keys, withBody: issued.body !== null, withStamp: stamp !== null };
  return {
    _type: STATEMENT_TYPE,
    subject: [{ name: 'suspect', digest: { sha256: subjectDigest(more.suspect) } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      ...more,
      claim: claimText(opened.claim),
      openings: openingsOf(opened as OpenedOf<ClaimKind>, secret, opens),
      asked: { wrapper: asked.wrapper, system: asked.system, ...around, from: keys.from, to: keys.to, look },
      ...(sequential && { stopped: { until: sequential.until, why: sequential.stopped } }),
      transcript,
      stamp: read,
      ...(ranks && { ranks: chainedRanks(transcript, read, numbersOf(ranks)) }),
      ...(decoys && { decoys: { of: DECOYS, ...decoys } }),
      result: {
        word: verdict.verdict,
        hits: first?.hits ?? 0,
        p: p_exact!,
        multiplicity,
        draws_log2: drawsLog2(log10_draws),
      },
      says_not: [...DOES_NOT_SAY],
    },
  };
}

/** As JSON has them. */
const numbersOf = ({ scores, log10_p }: RanksRead) => ({
  scores: scores.map((row) => row.map((score) => (Number.isFinite(score) ? score : null))),
  log10_p,
});

const sumsRead = (
  { matrices: committed }: StampPlan,
  { against_vanilla, matrices }: StampReading,
): Omit<NonNullable<Predicate['stamp']>, 'chain'> => {
  const read = new Map(matrices.map((matrix) => [matrix.name, matrix]));
  return {
    against_vanilla,
    matrices: committed.map(({ name }) => {
      const found = read.get(name);
      if (!found) return null;
      const { elements, left_out, dot, squares } = found;
      return { elements, left_out, dot, squares };
    }),
  };
};

/** What of a claim a certificate opens. */
export interface Opens {
  /** Keys from..to-1 of `of`. */
  readonly keys: { readonly from: number; readonly to: number; readonly of: number };
  readonly withBody: boolean;
  readonly withStamp: boolean;
}

/** Places of all leaves that it opens, ascending. */
export function placesOpened<K extends ClaimKind>(
  claim: OpenedOf<K>['claim'],
  { keys: { from, to, of }, withBody, withStamp }: Opens,
): number[] {
  const lists = listsOf(claim.kind as K, claim, of);
  const places = new Set<number>([
    PLACE.header,
    PLACE.plan,
    PLACE.wrappers,
    PLACE.systems,
    PLACE.privatePart,
  ]);
  if (claim.private_part !== 'none') places.add(PLACE.rows);
  if (withBody) VANILLA_LEAVES.forEach((_, i) => places.add(PLACE.vanilla + i));
  for (let i = from; i < to; i++)
    for (const place of Object.values(placesOfKey(claim.kind as K, claim, of, lists, i))) places.add(place);
  if (withStamp) for (const place of placesOfStamp(claim)) places.add(place);
  return [...places].sort((a, b) => a - b);
}

function openingsOf<K extends ClaimKind>(
  { claim, plan, bindings, draw }: OpenedOf<K>,
  { opening }: SecretContents,
  opens: Opens,
): LeafOpening[] {
  const { leaves, hashes } = leavesOf(claim, plan, bindings, opening, draw);
  return placesOpened(claim, opens).map((place) => {
    const [name, value] = leaves[place]!;
    return {
      place,
      name,
      value: plain(value),
      salt: opening.salts[place]!,
      path: merklePath(hashes, place).map((hash) => Buffer.from(hash).toString('hex')),
    };
  });
}

/** Without members that are undefined, as a file has it. */
const plain = (value: Json): LeafOpening['value'] =>
  JSON.parse(JSON.stringify(value)) as LeafOpening['value'];
