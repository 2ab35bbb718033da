// `whorl check`: root, draw, matches, p and word anew out of a certificate alone, offline. Only what follows from opened
// leaves counts; what is the signer's word (that this suspect gave these answers) is named as such.

import { z } from 'zod';
import { type Abortable, checkSignal } from '../../base/abort.ts';
import { canonicalJson, type Json } from '../../claim/canonical.ts';
import { type Claim, hasStamp, parseClaim } from '../../claim/claim.ts';
import { headerOf, isPool } from '../../claim/commitment.ts';
import { type Draw, slotUniform } from '../../claim/draw.ts';
import { drawsLog2, PROVED_DRAWS } from '../../claim/grinding.ts';
import { CLAIM_KINDS } from '../../claim/kinds.ts';
import { listsOf, PLACE, placesOfKey, placesOfStamp, VANILLA_LEAVES } from '../../claim/leaves.ts';
import { MATCHERS } from '../../claim/matcher.ts';
import { leafHash, rootByPath } from '../../claim/merkle.ts';
import type { OpenedOf } from '../../claim/open.ts';
import {
  type AskedKind,
  type Bindings,
  bindingsSchema,
  type ClaimKind,
  type ClaimPlan,
  hex256,
  MAX_KEYS,
  planSchema,
  type SizeOf,
} from '../../claim/plan.ts';
import { checkShape } from '../../claim/shape-error.ts';
import { type DrawnStamp, type StampPlan, stampBySeed } from '../../claim/stamp.ts';
import { readTrusted } from '../../proof/beside.ts';
import { roundTime } from '../../proof/drand.ts';
import { whyIssuedBefore } from '../../proof/order.ts';
import { elements } from '../../tensor/tensor.ts';
import { checkEvidence, type Found } from '../evidence.ts';
import type { Evidence } from '../exactness.ts';
import { WAYS_TO_PUT } from '../paid.ts';
import type { Stop } from '../sequential/course.ts';
import { replayStopped } from '../sequential/outcome.ts';
import { readingFrom, type StampReading } from '../stamp.ts';
import { DOES_NOT_SAY, decideOnPart, keysCountForNothing, type Verdict } from '../verdict.ts';
import { type CheckedFurther, checkFurther } from './check-further.ts';
import { wrong } from './does-not-hold.ts';
import { unseal } from './dsse.ts';
import { placesOpened } from './issue.ts';
import {
  chained,
  chainedStamp,
  type EndpointSuspect,
  isEndpoint,
  type LeafOpening,
  type Predicate,
  type Statement,
  statementSchema,
  subjectDigest,
} from './statement.ts';

export interface CheckOptions extends Abortable {
  /** SubjectPublicKeyInfo, base64: the owner's key as the judge knows it. Default: any. */
  readonly signer?: string;
  /**
   * A file with certificates of time-stamp authorities that the judge trusts (PEM, or one in DER). Without it time stamps are
   * the signer's word, and the verdict is one that survives 2^80 draws of the owner's own or none.
   */
  readonly tsaRoot?: string;
}

export interface Checked extends CheckedFurther {
  readonly statement: Statement;
  readonly claim: Claim;
  /** Of the keys that were asked alone. */
  readonly plan: ClaimPlan;
  /** Where it was opened: what a suspect's weights can be read with. */
  readonly stamp?: DrawnStamp;
  readonly verdict: Verdict;
  readonly evidence: Found;
  /** The verdict that other answers to the same questions give, and what is read of the stamp where one was. */
  readonly decide: (answers: readonly string[], stamp: StampReading | null) => Verdict;
}

