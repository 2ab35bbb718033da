// --ranks: everything that could have been drawn is scored behind the keys as they were asked, here and behind a server alike,
// and what comes of it gives no word.

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openClaim } from '../../src/claim/open.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import { scoreAll } from '../../src/lm/ask.ts';
import { LocalModel } from '../../src/lm/local-model.ts';
import { openModel } from '../../src/models/open-model.ts';
import type { RunFolder } from '../../src/runs/run-folder.ts';
import { askAgain } from '../../src/verify/certificate/ask-again.ts';
import { checkCertificate } from '../../src/verify/certificate/check.ts';
import { signingKey } from '../../src/verify/certificate/dsse.ts';
import { chainedRanks, subjectDigest } from '../../src/verify/certificate/statement.ts';
import { fisherTail } from '../../src/verify/exact/t6.ts';
import { verify } from '../../src/verify/verify.ts';
import { bindings } from '../claim/plans.ts';
import { finished } from '../cli/finished-run.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';
import { whorl } from '../cli/whorl.ts';
import { answering, over, type Server, serve } from '../lm/openai-server.ts';
import { codeOf, improved } from './certificate/mutants.ts';
import { hasPython, pythonCodes } from './certificate/python.ts';

let folder: string;
let run: RunFolder;
let suspect: string;
let local: LocalModel;
let server: Server;
beforeAll(async () => {
  folder = scratch();
  suspect = tinyModel(folder);
  run = await finished(join(folder, 'run'), suspect, bindings);
  local = await LocalModel.open(await openModel(suspect));
  server = await serve(over(local));
});
afterAll(async () => {
  await server.close();
  await local.release();
  rmSync(folder, { recursive: true });
});

async function drawnOf(path: string) {
  const contents = (await readSecret(join(path, 'secret.whorl'))).reveal();
  const { plan, draw } = openClaim(contents.claim as never, contents);
  if (plan.kind !== 'drawn-answers' || draw.kind !== 'drawn-answers') throw new Error('of another kind');
  return { plan, draw };
}

test('T6 is of the log-probabilities that the model gives, and the verdict is what it was', async () => {
  const { secret } = run;
  const [plain, ranked] = [await verify({ secret, suspect }), await verify({ secret, suspect, ranks: true })];
  expect({ ...ranked, seconds: 0, further: [] }).toEqual({ ...plain, seconds: 0, further: [] });
  expect(plain.further).toHaveLength(1);
  const { plan, draw } = await drawnOf(run.path);
  const [list, m] = [plan.candidates[0]!, plan.candidates[0]!.length];
  const rows = plan.keys.map(({ text }) =>
    list.flatMap((word) =>
      [word, ` ${word}`].map((continuation) => ({ context: `${text}\n`, continuation })),
    ),
  );
  const scores = await scoreAll(local, rows.flat());
  let x = 0;
  for (const [i, drawn] of draw.indices.entries()) {
    const of = (j: number): number =>
      [0, 1].reduce((sum, form) => sum + Math.exp(scores[2 * (i * m + j) + form]!.logprob), 0);
    const rank = 1 + list.filter((_, j) => of(j) > of(drawn)).length;
    x += Math.log(m / rank);
  }
  expect(ranked.further.map(({ test }) => test.slice(0, 2))).toEqual(['T5', 'T6', 'T5']);
  expect(ranked.further[1]!.log10_p).toBeCloseTo(fisherTail(plan.keys.length, x).log10_p, 9);
});

test('behind a server that gives log-probabilities the same lines; it is asked within its budget', async () => {
  const { secret } = run;
  const endpoint = { model_name: 'm', transcript: join(folder, 't.jsonl') };
  const here = await verify({ secret, suspect, ranks: true, keys: 3 });
  const there = await verify({ secret, suspect: server.url, endpoint, ranks: true, keys: 3 });
  expect(there.further.map(({ test }) => test)).toEqual(here.further.map(({ test }) => test));
  expect(there.further[1]!.log10_e).toBeCloseTo(here.further[1]!.log10_e!, 6);
  const few = { ...endpoint, transcript: join(folder, 'u.jsonl'), max_queries: 20 };
  const before = server.texts().length;
  await expect(verify({ secret, suspect: server.url, endpoint: few, ranks: true })).rejects.toMatchObject({
    code: 'over-budget',
  });
  expect(server.texts().length).toBe(before); // no key was asked
  const chat = { ...endpoint, endpoint_kind: 'chat' as const, transcript: join(folder, 'v.jsonl') };
  await expect(verify({ secret, suspect: server.url, endpoint: chat, ranks: true })).rejects.toMatchObject({
    code: 'unsupported',
  });
});

test('a certificate holds what was ranked: check comes to the same lines from the file alone, Python to the same word', async () => {
  const own = join(folder, 'own');
  cpSync(run.path, own, { recursive: true }); // its keys are burnt
  const certificate = { file: join(folder, 'certificate.json'), key: join(folder, 'key.pem') };
  const { further } = await verify({ secret: join(own, 'secret.whorl'), suspect, ranks: true, certificate });
  const text = readFileSync(certificate.file, 'utf8');
  expect(checkCertificate(text).further()).toEqual(further);
  if (hasPython) expect(pythonCodes([text])).toEqual([codeOf(text)]);
  const { out } = await whorl('check', certificate.file);
  expect(out).toMatch(/beside it +T6 ranks of the drawn answers .*p ≤ .*e = /);
});

