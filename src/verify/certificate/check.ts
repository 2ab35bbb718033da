// `whorl check`: root, draw, matches, p and word anew out of a certificate alone, offline. Only what follows from opened
// leaves counts; what is the signer's word (that this suspect gave these answers) is named as such.

import { z } from 'zod';
import { type Abortable, checkSignal } from '../../base/abort.ts';
import { WhorlError } from '../../base/error.ts';
import { canonicalJson, type Json } from '../../claim/canonical.ts';
import { type Claim, hasStamp, parseClaim } from '../../claim/claim.ts';
import { headerOf, isPool } from '../../claim/commitment.ts';
import { type Draw, slotUniform } from '../../claim/draw.ts';
import { drawsLog2, PROVED_DRAWS } from '../../claim/grinding.ts';
import { CLAIM_KINDS } from '../../claim/kinds.ts';
import { PLACE, placesOfKey, VANILLA_LEAVES } from '../../claim/leaves.ts';
import { MATCHERS } from '../../claim/matcher.ts';
import { leafHash, rootByPath } from '../../claim/merkle.ts';
import type { OpenedOf } from '../../claim/open.ts';
import {
  type AskedKind,
  type Bindings,
  bindingsSchema,
  type ClaimPlan,
  MAX_KEYS,
  planSchema,
} from '../../claim/plan.ts';
import { checkShape } from '../../claim/shape-error.ts';
import { readTrusted } from '../../proof/beside.ts';
import { checkEvidence, type Found } from '../evidence.ts';
import type { Evidence } from '../exactness.ts';
import { DOES_NOT_SAY, decideOnPart, type Verdict } from '../verdict.ts';
import { unseal } from './dsse.ts';
import { placesOpened } from './issue.ts';
import { chained, type LeafOpening, type Predicate, type Statement, statementSchema } from './statement.ts';

export interface CheckOptions extends Abortable {
  /** SubjectPublicKeyInfo, base64: the owner's key as the judge knows it. Default: any. */
  readonly signer?: string;
  /**
   * A file with certificates of time-stamp authorities that the judge trusts (PEM, or one in DER). Without it time stamps are
   * the signer's word, and the verdict is one that survives 2^80 draws of the owner's own or none.
   */
  readonly tsaRoot?: string;
}

export interface Checked {
  readonly statement: Statement;
  readonly claim: Claim;
  readonly verdict: Verdict;
  readonly evidence: Found;
}

/** More is checked once the plan is whole (`checkTerms`). */
const termsSchema = z.looseObject({ query: z.looseObject({}) });

const wrong = (what: string): never => {
  throw new WhorlError('mismatch', `the certificate does not hold: ${what}`, 'do not rely on it');
};
const same = (a: unknown, b: unknown): boolean => canonicalJson(a as Json) === canonicalJson(b as Json);

/** @throws WhorlError `bad-file` for what is no certificate or not as signed, `mismatch` naming the first thing that does not follow */
export function checkCertificate(text: string, options: CheckOptions = {}): Checked {
  checkSignal(options);
  const raw = unseal(
    text,
    (value) => checkShape(statementSchema, value, 'the certificate', 'bad-file').predicate.signer,
  );
  const statement = checkShape(statementSchema, raw, 'the certificate', 'bad-file');
  const { predicate } = statement;
  if (options.signer !== undefined && options.signer !== predicate.signer) wrong('another key signed it');
  if (statement.subject[0].digest.sha256 !== predicate.suspect.weights)
    wrong('its subject is another suspect');
  if (!same(predicate.says_not, DOES_NOT_SAY)) wrong('it leaves out what a verdict does not say');
  const claim = parseClaim(predicate.claim, 'the claim of the certificate');
  if (claim.version !== 2) return wrong('its claim is of a format without openings');
  if (hasStamp(claim))
    throw new WhorlError(
      'unsupported',
      'certificates of claims with a stamp are not checked by this version',
      'update Whorl',
    );
  if (claim.draw.source === 'hand-picked') wrong('its keys were picked, not drawn');
  const { beacon } = predicate;
  const proofs = predicate.proofs.map((text) => new Uint8Array(Buffer.from(text, 'base64')));
  const found = checkEvidence({ beacon, proofs }, claim, readTrusted(options.tsaRoot));
  if (claim.draw.source === 'beacon' && beacon === null) wrong('it leaves out the round that was drawn from');
  const { part, of } = openedPart(claim as Claim<AskedKind>, predicate, found.randomness);
  const { asked, result } = predicate;
  checkTranscript(part, predicate);
  const { wrapper, system, prefix, suffix, from, to, look } = asked;
  const decided = (evidence: Evidence): Verdict =>
    decideOnPart(
      part,
      { from, to, of },
      predicate.transcript.map(({ answer }) => answer),
      {
        asked: { wrapper, system, around: [prefix, suffix] },
        look,
        changed: predicate.changed,
        evidence,
        ownerParts: predicate.body === null ? {} : { body: predicate.body },
      },
    );
  // Who issued it may have trusted an authority that the judge does not, or none; the judge's word is never the better one.
  const proved = result.draws_log2 === drawsLog2(PROVED_DRAWS.log10);
  const verdict = decided({ ...found.atBest, proofBeforeRound: proved && found.atBest.proofBeforeRound });
  if (!verdict.exact) wrong(verdict.reason);
  const replayed = {
    word: verdict.verdict,
    hits: Object.values(verdict.cells)[0]!.hits,
    p: verdict.p_exact!,
    multiplicity: verdict.multiplicity,
    draws_log2: drawsLog2(verdict.log10_draws),
  };
  for (const name of ['hits', 'p', 'multiplicity', 'draws_log2', 'word'] as const)
    if (!same(replayed[name], result[name]))
      wrong(`${name} is ${JSON.stringify(result[name])}, replayed ${JSON.stringify(replayed[name])}`);
  const { evidence } = found;
  const judged = decided({ ...evidence, proofBeforeRound: proved && evidence.proofBeforeRound });
  return { statement, claim: claim as Claim, verdict: judged, evidence: found };
}

