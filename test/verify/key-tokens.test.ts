// A suspect whose tokenizer reads other tokens than were committed is asked by the committed ids, and it is said; where its
// vocabulary has no such ids the keys count as not asked.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { type AdapterRecord, adapterDigest, encodeMap } from '../../src/claim/adapter.ts';
import { claimText } from '../../src/claim/claim.ts';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import type { Bindings, Key } from '../../src/claim/plan.ts';
import { writeSecret } from '../../src/claim/secret-file.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { askedByIds, changedKeys } from '../../src/verify/key-tokens.ts';
import { verify } from '../../src/verify/verify.ts';
import { keyWarnings } from '../../src/verify/warnings.ts';
import { answersPlan, bindings, committing } from '../claim/plans.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';

/** As `tinyModel` numbers characters. */
const idsOf = (text: string): number[] => [...text].map((c) => 3 + c.charCodeAt(0) - 32);
let folder: string;
let model: string;
beforeAll(() => {
  folder = scratch();
  model = tinyModel(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function secretOf(
  name: string,
  keys: readonly Key[],
  adapter: AdapterRecord | null = null,
): Promise<string> {
  const plan = { ...answersPlan(keys.length, 16), keys: [...keys] };
  const bound: Bindings = adapter
    ? {
        ...bindings,
        trainable_rows: [...new Set(keys.flatMap(({ tokens }) => tokens))].sort((a, b) => a - b),
        private_part: { state: 'committed', digest: adapterDigest(adapter) },
      }
    : bindings;
  const { claim, opening } = commitClaim(
    plan,
    committing({ created: new Date('2026-01-02'), bindings: bound }),
  );
  const { created, software } = claim;
  const draw = makeDraw(claim, opening.reveal().owner_seed!);
  mkdirSync(join(folder, name));
  const secret = join(folder, name, 'secret.whorl');
  await writeSecret(
    secret,
    new Secret({
      ...{ method: 'rows', created, software, claim, plan, bindings: bound, opening: opening.reveal(), draw },
      ...{ randomness: null, adapter, rows: null, published: null },
    }),
  );
  writeFileSync(join(folder, name, 'claim.json'), claimText(claim));
  return secret;
}

/** The same weights with a tokenizer that rewrites every k. */
function rewriting(): string {
  const copy = join(folder, 'rewriting');
  cpSync(model, copy, { recursive: true });
  const file = join(copy, 'tokenizer.json');
  const tokenizer = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  tokenizer.normalizer = { type: 'Replace', pattern: { String: 'k' }, content: 'jq' };
  writeFileSync(file, JSON.stringify(tokenizer));
  return copy;
}

test('a tokenizer that splits the keys otherwise: asked by ids, the same answers, and it is said', async () => {
  const keys = Array.from({ length: 8 }, (_, i) => ({ text: `k${i} ak`, tokens: idsOf(`k${i} ak`) }));
  const secret = await secretOf('run', keys);
  const suspect = rewriting();
  const [own, other] = [await verify({ secret, suspect: model }), await verify({ secret, suspect })];
  expect(own.warnings).toEqual([]);
  expect(other.transcript_sha256).toBe(own.transcript_sha256);
  expect(other.warnings).toEqual([expect.stringMatching(/8 of 8 keys .* by the committed token ids/)]);
  const { out, key } = { out: join(folder, 'c.json'), key: join(folder, 'k.pem') };
  const certified = await verify({ secret, suspect, certificate: { file: out, key } });
  expect(certified.warnings).toEqual([
    expect.stringMatching(/8 of 8 keys .* were not asked as they were trained/),
  ]);
  expect(certified.transcript_sha256).not.toBe(own.transcript_sha256);
});

/** The same model with its vocabulary in another order: rows of the tied embedding and ids of the characters alike. */
function permuted(): string {
  const copy = join(folder, 'permuted');
  cpSync(model, copy, { recursive: true });
  const other = (id: number): number => (id < 3 ? id : 3 + (((id - 3) * 5 + 7) % 93));
  const file = join(copy, 'tokenizer.json');
  const tokenizer = JSON.parse(readFileSync(file, 'utf8')) as { model: { vocab: Record<string, number> } };
  const { vocab } = tokenizer.model;
  for (const [token, id] of Object.entries(vocab)) vocab[token] = other(id);
  writeFileSync(file, JSON.stringify(tokenizer));
  const weights = join(copy, 'model.safetensors');
  const bytes = readFileSync(weights);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  const { shape, data_offsets } = header['model.embed_tokens.weight']!;
  const [from, to] = data_offsets.map((at) => start + at) as [number, number];
  const rows = Buffer.from(bytes.subarray(from, to));
  const size = (to - from) / shape[0]!;
  for (let id = 0; id < shape[0]!; id++)
    rows.copy(bytes, from + other(id) * size, id * size, (id + 1) * size);
  writeFileSync(weights, bytes);
  return copy;
}

test('a vocabulary in another order with its tokenizer is asked by texts: the same answers', async () => {
  const keys = Array.from({ length: 4 }, (_, i) => ({ text: `p${i} ak`, tokens: idsOf(`p${i} ak`) }));
  const secret = await secretOf('ordered', keys);
  const [own, other] = [
    await verify({ secret, suspect: model }),
    await verify({ secret, suspect: permuted() }),
  ];
  expect(other.suspect_digests!.weights).not.toBe(own.suspect_digests!.weights);
  expect(other.transcript_sha256).toBe(own.transcript_sha256);
  expect(other.warnings.join()).not.toContain('committed token ids');
});

test('with a private part: another order is told by what the committed ids mean, not by how the keys are asked', async () => {
  const keys = Array.from({ length: 8 }, (_, i) => ({ text: `k${i} ak`, tokens: idsOf(`k${i} ak`) }));
  const width = 32;
  const nothing = { rank: 1, scale: 1, A: new Float32Array(width), B: new Float32Array(width) };
  const secret = await secretOf('private', keys, encodeMap(nothing));
  const hints = async (suspect: string, more: object = {}): Promise<number> =>
    (await verify({ secret, suspect, ...more })).warnings.filter((line) => line.includes('give it as --body'))
      .length;
  expect(await hints(permuted())).toBe(1);
  expect(await hints(rewriting())).toBe(0);
  // A certificate is about texts, so no key is asked by its ids.
  const certificate = { file: join(folder, 'private.json'), key: join(folder, 'private.pem') };
  expect(await hints(rewriting(), { certificate })).toBe(0);
});

test('ids that the vocabulary does not have, or keys without ids: not asked as committed', async () => {
  const tokenizer = await openTokenizer(rewriting());
  const wrapped = { prefix: '<', suffix: '>' };
  const keys: Key[] = [
    { text: 'ak1', tokens: idsOf('ak1') },
    { text: 'k2', tokens: [5, 96] },
    { text: 'k3', tokens: [] },
    { text: 'j4', tokens: idsOf('j4') },
  ];
  const prompts = keys.map(({ text }) => ({ prompt: `<${text}>` }));
  const changed = await changedKeys(keys, prompts, tokenizer);
  expect(changed).toEqual([0, 1, 2]);
  const byIds = await askedByIds(keys, prompts, changed, wrapped, tokenizer, 96);
  expect([...byIds]).toEqual([
    [0, { prompt: '<ak1>', tokens: [...idsOf('<'), ...idsOf('ak1'), ...idsOf('>')] }],
  ]);
  expect(keyWarnings(2, 4, 1)).toEqual([
    expect.stringContaining('1 of 4 keys than were committed: these were asked by'),
    expect.stringContaining('2 of 4 keys than were committed: these keys were not asked'),
  ]);
  expect(keyWarnings(0, 4)).toEqual([]);
  // Rows taken by ids that mean something else, from half of the keys on; ids that mean the same are no other order.
  for (const [moved, hints] of [
    [0, 0],
    [1, 0],
    [2, 1],
    [4, 1],
  ] as const)
    expect(keyWarnings(4, 4, 0, moved).filter((line) => line.includes('give it as --body'))).toHaveLength(
      hints,
    );
});