test('asked again, the suspect scores the same; a T6 that was made up is told from it, and may be left out', async () => {
  const own = join(folder, 'again');
  cpSync(run.path, own, { recursive: true });
  const certificate = { file: join(folder, 'again.json'), key: join(folder, 'key.pem') };
  await verify({ secret: join(own, 'secret.whorl'), suspect, ranks: true, certificate });
  const checked = checkCertificate(readFileSync(certificate.file, 'utf8'));
  const { ranks } = checked.statement.predicate;
  const honest = await askAgain(checked, { suspect });
  expect(honest).toMatchObject({ confirmed: true, ranks: { stated: ranks!.log10_p, apart: 0 } });
  expect(honest.ranks!.read).toBeCloseTo(ranks!.log10_p!, 12);
  expect(await askAgain(checked, { suspect, withoutRanks: true })).toMatchObject({ ranks: null });

  // Every drawn candidate first, which no replay can contradict.
  const key = signingKey(readFileSync(certificate.key, 'utf8'), certificate.key);
  const { draw } = await drawnOf(own);
  const liar = improved(checked.statement, key, ({ predicate }) => {
    const scores = predicate.ranks!.scores.map((row, i) =>
      row.map((x, j) => (j === draw.indices[i] ? 0 : x)),
    );
    const log10_p = checked.rank(scores as number[][]);
    predicate.ranks = chainedRanks(predicate.transcript, predicate.stamp, { scores, log10_p });
    delete predicate.decoys;
  });
  const told = await askAgain(checkCertificate(liar), { suspect });
  expect(told.confirmed).toBe(true); // it gives no word
  expect(told.ranks!.stated).toBeLessThan(-3.7);
  expect(told.ranks!.read).toBeCloseTo(ranks!.log10_p!, 12);
  expect(told.ranks!.apart).toBeGreaterThan(0.1);
  writeFileSync(certificate.file, liar);
  const shown = await whorl('check', certificate.file, '--suspect', suspect);
  expect(shown.out).toMatch(/ranks +T6: p of one look .*, stated 10\^-.*; scores are .* nats apart at most/);
  const without = await whorl('check', certificate.file, '--suspect', suspect, '--without-ranks');
  expect(without.out).not.toMatch(/nats apart/);
  const alone = await whorl('check', certificate.file, '--without-ranks');
  expect([alone.code, alone.err]).toEqual([2, expect.stringMatching(/--without-ranks goes with --suspect/)]);
});

test('a server that a certificate with ranks is about is scored again within its budget; one that gives no more numbers is put no key', async () => {
  const own = join(folder, 'served');
  cpSync(run.path, own, { recursive: true });
  const certificate = { file: join(folder, 'served.json'), key: join(folder, 'key.pem') };
  const settings = { model_name: 'm', endpoint_kind: 'completions' as const };
  const endpoint = { ...settings, transcript: join(folder, 'again.jsonl') };
  const secret = join(own, 'secret.whorl');
  await verify({ secret, suspect: server.url, endpoint, ranks: true, keys: 3, certificate });
  const checked = checkCertificate(readFileSync(certificate.file, 'utf8'));
  const again = await askAgain(checked, { suspect: server.url, endpoint: settings });
  expect(again).toMatchObject({ confirmed: true, answers: { same: 3 }, ranks: { apart: 0 } });
  const asked = server.texts().length;
  const few = { ...settings, max_queries: 50 };
  await expect(askAgain(checked, { suspect: server.url, endpoint: few })).rejects.toMatchObject({
    code: 'over-budget',
  });
  expect(server.texts()).toHaveLength(asked);
  const without = { suspect: server.url, endpoint: few, withoutRanks: true };
  expect(await askAgain(checked, without)).toMatchObject({ ranks: null, answers: { same: 3 } });

  const plain = await serve(answering(() => 'hm'));
  const moved = improved(checked.statement, signingKey(readFileSync(certificate.key, 'utf8'), ''), (copy) => {
    const { predicate } = copy;
    Object.assign(predicate.suspect, { endpoint: plain.url });
    copy.subject[0].digest.sha256 = subjectDigest(predicate.suspect);
  });
  await expect(
    askAgain(checkCertificate(moved), { suspect: plain.url, endpoint: settings }),
  ).rejects.toMatchObject({ code: 'unsupported' });
  expect(plain.texts().filter((text) => text.includes('key'))).toEqual([]);
  await plain.close();
});

test('a server that gives no log-probabilities is asked no key', async () => {
  const silent = await serve(answering(() => 'hm'));
  try {
    const endpoint = { model_name: 'm', transcript: join(folder, 'w.jsonl') };
    await expect(
      verify({ secret: run.secret, suspect: silent.url, endpoint, ranks: true }),
    ).rejects.toMatchObject({ code: 'unsupported' });
    expect(silent.texts().filter((text) => text.includes('key'))).toEqual([]);
  } finally {
    await silent.close();
  }
});

test('for people, and as a plan', async () => {
  const flags = ['--secret', run.secret, '--suspect', suspect, '--ranks'];
  const { out } = await whorl('verify', ...flags);
  expect(out).toMatch(/beside it +T6 ranks of the drawn answers .*p ≤ .*e = .*decoy secrets reach as much/);
  const plan = JSON.parse((await whorl('verify', ...flags, '--dry-run', '--json')).out) as {
    settings: Record<string, unknown>;
  };
  expect(plan.settings.ranks).toBe(8 * 16 * 2);
});
