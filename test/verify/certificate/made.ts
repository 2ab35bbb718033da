// Certificates about claims that no model was asked for: every answer is made up.

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Json } from '../../../src/claim/canonical.ts';
import type { Claim } from '../../../src/claim/claim.ts';
import { commitClaim } from '../../../src/claim/commitment.ts';
import { makeDraw } from '../../../src/claim/draw.ts';
import { keyRoles, type Opened } from '../../../src/claim/open.ts';
import type { ClaimPlan } from '../../../src/claim/plan.ts';
import type { SecretContents } from '../../../src/claim/secret-contents.ts';
import { type Beside, NOTHING_BESIDE } from '../../../src/proof/beside.ts';
import type { TsaCertificate } from '../../../src/proof/certificates.ts';
import { publicKeyOf, seal } from '../../../src/verify/certificate/dsse.ts';
import { statementOf } from '../../../src/verify/certificate/issue.ts';
import type { Statement } from '../../../src/verify/certificate/statement.ts';
import { checkEvidence } from '../../../src/verify/evidence.ts';
import { decide } from '../../../src/verify/verdict.ts';
import { answersPlan, bindings, committing, membershipPlan } from '../../claim/plans.ts';

export const KEYS = {
  ed25519: generateKeyPairSync('ed25519').privateKey,
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
};
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
}

/** The statement, and its envelope. */
export function made({
  plan = answersPlan(16, 256) as ClaimPlan,
  key = KEYS.ed25519,
  lost = 0,
  range,
  wrapper,
  changed = [],
  committed = commitClaim(plan, committing()),
  beside = NOTHING_BESIDE,
  trusted = [],
}: Making = {}): { statement: Statement; text: string; opened: Opened } {
  const { claim, opening } = committed;
  const { evidence, randomness } = checkEvidence(beside, claim as Claim, trusted);
  const draw = makeDraw(claim, opening.reveal().owner_seed!, randomness || null);
  const opened = { kind: plan.kind, claim, plan, bindings, draw } as Opened;
  let left = lost;
  const all = keyRoles(opened).map(({ role, target }) =>
    role === 'trained' && left-- <= 0 ? ` ${target}, ${target}.` : 'Ich weiß es nicht.',
  );
  const { from, to } = range ?? { from: 0, to: all.length };
  const name = wrapper ?? plan.query.wrapper;
  const [prefix, suffix] = plan.query.wrappers![name] ?? ['<user>', '<model>'];
  const answers = all.slice(from, to);
  const verdict = decide(opened, answers, {
    asked: { wrapper: name, system: null, around: [prefix, suffix] },
    range: { from, to },
    changed,
    evidence,
  });
  const statement = statementOf(
    opened,
    { opening: opening.reveal() } as Partial<SecretContents> as SecretContents,
    {
      verdict,
      around: { prefix, suffix },
      look: 1,
      changed: [...changed],
      beacon: beside.beacon,
      proofs: beside.proofs.map((response) => Buffer.from(response).toString('base64')),
      suspect: {
        weights: hex('3'),
        tokenizer: hex('4'),
        config: hex('5'),
        source: 'org/ähnlich',
        chat_template: null,
      },
      body: null,
      exchanges: answers.map((answer, i) => ({
        prompt: `${prefix}${plan.keys[from + i]!.text}${suffix}`,
        prompt_tokens: [1, from + i],
        answer,
        answer_tokens: [7, i],
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
