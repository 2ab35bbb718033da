// Certificates about claims that no model was asked for: every answer is made up.

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { sha256Hex } from '../../../src/base/sha256.ts';
import type { Json } from '../../../src/claim/canonical.ts';
import type { Claim } from '../../../src/claim/claim.ts';
import { commitClaim } from '../../../src/claim/commitment.ts';
import { makeDraw } from '../../../src/claim/draw.ts';
import { CLAIM_KINDS } from '../../../src/claim/kinds.ts';
import { keyRoles, type Opened, type OpenedOf } from '../../../src/claim/open.ts';
import type { ClaimPlan, PlanOf } from '../../../src/claim/plan.ts';
import type { SecretContents } from '../../../src/claim/secret-contents.ts';
import type { StampPlan } from '../../../src/claim/stamp.ts';
import { type Beside, NOTHING_BESIDE } from '../../../src/proof/beside.ts';
import type { TsaCertificate } from '../../../src/proof/certificates.ts';
import type { Round } from '../../../src/proof/drand.ts';
import { elements } from '../../../src/tensor/tensor.ts';
import { publicKeyOf, seal } from '../../../src/verify/certificate/dsse.ts';
import { statementOf } from '../../../src/verify/certificate/issue.ts';
import type { Statement } from '../../../src/verify/certificate/statement.ts';
import { checkEvidence } from '../../../src/verify/evidence.ts';
import type { Scores } from '../../../src/verify/exact/t6.ts';
import { decideWithFurther } from '../../../src/verify/further.ts';
import { courseOf, namedBy, outcome } from '../../../src/verify/sequential/outcome.ts';
import type { SequentialOptions, Stopped } from '../../../src/verify/sequential/stopped.ts';
import { readingFrom, type StampReading } from '../../../src/verify/stamp.ts';
import { answersPlan, bindings, committing, membershipPlan } from '../../claim/plans.ts';

export const KEYS = {
  ed25519: generateKeyPairSync('ed25519').privateKey,
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
};
const FORGED = { beacon: true, proofBeforeRound: false };
const hex = (digit: string): string => digit.repeat(64);

interface Making {
  readonly plan?: ClaimPlan;
  readonly key?: KeyObject;
  /** Trained keys that stay silent, counted from the first. */
  readonly lost?: number;
  readonly range?: { readonly from: number; readonly to: number };
  readonly wrapper?: string;
  readonly changed?: readonly number[];
  /** A claim that was made already, what lies beside it, and whom its owner trusts. */
  readonly committed?: ReturnType<typeof commitClaim>;
  readonly beside?: Beside;
  readonly trusted?: readonly TsaCertificate[];
  /** A round that nobody signed: everything else is as its value draws. */
  readonly forged?: Round;
  /** Of each matrix of the plan's stamp: z that is read; null: the suspect has it not. Default: the stamp stays closed. */
  readonly read?: readonly (number | null)[];
  /** With a private part, on the owner's own body. */
  readonly body?: boolean;
  /** Asked key by key, for this word, up to so many keys. */
  readonly sequential?: SequentialOptions;
  /** Behind a server, in place of weights. */
  readonly server?: boolean;
  /** Everything that could have been drawn was scored: the drawn ones among the best, with ties and what is no number. */
  readonly ranked?: boolean;
}

const STAMP: StampPlan = {
  direction: 'shake256-normal-v1',
  epsilon: 0.001,
  matrices: [
    { name: 'a.weight', dtype: 'bfloat16', shape: [400, 400], sha256: '7'.repeat(64), scale: 1.25e-5 },
    { name: 'bü', dtype: 'float32', shape: [90, 7], sha256: '8'.repeat(64), scale: 2e-5 },
    { name: 'c', dtype: 'float16', shape: [2, 3, 100], sha256: '9'.repeat(64), scale: 3e-7 },
  ],
};

const { weights, tokenizer, config } = bindings.vanilla;
const BODY = { weights, tokenizer: tokenizer!, config: config! };
/** A private part that was committed, and the rows that go with it. */
const withPool = ({ keys }: ClaimPlan) =>
  committing({
    bindings: {
      ...bindings,
      trainable_rows: [...new Set(keys.flatMap(({ tokens }) => tokens))].sort((a, b) => a - b),
      private_part: { state: 'committed', digest: hex('c') },
    },
  });