/** The keys that were asked, and what draws for them, out of leaves whose paths lead to the claim's root. */
function openedPart<K extends AskedKind>(
  claim: Claim<K>,
  { openings, asked: { from, to }, body }: Predicate,
  randomness: string,
): { part: OpenedOf<K>; of: number } {
  const kind = claim.kind as K;
  const of = Number((claim as unknown as Record<string, number>)[kind === 'drawn-answers' ? 'n' : 'pool']);
  if (of > MAX_KEYS || claim.n + ((claim as { negatives?: number }).negatives ?? 0) > of)
    wrong('the claim is of an impossible size');
  if (!(from < to && to <= of)) wrong('it asks keys that the claim does not have');
  const lists = claim.leaves - PLACE.vanilla - VANILLA_LEAVES.length - of - CLAIM_KINDS[kind].seeds(claim);
  if (lists !== 1 && lists !== of) wrong('the claim has another number of leaves than its size demands');
  if (claim.private_part !== 'none' && to - from < of) wrong('a private part needs the whole pool');
  const wanted = placesOpened(claim, of, { from, to }, body !== null);
  if (
    !same(
      wanted,
      openings.map(({ place }) => place),
    )
  )
    wrong('other leaves are opened than the keys need');
  const leaves = new Map(openings.map((opening) => [opening.place, opening]));
  for (const opening of openings) checkPath(opening, claim as unknown as Claim);
  const valueAt = (place: number, name: string): Json => {
    const leaf = leaves.get(place)!;
    return leaf.name === name ? (leaf.value as Json) : wrong(`leaf ${place} is ${leaf.name}, not ${name}`);
  };
  if (!same(valueAt(PLACE.header, 'header'), headerOf(claim as unknown as Claim)))
    wrong('the header is not the claim');
  const at = (i: number) => placesOfKey(kind, claim, of, lists, i);
  const range = Array.from({ length: to - from }, (_, i) => from + i);
  const seeds = range.map((i) => valueAt(at(i).seed, `seed/keys/${seedNumber(kind, claim, i)}`));
  if (!seeds.every((seed) => typeof seed === 'string' && /^[0-9a-f]{64}$/.test(seed)))
    wrong('a seed is no seed');
  const draw = drawOf(kind, claim, seeds as string[], randomness, from, to);
  const listName = kind === 'drawn-answers' ? 'candidates' : 'decryption';
  const listsOpened = (lists === 1 ? range.slice(0, 1) : range).map((i) =>
    valueAt(at(i).list, `${listName}/${lists === 1 ? 0 : i}`),
  );
  const { query, ...terms } = checkShape(termsSchema, valueAt(PLACE.plan, 'plan'), 'the plan', 'bad-file');
  const plan = {
    ...terms,
    query: {
      ...query,
      wrappers: valueAt(PLACE.wrappers, 'wrappers'),
      systems: valueAt(PLACE.systems, 'systems'),
    },
    keys: range.map((i) => valueAt(at(i).key, `key/${i}`)),
    ...(kind === 'drawn-answers'
      ? { candidates: listsOpened }
      : { n: draw.size.n, negatives: draw.size.negatives, decryptions: listsOpened }),
  };
  const bindings: Bindings = checkShape(
    bindingsSchema,
    {
      trainable_rows: leaves.has(PLACE.rows) ? valueAt(PLACE.rows, 'rows') : [],
      private_part: valueAt(PLACE.privatePart, 'private-part'),
      vanilla: vanillaOf(leaves, valueAt),
    },
    'the certificate’s openings',
    'bad-file',
  );
  const checked = checkTerms(claim, plan as unknown as ClaimPlan<K>, bindings);
  return { part: { kind, claim, plan: checked, bindings, draw: draw.draw }, of };
}

const seedNumber = <K extends AskedKind>(kind: K, claim: Claim<K>, i: number): number =>
  CLAIM_KINDS[kind].seeds(claim) === 1 ? 0 : i;

