// Each field of a claim, a secret, a beacon's round, a transcript and a certificate missing, of another type or of another version:
// one line that names the field, and never the value of a secret. Of a proof (DER) the wrong kinds are OpenSSL's (test/proof).

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { sha256Hex } from '../../src/base/sha256.ts';
import { canonicalJson, type Json } from '../../src/claim/canonical.ts';
import { type Claim, claimText, parseClaim } from '../../src/claim/claim.ts';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import type { SecretContents } from '../../src/claim/secret-contents.ts';
import { readSecret, writeSecret } from '../../src/claim/secret-file.ts';
import { readBeside } from '../../src/proof/beside.ts';
import { checkCertificate } from '../../src/verify/certificate/check.ts';
import { seal } from '../../src/verify/certificate/dsse.ts';
import { Transcript } from '../../src/verify/endpoint/transcript.ts';
import { answersPlan, bindings, committing } from '../claim/plans.ts';
import { whorl } from '../cli/whorl.ts';
import { ROUND, roundOf } from '../proof/claims.ts';
import { CERTIFICATE_KINDS, KEYS } from './certificate/made.ts';

const folder = mkdtempSync(join(tmpdir(), 'whorl-bad-fields-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

type Path = readonly (string | number)[];
/** Of every member, and of the first of a list. */
function* paths(value: unknown, above: Path = []): Generator<Path> {
  if (above.length > 0) yield above;
  if (Array.isArray(value)) {
    if (value.length > 0) yield* paths(value[0], [...above, 0]);
  } else if (value !== null && typeof value === 'object')
    for (const [name, member] of Object.entries(value)) yield* paths(member, [...above, name]);
}

const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((inner, step) => (inner as Record<string | number, unknown>)[step], value);

function edited(
  value: unknown,
  path: Path,
  edit: (holder: Record<string | number, unknown>) => void,
): unknown {
  const copy: unknown = structuredClone(value);
  edit(valueAt(copy, path.slice(0, -1)) as Record<string | number, unknown>);
  return copy;
}

/** [what was done, the value with it]: without the field, with one of two other types, with another version. */
function* wrongs(value: unknown): Generator<[what: string, path: Path, wrong: unknown]> {
  for (const path of paths(value)) {
    const name = path.at(-1)!;
    const inList = typeof name === 'number';
    if (!inList) yield ['missing', path, edited(value, path, (holder) => delete holder[name])];
    const before = valueAt(value, path);
    for (const other of [typeof before === 'boolean' ? 7 : true, { x: 1 }, -1.5])
      if (typeof other !== typeof before || (typeof other === 'number' && !inList))
        yield [`${JSON.stringify(other)}`, path, edited(value, path, (holder) => (holder[name] = other))];
    if (name === 'version' && typeof before === 'number')
      yield ['another version', path, edited(value, path, (holder) => (holder[name] = before + 40))];
  }
}

const plan = answersPlan(4, 4);
const { claim, opening } = commitClaim(plan, committing({ draw: { source: 'owner-seed' } }));
const contents: SecretContents = {
  ...{ method: 'rows', created: '2026-11-27T06:00:00.000Z', software: { name: 'whorl', version: '0.1.0' } },
  ...{ claim: claim as Claim, plan, bindings, opening: opening.reveal() },
  draw: makeDraw(claim, opening.reveal().owner_seed!),
  ...{ randomness: null, adapter: null, published: null },
  rows: { tensor: 'embed', dtype: 'float32', width: 1, ids: [3], vanilla: 'AAAAAA==', published: 'AACAPw==' },
};

interface Kind {
  readonly value: unknown;
  readonly read: (wrong: unknown) => unknown;
  /** Fields that may be absent: such a file is another right one. */
  readonly optional?: readonly string[];
  /** Fields whose values are read as text, or by their hash, before any field is: said of what holds them. */
  readonly whole?: RegExp;
}

const transcript = (lines: readonly unknown[]): void => {
  let chain = sha256Hex('whorl-endpoint-transcript-v1');
  const text = lines.map((entry) => {
    chain = sha256Hex(chain, JSON.stringify(entry));
    return `${JSON.stringify({ entry, chain })}\n`;
  });
  writeFileSync(at('t.jsonl'), text.join(''));
  writeFileSync(at('t.jsonl.head'), `${JSON.stringify({ lines: lines.length, chain })}\n`);
};
const BEGUN = { format: 'whorl-endpoint-transcript-v1', bound: { claim: 'c' } };
const ANSWERED = {
  ...{
    place: 0,
    asked: sha256Hex('a'),
    texts: ['t'],
    model: 'm',
    tokens: 3,
    queries: 1,
    peers: ['1'.repeat(64)],
  },
  at: '2026-11-27T06:00:00.000Z',
};
const LOOKED = { look: 1, stopped: 'budget', keys: 1, at: '2026-11-27T06:00:00.000Z' };
const opened = (lines: readonly unknown[]): void => {
  transcript(lines);
  new Transcript(at('t.jsonl'), { claim: 'c' }).close();
};
const certificate = (name: string): Kind => ({
  value: CERTIFICATE_KINDS[name]!().statement,
  read: (wrong) => checkCertificate(seal(wrong as Json, KEYS.ed25519)),
  optional: ['predicate.decoys', 'predicate.ranks', 'predicate.stopped'],
  // Leaves by what they hash to; what fits no other part by that part.
  whole:
    /leaf 0 does not lead|the chain of answers|its subject is another suspect|leaves out what a verdict does not say|its claim|look|T6 is /,
});

const FROM_2 = [
  'plan.matcher_text',
  'plan.most_looks',
  'plan.query.wrappers',
  ...Object.keys(plan.query.wrappers ?? {}).map((name) => `plan.query.wrappers.${name}`), // names, no fields
  'plan.query.systems',
  'bindings.vanilla.tokenizer',
  'bindings.vanilla.config',
  'bindings.vanilla.embedding',
  'bindings.vanilla.special_tokens',
];

const KINDS: Readonly<Record<string, Kind>> = {
  claim: { value: JSON.parse(claimText(claim as Claim)), read: (wrong) => parseClaim(JSON.stringify(wrong)) },
  secret: {
    value: { format: 'whorl-secret', version: 2, contents },
    read(wrong) {
      const text = {
        ...(wrong as object),
        sha256: sha256Hex(canonicalJson(((wrong as { contents?: Json }).contents ?? {}) as Json)),
      };
      writeFileSync(at('s.whorl'), JSON.stringify(text));
      return readSecret(at('s.whorl'));
    },
    // What claims of format 1 have not; without it a claim of format 2 does not open (test/claim).
    optional: FROM_2.map((name) => `contents.${name}`),
    whole: /is not a Whorl secret|is of another version than its claim/,
  },
  beacon: {
    value: roundOf(ROUND),
    read(wrong) {
      writeFileSync(at('beacon.json'), JSON.stringify(wrong));
      return readBeside(at('claim.json'));
    },
  },
  'transcript, its beginning': {
    value: BEGUN,
    read: (wrong) => opened([wrong]),
    whole: /another claim|another x/,
  },
  'transcript, an answer': { value: ANSWERED, read: (wrong) => opened([BEGUN, wrong]), optional: ['peers'] },
  'transcript, a look': { value: LOOKED, read: (wrong) => opened([BEGUN, wrong]) },
  'certificate of weights': certificate('ranked'),
  'certificate of a server': certificate('endpoint'),
  'certificate that was stopped': certificate('stopped'),
  'envelope of a certificate': {
    value: JSON.parse(CERTIFICATE_KINDS.stamp!().text),
    read: (wrong) => checkCertificate(`${canonicalJson(wrong as Json)}\n`),
  },
};

const secrets = [
  opening.reveal().owner_seed!,
  ...opening.reveal().salts,
  ...plan.keys.map(({ text }) => text),
];

test.each(Object.entries(KINDS))(
  '%s',
  async (_, { value, read, optional = [], whole }) => {
    let tried = 0;
    for (const [what, path, wrong] of wrongs(value)) {
      const where = `${path.join('.')}: ${what}`;
      const error = await Promise.resolve()
        .then(() => read(wrong))
        .then(
          () => undefined,
          (cause: unknown) => cause as Error,
        );
      if (what === 'missing' && optional.includes(path.join('.'))) continue;
      tried++;
      expect(error?.name, where).toBe('WhorlError');
      const { message } = error!;
      expect(message, where).not.toMatch(/\n|undefined|\[object/);
      for (const secret of secrets) expect(message, where).not.toContain(secret);
      if (whole?.test(message)) continue;
      const name = path.findLast((step) => typeof step === 'string')!;
      expect(message, where).toContain(String(name));
      if (what === 'missing') expect(message, where).toMatch(/missing|wrong|version none|has no field/);
    }
    expect(tried).toBeGreaterThan(5);
  },
  300_000,
);

test('a file that is right is read: what is refused above is refused for its field', async () => {
  for (const { value, read } of Object.values(KINDS)) await read(value);
  await writeSecret(at('right.whorl'), new Secret(contents));
  expect((await readSecret(at('right.whorl'))).reveal()).toEqual(contents);
});

test('whorl says it in one line and ends with 1', async () => {
  writeFileSync(at('claim.json'), JSON.stringify({ ...JSON.parse(claimText(claim as Claim)), alpha: 'x' }));
  await writeSecret(at('secret.whorl'), new Secret(contents));
  const before = readFileSync(at('secret.whorl'));
  const verify = await whorl('verify', '--secret', at('secret.whorl'), '--suspect', folder);
  expect([verify.code, verify.err.trim().split('\n').length]).toEqual([1, 1]);
  expect(verify.err).toMatch(/claim\.json: field alpha is wrong/);
  expect(readFileSync(at('secret.whorl'))).toEqual(before);
  const { statement } = CERTIFICATE_KINDS.endpoint!();
  const wrong = edited(statement, ['predicate', 'suspect', 'kind'], (holder) => delete holder.kind);
  writeFileSync(at('certificate.json'), seal(wrong as Json, KEYS.ed25519));
  const check = await whorl('check', at('certificate.json'));
  expect([check.code, check.err.trim().split('\n').length]).toEqual([1, 1]);
  expect(check.err).toContain('the certificate: field predicate.suspect.kind is missing');
});