/** A plan whose keys have a stamp beside them. */
export const stamped = (plan: ClaimPlan): ClaimPlan => ({ ...plan, stamp: STAMP });

/** A stamp alone. */
export const stampAlone = (): ClaimPlan => {
  const { query, matcher, matcher_text, decoding, alpha, most_looks } = answersPlan(2, 2);
  const terms = { query, matcher, matcher_text, decoding, alpha, most_looks };
  return { ...terms, kind: 'drawn-direction', keys: [], stamp: STAMP } as ClaimPlan;
};

const readingOf = ({ matrices }: StampPlan, read: readonly (number | null)[]): StampReading =>
  readingFrom(
    STAMP,
    matrices.map(({ shape }, i) => {
      const z = read[i] ?? null;
      const squares = 0.1 + i / 7;
      const all = elements(shape);
      return z === null ? null : { elements: all - i, left_out: i, dot: z * Math.sqrt(squares), squares };
    }),
    true,
  );

/** The keys from `from` on, one by one. */
function inTurn(
  opened: Opened,
  answers: readonly string[],
  from: number,
  deciding: Parameters<typeof courseOf>[2],
  { until = 'verified', budget = answers.length }: SequentialOptions,
): Stopped {
  const { kind, plan, draw } = opened as OpenedOf<'drawn-answers'>; // or of membership: all the same here
  const keys = plan.keys.length;
  const terms = { from, keys, of: keys - from, until };
  const part = { ...opened, ...CLAIM_KINDS[kind].part(plan, draw, from, keys) } as typeof opened;
  const { course, ways } = courseOf(part as OpenedOf<'drawn-answers'>, terms, deciding);
  for (const answer of answers.slice(0, budget)) {
    if (course.stop !== undefined) break;
    course.take(namedBy(part.plan as PlanOf['drawn-answers'], course.asked, answer));
  }
  course.end();
  return outcome(course, terms, ways, { budget: null, not_counted: 0, looks: 1 });
}

/** Of keys from..to-1: the drawn ones higher by some, few different numbers, and now and then none. */
function scoresOf({ plan, draw, kind }: Opened, from: number, to: number): Scores {
  return Array.from({ length: to - from }, (_, i) => {
    const key = from + i;
    return CLAIM_KINDS[kind].candidates(plan as never, key).map((_, j) => {
      const own = draw.kind === 'drawn-answers' ? draw.indices[key] === j : isTrained(draw, key);
      const some = (7 * key + 5 * j) % 11;
      return some === 10 ? Number.NEGATIVE_INFINITY : (own ? 2 : 0) - some / 3;
    });
  });
}
const isTrained = (draw: Opened['draw'], key: number): boolean =>
  draw.kind === 'drawn-membership' && draw.trained.includes(key);