/** More is checked once the plan is whole (`checkTerms`). */
const termsSchema = z.looseObject({ query: z.looseObject({}) });

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
  if (statement.subject[0].digest.sha256 !== subjectDigest(predicate.suspect))
    wrong('its subject is another suspect');
  if (!same(predicate.says_not, DOES_NOT_SAY)) wrong('it leaves out what a verdict does not say');
  const claim = parseClaim(predicate.claim, 'the claim of the certificate');
  if (claim.version !== 2) return wrong('its claim is of a format without openings');
  if (claim.draw.source === 'hand-picked') wrong('its keys were picked, not drawn');
  const { beacon } = predicate;
  const proofs = predicate.proofs.map((text) => new Uint8Array(Buffer.from(text, 'base64')));
  const found = checkEvidence({ beacon, proofs }, claim, readTrusted(options.tsaRoot));
  if (claim.draw.source === 'beacon' && beacon === null) wrong('it leaves out the round that was drawn from');
  checkTimes(predicate, claim, found);
  const { part, of, left, seeds } = openedPart(claim as Claim<ClaimKind>, predicate, found.randomness);
  const { asked, result } = predicate;
  checkTranscript(part, predicate, of);
  const server = isEndpoint(predicate.suspect);
  if (server) checkServer(predicate);
  else checkTokens(predicate);
  const stamp = predicate.stamp && readingOf(part.plan.stamp!, predicate.stamp);
  const { wrapper, system, prefix, suffix, from, to, look } = asked;
  const answers = predicate.transcript.map(({ answer }) => answer);
  // Who issued it may have trusted an authority that the judge does not, or none; the judge's word is never the better one.
  const proved = result.draws_log2 === drawsLog2(PROVED_DRAWS.log10);
  const issued = { ...found.atBest, proofBeforeRound: proved && found.atBest.proofBeforeRound };
  const deciding = {
    asked: { wrapper, system, ...(of > 0 && { around: [prefix, suffix] as const }) },
    changed: predicate.changed,
    multiplicity: server ? WAYS_TO_PUT : 1,
    evidence: issued,
  };
  const { until, why } = predicate.stopped ?? {};
  const decided = (
    evidence: Evidence,
    given: { answers: readonly string[]; stamp: StampReading | null; why: Stop | undefined },
  ): Verdict =>
    decideOnPart(part, { from, to, of }, given.answers, {
      ...deciding,
      look,
      evidence,
      ...(given.stamp && { stamp: given.stamp }),
      ...(until && {
        stopped: replayStopped(
          { ...part, draw: left.draw } as OpenedOf<AskedKind>,
          { from, keys: of, of: of - from, until },
          deciding,
          left.size as SizeOf[AskedKind],
          given.answers,
          given.why,
        ),
      }),
      ownerParts: predicate.body === null ? {} : { body: predicate.body },
    });
  const told = { answers, stamp, why };
  const verdict = decided(issued, told);
  if (!verdict.exact) wrong(verdict.reason);
  if (keysCountForNothing(verdict)) wrong('the keys were not asked as the claim permits');
  const replayed = {
    word: verdict.verdict,
    hits: Object.values(verdict.cells)[0]?.hits ?? 0,
    p: verdict.p_exact!,
    multiplicity: verdict.multiplicity,
    draws_log2: drawsLog2(verdict.log10_draws),
  };
  for (const name of ['hits', 'p', 'multiplicity', 'draws_log2', 'word'] as const)
    if (!same(replayed[name], result[name]))
      wrong(`${name} is ${JSON.stringify(result[name])}, replayed ${JSON.stringify(replayed[name])}`);
  const { evidence } = found;
  const trusted = { ...evidence, proofBeforeRound: proved && evidence.proofBeforeRound };
  const judged = decided(trusted, told);
  return {
    statement,
    claim: claim as Claim,
    plan: part.plan as unknown as ClaimPlan,
    verdict: judged,
    ...checkFurther(part, predicate, { seeds, randomness: found.randomness }, judged),
    evidence: found,
    decide: (answers, stamp) => decided(trusted, { answers, stamp, why: undefined }),
    ...(part.stamp && { stamp: part.stamp }),
  };
}

