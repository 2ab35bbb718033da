// A certificate out of an opened claim and a suspect's answers: the leaves of the keys that were asked are opened, all
// others stay secret.

import type { Json } from '../../claim/canonical.ts';
import { claimText } from '../../claim/claim.ts';
import { leavesOf } from '../../claim/commitment.ts';
import { drawsLog2 } from '../../claim/grinding.ts';
import { CLAIM_KINDS } from '../../claim/kinds.ts';
import { PLACE, placesOfKey, VANILLA_LEAVES } from '../../claim/leaves.ts';
import { merklePath } from '../../claim/merkle.ts';
import type { Opened, OpenedOf } from '../../claim/open.ts';
import type { ClaimKind } from '../../claim/plan.ts';
import type { SecretContents } from '../../claim/secret-contents.ts';
import { DOES_NOT_SAY, type Verdict } from '../verdict.ts';
import {
  chained,
  type Exchange,
  type LeafOpening,
  PREDICATE_TYPE,
  type Predicate,
  STATEMENT_TYPE,
  type Statement,
} from './statement.ts';

export interface Issued
  extends Pick<
    Predicate,
    'signer' | 'suspect' | 'body' | 'changed' | 'beacon' | 'proofs' | 'created' | 'software'
  > {
  readonly verdict: Verdict;
  readonly around: { readonly prefix: string; readonly suffix: string };
  readonly look: number;
  readonly exchanges: readonly Omit<Exchange, 'chain'>[];
}

/** @param opened of a claim of format 2, drawn and not picked */
export function statementOf(opened: Opened, secret: SecretContents, issued: Issued): Statement {
  const { verdict, around, look, exchanges, ...more } = issued;
  const { asked, keys, p_exact, multiplicity, log10_draws } = verdict;
  const first = Object.values(verdict.cells)[0]!;
  return {
    _type: STATEMENT_TYPE,
    subject: [{ name: 'suspect', digest: { sha256: more.suspect.weights } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      ...more,
      claim: claimText(opened.claim),
      openings: openingsOf(opened as OpenedOf<ClaimKind>, secret, keys, issued.body !== null),
      asked: { wrapper: asked.wrapper, system: asked.system, ...around, from: keys.from, to: keys.to, look },
      transcript: chained(opened.claim.root, exchanges),
      result: {
        word: verdict.verdict,
        hits: first.hits,
        p: p_exact!,
        multiplicity,
        draws_log2: drawsLog2(log10_draws),
      },
      says_not: [...DOES_NOT_SAY],
    },
  };
}

/** Places of all leaves that a certificate about keys from..to-1 opens, ascending. */
export function placesOpened<K extends ClaimKind>(
  claim: OpenedOf<K>['claim'],
  keys: number,
  { from, to }: { readonly from: number; readonly to: number },
  withBody: boolean,
): number[] {
  const seeds = CLAIM_KINDS[claim.kind as K].seeds(claim);
  const lists = claim.leaves - PLACE.vanilla - VANILLA_LEAVES.length - keys - seeds;
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
    for (const place of Object.values(placesOfKey(claim.kind as K, claim, keys, lists, i))) places.add(place);
  return [...places].sort((a, b) => a - b);
}

function openingsOf<K extends ClaimKind>(
  { claim, plan, bindings, draw }: OpenedOf<K>,
  { opening }: SecretContents,
  range: { readonly from: number; readonly to: number },
  withBody: boolean,
): LeafOpening[] {
  const { leaves, hashes } = leavesOf(claim, plan, bindings, opening, draw);
  return placesOpened(claim, plan.keys.length, range, withBody).map((place) => {
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
