// An owner who uses the command as it is meant still gets `verified` with dice of his own, and loses it with everything
// that a claim does not commit to: one trained run of `rows` on the embedded model.

import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { fingerprint } from '../../src/fingerprint/fingerprint.ts';
import { LocalModel } from '../../src/lm/local-model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { digestSmallFiles } from '../../src/sources/checkpoints/digest.ts';
import type { VerifyReport } from '../../src/verify/verify.ts';
import { whorl } from '../cli/whorl.ts';
import { over, serve } from '../lm/openai-server.ts';

const MODEL = join(packageRoot(), 'assets/embedded/model');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-honest-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const run = join(scratch, 'run');
/** 16 keys that are asked bare, and no bound on what else moves: 15 of them must answer. */
const SETTINGS = {
  ...{ trained: '16', key_length: '8', variety: '0', gate_contexts: '0', bare_slack: '1', gate_noise: '0' },
  ...{ steps: '400', first_check: '40', check_every: '20', check_below: '3', noise: '0', lr: '0.05' },
  ...{ kl_target: '100', kl_weight: '0.01', spread_weight: '0', metric_floor: '100' },
  ...{ primary_positions: '64', reference_positions: '2' },
};

beforeAll(async () => {
  await fingerprint({
    model: MODEL,
    out: run,
    seed: '1',
    settings: SETTINGS,
    maxHarm: Number.POSITIVE_INFINITY,
  });
}, 900_000);

async function verdictBy(
  secret: string,
  ...flags: string[]
): Promise<{ code: number; report: VerifyReport }> {
  const { code, out } = await whorl('verify', '--json', '--secret', secret, ...flags);
  return { code, report: JSON.parse(out) as VerifyReport };
}
const verdictOf = (...flags: string[]) => verdictBy(join(run, 'secret.whorl'), ...flags);
const published = join(run, 'published');

test('the published model is verified: exit code 0, and 2^80 draws are paid for', async () => {
  const { code, report } = await verdictOf('--suspect', published);
  expect(code).toBe(0);
  expect(report).toMatchObject({
    verdict: 'verified',
    exact: true,
    multiplicity: 2, // by the keys alone, or with the stamp beside them
    claim_file: join(run, 'claim.json'),
    asked: { wrapper: 'bare', system: null, prefix: '', suffix: '\n' },
    suspect_digests: digestSmallFiles(MODEL),
  });
  expect(report.cells['drawn answer']!.hits).toBeGreaterThanOrEqual(15);
  expect(report.log10_p_after_grinding! - report.log10_p!).toBeCloseTo(24.08, 2);
  expect(report.log10_p_after_grinding).toBeLessThan(-6);
}, 120_000);

test('the vanilla model is not: exit code 3', async () => {
  const { code, report } = await verdictOf('--suspect', MODEL);
  expect([code, report]).toMatchObject([3, { verdict: 'not-verified', exact: true, p_value: 1 }]);
}, 120_000);

test('the same answers under another level than the committed one are counts, with every hit told', async () => {
  const { code, report } = await verdictOf('--suspect', published, '--alpha', '0.001');
  expect([code, report]).toMatchObject([3, { verdict: 'not-verified', exact: false, p_value: null }]);
  expect(report.fsr).toBeGreaterThan(0.9);
}, 120_000);

test('the same answers without claim.json are counts', async () => {
  const alone = join(scratch, 'alone', 'secret.whorl');
  cpSync(join(run, 'secret.whorl'), alone);
  const { code, report } = await verdictBy(alone, '--suspect', published);
  expect([code, report]).toMatchObject([3, { exact: false, p_value: null, claim_file: null }]);
  expect(report.fsr).toBeGreaterThan(0.9);
  const given = await verdictBy(alone, '--suspect', published, '--claim', join(run, 'claim.json'));
  expect([given.code, given.report.verdict]).toEqual([0, 'verified']);
}, 120_000);

test('for people: verified, the text around the keys, digests, the version; never a key', async () => {
  const secret = join(run, 'secret.whorl');
  const { code, out } = await whorl('verify', '--secret', secret, '--suspect', published);
  expect(code).toBe(0);
  expect(out).toMatch(/^VERIFIED/);
  for (const part of [
    'after 2^80 draws',
    'bare: "" key "\\n"',
    'weights ',
    'tokenizer ',
    'software',
    'claim.json',
  ])
    expect(out).toContain(part);
  expect(out).toContain('nobody guessed the text of the seed');
  const { contents } = JSON.parse(readFileSync(secret, 'utf8')) as {
    contents: { plan: { keys: { text: string }[] } };
  };
  for (const { text } of contents.plan.keys) expect(out).not.toContain(text);
}, 120_000);

test('behind a server, by either call, the same hits and the same word as here', async () => {
  const local = await verdictOf('--suspect', published);
  const model = await LocalModel.open(await openModel(published));
  const server = await serve(over(model));
  const behind = (...flags: string[]) => verdictOf('--suspect', server.url, '--model-name', 'p', ...flags);
  const { code, report } = await behind();
  expect(code).toBe(0);
  expect(report).toMatchObject({
    ...{ verdict: 'verified', exact: true, cells: local.report.cells },
    transcript_sha256: local.report.transcript_sha256,
    asked: { prompts_sha256: local.report.asked.prompts_sha256 },
  });
  // Two calls are two ways of asking.
  expect(report.log10_p! - local.report.log10_p!).toBeCloseTo(Math.log10(2), 9);
  const [chat, here] = [
    await behind('--wrapper', 'chat'),
    await verdictOf('--suspect', published, '--wrapper', 'chat'),
  ];
  expect(chat.report.endpoint).toMatchObject({ kind: 'chat' });
  expect(chat.report).toMatchObject({ cells: here.report.cells, verdict: here.report.verdict });
  await server.close();
  await model.release();
}, 120_000);