/** What it holds was there when it was issued. */
function checkTimes({ created, suspect, beacon }: Predicate, claim: Claim, { stamps }: Found): void {
  const why = whyIssuedBefore(created, [
    ['its claim', Date.parse(claim.created)],
    ...(beacon ? [['the round that was drawn from', roundTime(beacon.round)] as const] : []),
    ...stamps.map(({ time }) => ['a time stamp that it holds', time] as const),
    ...(isEndpoint(suspect) ? [['the last answer', Date.parse(suspect.asked_to)] as const] : []),
  ]);
  if (why !== undefined) wrong(why);
}

/** How many keys a claim has, by its kind. */
const KEYS_OF: { readonly [K in ClaimKind]: (size: SizeOf[K]) => number } = {
  'drawn-answers': ({ n }) => n,
  'drawn-membership': ({ pool }) => pool,
  'drawn-direction': () => 0,
};
const LISTS: Readonly<Record<ClaimKind, string>> = {
  'drawn-answers': 'candidates',
  'drawn-membership': 'decryption',
  'drawn-direction': '',
};

/** The keys that were asked, and what draws for them, out of leaves whose paths lead to the claim's root. */
function openedPart<K extends ClaimKind>(
  claim: Claim<K>,
  { openings, asked: { from, to }, body, stamp, stopped }: Predicate,
  randomness: string,
): { part: OpenedOf<K>; of: number; left: Drawn<K>; seeds: readonly string[] } {
  const kind = claim.kind as K;
  const of = KEYS_OF[kind](claim as SizeOf[K]);
  const { n = 0, negatives = 0 } = claim as { n?: number; negatives?: number };
  if (of > MAX_KEYS || n + negatives > of) wrong('the claim is of an impossible size');
  if (of === 0 ? to !== 0 : !(from < to && to <= of)) wrong('it asks keys that the claim does not have');
  if (stamp !== null && !hasStamp(claim as unknown as Claim))
    wrong('it reads a stamp, and its claim has none');
  if (stopped && of === 0) wrong('a test was stopped, and its claim has no keys');
  if (stamp === null && of === 0) wrong('its claim has nothing but a stamp, and none was read');
  const lists = listsOf(kind, claim, of);
  if (lists !== Math.min(1, of) && lists !== of)
    wrong('the claim has another number of leaves than its size demands');
  if (claim.private_part !== 'none' && to - from < of) wrong('a private part needs the whole pool');
  const wanted = placesOpened(claim, {
    keys: { from, to, of },
    withBody: body !== null,
    withStamp: stamp !== null,
  });
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
  const seedAt = (place: number, name: string): string => {
    const seed = hex256.safeParse(valueAt(place, name));
    return seed.success ? seed.data : wrong('a seed is no seed');
  };
  if (!same(valueAt(PLACE.header, 'header'), headerOf(claim as unknown as Claim)))
    wrong('the header is not the claim');
  const at = (i: number) => placesOfKey(kind, claim, of, lists, i);
  const range = Array.from({ length: to - from }, (_, i) => from + i);
  const seeds = range.map((i) => seedAt(at(i).seed, `seed/keys/${seedNumber(kind, claim, i)}`));
  const draw = drawOf(kind, claim, seeds, randomness, from, to);
  const listsOpened = (lists === 1 ? range.slice(0, 1) : range).map((i) =>
    valueAt(at(i).list, `${LISTS[kind]}/${lists === 1 ? 0 : i}`),
  );
  const [stampPlace, stampSeedPlace] = placesOfStamp(claim);
  const { query, ...terms } = checkShape(termsSchema, valueAt(PLACE.plan, 'plan'), 'the plan', 'bad-file');
  const plan = {
    ...terms,
    query: {
      ...query,
      wrappers: valueAt(PLACE.wrappers, 'wrappers'),
      systems: valueAt(PLACE.systems, 'systems'),
    },
    keys: range.map((i) => valueAt(at(i).key, `key/${i}`)),
    ...OWN_TERMS[kind](listsOpened, draw.size),
    ...(stamp && { stamp: valueAt(stampPlace, 'stamp') }),
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
  const drawn = stamp && {
    stamp: stampBySeed(checked.stamp!, claim.root, seedAt(stampSeedPlace, 'seed/stamp'), randomness),
  };
  const left = drawOf(kind, claim, seeds, randomness, from, of);
  const own = CLAIM_KINDS[kind].seeds(claim) > 1 ? seeds : seeds.slice(0, 1);
  return { part: { kind, claim, plan: checked, bindings, draw: draw.draw, ...drawn }, of, left, seeds: own };
}

/** What of a plan is its kind's own, as far as it was opened. */
const OWN_TERMS: {
  readonly [K in ClaimKind]: (lists: readonly Json[], size: { n: number; negatives: number }) => object;
} = {
  'drawn-answers': (candidates) => ({ candidates }),
  'drawn-membership': (decryptions, { n, negatives }) => ({ n, negatives, decryptions }),
  'drawn-direction': () => ({}),
};

/** Weights show what they were asked; an answer that was kept from an earlier call is a text. */
function checkTokens({ transcript, stopped }: Predicate): void {
  if (
    transcript.some(
      ({ prompt_tokens, answer_tokens }) => prompt_tokens === null || (answer_tokens === null && !stopped),
    )
  )
    wrong('it does not say which tokens were put and answered');
}

/** A server shows neither weights nor tokens. */
function checkServer({ body, stamp, changed, transcript, suspect }: Predicate): void {
  if (body !== null || stamp !== null || changed.length > 0)
    wrong('it says of a server what only weights show');
  if (transcript.some(({ prompt_tokens, answer_tokens }) => prompt_tokens !== null || answer_tokens !== null))
    wrong('it says which tokens a server was sent');
  const { tls_peers, reported_models, asked_from, asked_to } = suspect as EndpointSuspect;
  for (const list of [tls_peers, reported_models])
    if (list.some((one, i) => i > 0 && one <= list[i - 1]!))
      wrong('a list of what a server said is not sorted');
  if (Date.parse(asked_to) < Date.parse(asked_from)) wrong('the last answer came before the first');
}

/** No element of a direction is larger: 8 is beyond the last cell's mean (stamp/normal-cells.ts). */
const LARGEST = 8;

/** What the sums come to; those that no weights can give are refused. */
function readingOf(
  plan: StampPlan,
  { against_vanilla, matrices }: NonNullable<Predicate['stamp']>,
): StampReading {
  if (matrices.length !== plan.matrices.length)
    wrong('it reads another number of matrices than are committed');
  for (const [i, sums] of matrices.entries()) {
    if (!sums) continue;
    const { shape } = plan.matrices[i]!;
    if (sums.elements + sums.left_out !== elements(shape))
      wrong(`matrix ${i} has another number of elements`);
    const most = Math.sqrt(sums.squares) * Math.sqrt(sums.elements) * LARGEST;
    if (!(Math.abs(sums.dot) <= most)) wrong(`the sums of matrix ${i} are of no weights`);
  }
  return readingFrom(plan, matrices, against_vanilla);
}

const seedNumber = <K extends ClaimKind>(kind: K, claim: Claim<K>, i: number): number =>
  CLAIM_KINDS[kind].seeds(claim) === 1 ? 0 : i;

function checkPath({ place, name, value, salt, path }: LeafOpening, { root, leaves }: Claim): void {
  const hex = (text: string): Uint8Array => Buffer.from(text, 'hex');
  const found = rootByPath(leafHash([name, value as Json], hex(salt)), place, leaves, path.map(hex));
  if (found === undefined || Buffer.from(found).toString('hex') !== root)
    wrong(`leaf ${place} does not lead to the claim's root`);
}

interface Drawn<K extends ClaimKind> {
  readonly draw: Draw<K>;
  readonly size: SizeOf[K] & { readonly n: number; readonly negatives: number };
}

/**
 * The draw among keys from..to-1, and its size: how many of T4's trained and negative ones are there.
 * @param seeds of the keys that were asked, or the only one
 */
function drawOf<K extends ClaimKind>(
  kind: K,
  claim: Claim<K>,
  seeds: readonly string[],
  randomness: string,
  from: number,
  to: number,
): Drawn<K> {
  const rules = CLAIM_KINDS[kind];
  const perKey = rules.seeds(claim) > 1;
  // A slot whose seed is not opened is drawn by another's: its key was not asked, and nothing rests on it.
  const all = Array.from(
    { length: perKey ? rules.seeds(claim) : 1 },
    (_, i) => seeds[i - (perKey ? from : 0)] ?? seeds[0]!,
  );
  const whole = rules.draw(claim, slotUniform(all, claim.root, randomness));
  const empty = { keys: [], candidates: [[]], decryptions: [''] } as unknown as ClaimPlan<K>;
  const { plan, draw } = rules.part(empty, whole, from, to);
  const { n, negatives } = plan as { n?: number; negatives?: number };
  const size = { ...claim, pool: to - from, n: n ?? to - from, negatives: negatives ?? 0 };
  return { draw: draw as Draw<K>, size };
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

function checkTerms<K extends ClaimKind>(
  claim: Claim<K>,
  plan: ClaimPlan<K>,
  bindings: Bindings,
): ClaimPlan<K> {
  // A part of a pool may hold no trained key, which no whole plan may.
  const shaped = plan.kind === 'drawn-membership' ? { ...plan, n: 1 } : plan;
  checkShape(planSchema, shaped, 'the certificate’s openings', 'bad-file');
  const { matcher, matcher_text, most_looks, alpha, query } = plan;
  if (plan.kind !== claim.kind) wrong('the plan is of another kind than the claim');
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

function checkTranscript<K extends ClaimKind>(
  { plan, claim }: OpenedOf<K>,
  { transcript, stamp, asked, changed, suspect, ...more }: Predicate,
  of: number,
): void {
  const { from, prefix, suffix, system, wrapper, look } = asked;
  const inTurns = isEndpoint(suspect) && suspect.kind === 'chat'; // a system prompt is a turn of its own
  if (transcript.length !== plan.keys.length) wrong('the transcript has another number of answers than keys');
  if (look < 1) wrong('its number of looks is no count');
  if (plan.keys.length === 0 && (wrapper !== plan.query.wrapper || system !== null || prefix + suffix !== ''))
    wrong('it says how keys were put, and its claim has none');
  plan.keys.forEach(({ text }, i) => {
    if (transcript[i]!.prompt !== `${prefix}${text}${suffix}`)
      wrong(`prompt ${i} is not key ${i} under the wrapper`);
  });
  const unseen = !inTurns && plan.query.wrappers![wrapper] === null;
  if (system !== null && unseen && !`${prefix}\0${suffix}`.includes(system))
    wrong('its system prompt is not in the prompts');
  const links = chained(claim.root, transcript);
  if (links.some(({ chain }, i) => chain !== transcript[i]!.chain)) wrong('the chain of answers is broken');
  if (stamp && chainedStamp(claim.root, transcript, stamp).chain !== stamp.chain)
    wrong('the chain of answers is broken where the stamp was read');
  if (transcript.some(({ answer_tokens }) => (answer_tokens?.length ?? 0) > plan.decoding.max_new_tokens))
    wrong('an answer is longer than the committed decoding allows');
  const places = more.stopped ? of - from : transcript.length;
  if (changed.some((place, i) => place >= places || (i > 0 && place <= changed[i - 1]!)))
    wrong('its list of changed keys is no list of keys');
}