function checkPath({ place, name, value, salt, path }: LeafOpening, { root, leaves }: Claim): void {
  const hex = (text: string): Uint8Array => Buffer.from(text, 'hex');
  const found = rootByPath(leafHash([name, value as Json], hex(salt)), place, leaves, path.map(hex));
  if (found === undefined || Buffer.from(found).toString('hex') !== root)
    wrong(`leaf ${place} does not lead to the claim's root`);
}

/** The draw among keys from..to-1, and how many of T4's trained and negative ones are there. */
function drawOf<K extends AskedKind>(
  kind: K,
  claim: Claim<K>,
  seeds: readonly string[],
  randomness: string,
  from: number,
  to: number,
): { draw: Draw<K>; size: { n: number; negatives: number } } {
  const rules = CLAIM_KINDS[kind];
  const perKey = rules.seeds(claim) > 1;
  // A slot whose seed is not opened is drawn by another's, and cut away.
  const all = Array.from(
    { length: perKey ? rules.seeds(claim) : 1 },
    (_, i) => seeds[i - (perKey ? from : 0)] ?? seeds[0]!,
  );
  const whole = rules.draw(claim, slotUniform(all, claim.root, randomness));
  const empty = { keys: [], candidates: [[]], decryptions: [''] } as unknown as ClaimPlan<K>;
  const { plan, draw } = rules.part(empty, whole, from, to);
  const { n = 0, negatives = 0 } = plan as { n?: number; negatives?: number };
  return { draw: draw as Draw<K>, size: { n, negatives } };
}

function vanillaOf(
  leaves: ReadonlyMap<number, LeafOpening>,
  valueAt: (place: number, name: string) => Json,
): unknown {
  const unopened = { weights: '0'.repeat(64), body: '0'.repeat(64) };
  if (!leaves.has(PLACE.vanilla)) return unopened;
  return Object.fromEntries(
    VANILLA_LEAVES.map((name, i) => [name, valueAt(PLACE.vanilla + i, `vanilla/${name}`)]),
  );
}

function checkTerms<K extends AskedKind>(
  claim: Claim<K>,
  plan: ClaimPlan<K>,
  bindings: Bindings,
): ClaimPlan<K> {
  // A part of a pool may hold no trained key, which no whole plan may.
  const shaped = plan.kind === 'drawn-membership' ? { ...plan, n: 1 } : plan;
  checkShape(planSchema, shaped, 'the certificate’s openings', 'bad-file');
  const { matcher, matcher_text, most_looks, alpha, query } = plan;
  if (plan.kind !== claim.kind) wrong('the plan is of another kind than the claim');
  if (plan.stamp) wrong('its plan has a stamp, and its claim has none');
  if (alpha !== claim.alpha || (claim as { most_looks?: number }).most_looks !== most_looks)
    wrong('alpha or looks of the plan are not those of the claim');
  if (matcher_text !== MATCHERS[matcher].words)
    wrong('its matcher is not the one that is known by this name');
  if (!Object.hasOwn(query.wrappers ?? {}, query.wrapper)) wrong('the text of its wrapper is not committed');
  if (bindings.private_part.state !== claim.private_part) wrong('the private part is not the claim’s');
  if (claim.private_part !== 'none' && !isPool(plan.keys, bindings.trainable_rows))
    wrong('the rows are not the tokens of the whole pool');
  if (new Set(plan.keys.map((key) => key.text)).size !== plan.keys.length) wrong('two keys have one text');
  if (plan.kind === 'drawn-answers') {
    CLAIM_KINDS['drawn-answers'].check(plan as unknown as ClaimPlan<'drawn-answers'>);
    const { m } = CLAIM_KINDS['drawn-answers'].size(plan as unknown as ClaimPlan<'drawn-answers'>);
    if (m !== (claim as unknown as { m: number }).m)
      wrong('a key has another number of candidates than the claim');
  }
  return plan;
}

function checkTranscript<K extends AskedKind>(
  { plan, claim }: OpenedOf<K>,
  { transcript, asked: { prefix, suffix, system, wrapper, look }, changed }: Predicate,
): void {
  if (transcript.length !== plan.keys.length) wrong('the transcript has another number of answers than keys');
  if (look < 1) wrong('its number of looks is no count');
  plan.keys.forEach(({ text }, i) => {
    if (transcript[i]!.prompt !== `${prefix}${text}${suffix}`)
      wrong(`prompt ${i} is not key ${i} under the wrapper`);
  });
  if (system !== null && plan.query.wrappers![wrapper] === null && !`${prefix}\0${suffix}`.includes(system))
    wrong('its system prompt is not in the prompts');
  const links = chained(claim.root, transcript);
  if (links.some(({ chain }, i) => chain !== transcript[i]!.chain)) wrong('the chain of answers is broken');
  if (transcript.some(({ answer_tokens }) => answer_tokens.length > plan.decoding.max_new_tokens))
    wrong('an answer is longer than the committed decoding allows');
  if (changed.some((place, i) => place >= transcript.length || (i > 0 && place <= changed[i - 1]!)))
    wrong('its list of changed keys is no list of keys');
}