/** The statement, and its envelope. */
export function made({
  plan = answersPlan(16, 256) as ClaimPlan,
  key = KEYS.ed25519,
  lost = 0,
  range,
  wrapper,
  changed = [],
  body = false,
  committed = commitClaim(plan, body ? withPool(plan) : committing()),
  beside = NOTHING_BESIDE,
  trusted = [],
  forged,
  sequential,
  read,
  server = false,
  ranked = false,
}: Making = {}): { statement: Statement; text: string; opened: Opened } {
  const { claim, opening } = committed;
  const stamp = read && readingOf(plan.stamp!, read);
  const { evidence, randomness } = forged
    ? { evidence: FORGED, randomness: sha256Hex(Buffer.from(forged.signature, 'hex')) }
    : checkEvidence(beside, claim as Claim, trusted);
  const draw = makeDraw(claim, opening.reveal().owner_seed!, randomness || null);
  const bound = body ? withPool(plan).bindings : bindings;
  const opened = { kind: plan.kind, claim, plan, bindings: bound, draw } as Opened;
  let left = lost;
  const all = keyRoles(opened).map(({ role, target }) =>
    role === 'trained' && left-- <= 0 ? ` ${target}, ${target}.` : 'Ich weiß es nicht.',
  );
  const { from, to: most } = range ?? { from: 0, to: all.length };
  const name = wrapper ?? plan.query.wrapper;
  const keyless = plan.keys.length === 0;
  const [prefix, suffix] = keyless ? ['', ''] : (plan.query.wrappers![name] ?? ['<user>', '<model>']);
  const deciding = {
    asked: { wrapper: name, system: null, ...(!keyless && { around: [prefix, suffix] as const }) },
    changed,
    evidence,
    ...(server && { multiplicity: 2 }),
  };
  const stopped = sequential && inTurn(opened, all.slice(from, most), from, deciding, sequential);
  const to = stopped ? from + stopped.report.asked : most;
  const answers = all.slice(from, to);
  const { verdict, ranks, decoys } = decideWithFurther(
    opened,
    answers,
    {
      ...deciding,
      range: { from, to },
      ...(stamp && { stamp }),
      ...(stopped && { stopped }),
      ...(body && { ownerParts: { body: BODY } }),
    },
    {
      ...{ seed: stopped ? null : opening.reveal().owner_seed, randomness: randomness || null },
      ...(ranked && { scores: scoresOf(opened, from, to) }),
    },
  );
  const statement = statementOf(
    opened,
    { opening: opening.reveal() } as Partial<SecretContents> as SecretContents,
    {
      verdict,
      around: { prefix, suffix },
      look: 1,
      changed: [...changed],
      beacon: forged ?? beside.beacon,
      proofs: beside.proofs.map((response) => Buffer.from(response).toString('base64')),
      stamp: stamp ?? null,
      ...{ ranks, decoys },
      suspect: server
        ? {
            endpoint: 'https://host.example/v1',
            model_name: 'ähnlich',
            kind: 'chat',
            reported_models: ['ähnlich', 'ähnlich-2'],
            tls_peers: [hex('1'), hex('2')],
            asked_from: '2026-11-27T05:00:00.000Z',
            asked_to: '2026-11-27T05:00:01.500Z',
            transcript_chain: hex('b'),
          }
        : {
            weights: hex('3'),
            tokenizer: hex('4'),
            config: hex('5'),
            source: 'org/ähnlich',
            chat_template: null,
          },
      body: body ? BODY : null,
      exchanges: answers.map((answer, i) => ({
        prompt: `${prefix}${plan.keys[from + i]!.text}${suffix}`,
        prompt_tokens: server ? null : [1, from + i],
        answer,
        answer_tokens: server ? null : [7, i],
      })),
      signer: publicKeyOf(key),
      created: '2026-11-27T06:00:00.000Z',
      software: { name: 'whorl', version: '0.1.0', digest: hex('6') },
    },
  );
  return { statement, text: seal(statement as unknown as Json, key), opened };
}

export const small = (): ClaimPlan => membershipPlan(40, 5, 4) as ClaimPlan;
export const large = (): ClaimPlan => membershipPlan(400, 20, 30) as ClaimPlan;

/** A small certificate of each kind that there is. */
export const CERTIFICATE_KINDS: Readonly<Record<string, () => ReturnType<typeof made>>> = {
  rows: () => made({ plan: answersPlan(16, 32) as ClaimPlan, lost: 1 }),
  adapter: () => made({ plan: small(), lost: 1, body: true }),
  endpoint: () => made({ plan: answersPlan(16, 32) as ClaimPlan, server: true, lost: 2 }),
  stamp: () => made({ plan: stampAlone(), read: [9, -1, null] }),
  'keys and stamp': () => made({ plan: stamped(small()), read: [7, 2, 1], lost: 1 }),
  stopped: () => made({ plan: answersPlan(16, 32) as ClaimPlan, lost: 1, sequential: { until: 'matches' } }),
  ranked: () => made({ plan: answersPlan(12, 16) as ClaimPlan, lost: 1, ranked: true }),
  'ranked, of a pool with a stamp': () =>
    made({ plan: stamped(small()), read: [7, 2, 1], lost: 1, ranked: true }),
  'stopped, of a pool': () => made({ plan: membershipPlan(60, 9, 4) as ClaimPlan, lost: 1, sequential: {} }),
};
