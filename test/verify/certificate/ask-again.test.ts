// `whorl check --suspect`: the suspect that a certificate is about says the same again; one that does not, and another, are told.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Json } from '../../../src/claim/canonical.ts';
import { commitClaim } from '../../../src/claim/commitment.ts';
import { makeDraw } from '../../../src/claim/draw.ts';
import type { Opened } from '../../../src/claim/open.ts';
import type { SecretContents } from '../../../src/claim/secret-contents.ts';
import { drawStamp } from '../../../src/claim/stamp.ts';
import { openModel } from '../../../src/models/open-model.ts';
import { askAgain } from '../../../src/verify/certificate/ask-again.ts';
import { checkCertificate } from '../../../src/verify/certificate/check.ts';
import { publicKeyOf, seal } from '../../../src/verify/certificate/dsse.ts';
import { statementOf } from '../../../src/verify/certificate/issue.ts';
import { digestsOfModel } from '../../../src/verify/machine.ts';
import { readStamp } from '../../../src/verify/stamp.ts';
import { decide } from '../../../src/verify/verdict.ts';
import { verify } from '../../../src/verify/verify.ts';
import { bindings, committing } from '../../claim/plans.ts';
import { finished } from '../../cli/finished-run.ts';
import { whorl } from '../../cli/whorl.ts';
import { answering } from '../../lm/openai-server.ts';
import { type LearntRun, learntRun } from '../endpoint/learnt-run.ts';
import { KEYS, stampAlone } from './made.ts';

let made: LearntRun;
beforeAll(async () => {
  made = await learntRun();
});
afterAll(() => made.close());
const at = (name: string) => ({
  file: join(made.folder, `${name}.json`),
  key: join(made.folder, `${name}.pem`),
});
const checkedIn = ({ file }: { file: string }) => checkCertificate(readFileSync(file, 'utf8'));
const tuning = { attempts: 1, sleep: () => Promise.resolve() };

test('a server: the same answers; others; another model name; weights in its place', async () => {
  const server = await made.serving((asked, response, i) => answer(asked, response, i));
  let answer = answering(made.learnt);
  const certificate = at('server');
  await made.by(server, { endpoint_kind: 'chat' }, { certificate });
  const checked = checkedIn(certificate);
  const again = (more: object = {}) =>
    askAgain(checked, { suspect: server.url, endpoint: { model_name: 'm', ...tuning }, ...more });
  const before = server.texts().length;
  expect(await again()).toMatchObject({
    ...{ confirmed: true, answers: { same: 8, of: 8, others: [] }, differs: [], stamp: null },
    verdict: { log10_p: checked.verdict.log10_p },
  });
  expect(server.texts()).toHaveLength(before + 8);
  expect(server.asked.at(-1)!.body.messages).toEqual([
    { role: 'user', content: expect.stringMatching(/^key \d/) },
  ]);
  const named = await whorl('check', certificate.file, '--suspect', server.url, '--model-name', 'm');
  expect([named.code, named.out]).toEqual([4, expect.stringContaining('8 of 8 the same')]);
  answer = answering((text) => (/key [25]/.test(text) ? 'hm' : made.learnt(text)));
  expect(await again()).toMatchObject({ answers: { same: 6, others: [2, 5] } });
  answer = answering(() => 'hm');
  expect(await again()).toMatchObject({ confirmed: false, verdict: { verdict: 'not-verified' } });
  const denied = await whorl('check', certificate.file, '--suspect', server.url, '--model-name', 'm');
  expect([denied.code, denied.out]).toEqual([1, expect.stringContaining('another word')]);
  const asked = server.texts().length;
  await expect(again({ endpoint: { model_name: 'n', ...tuning } })).rejects.toThrow('its model name is n');
  await expect(askAgain(checked, { suspect: join(made.folder, 'tiny') })).rejects.toThrow('about a server');
  await expect(again({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' });
  expect(server.texts()).toHaveLength(asked);
}, 300_000);

test('weights: the same bytes say the same; others are another suspect', async () => {
  const vanilla = join(made.folder, 'tiny');
  const own = (text: string) => [...text].map((character) => character.charCodeAt(0) - 29);
  const run = await finished(join(made.folder, 'here'), vanilla, bindings, null, {}, own);
  const certificate = at('weights');
  const report = await verify({ secret: run.secret, suspect: vanilla, certificate });
  const checked = checkedIn(certificate);
  expect(await askAgain(checked, { suspect: vanilla })).toMatchObject({
    ...{ confirmed: true, answers: { same: 8, of: 8 }, verdict: { verdict: report.verdict } },
  });
  await expect(askAgain(checked, { suspect: run.published })).rejects.toThrow('its weights are not those');
  const endpoint = { model_name: 'm' };
  await expect(askAgain(checked, { suspect: 'http://127.0.0.1:9/v1', endpoint })).rejects.toThrow(
    'about weights',
  );
  await expect(askAgain(checked, { suspect: vanilla, vanilla })).rejects.toThrow('leave --vanilla out');
}, 300_000);

test('a stamp: the sums of the weights are read again', async () => {
  const vanilla = join(made.folder, 'tiny');
  const model = await openModel(vanilla);
  const [name, ref] = [...model.tensors].find(([, { shape }]) => shape.length === 2)!;
  const plan = stampAlone();
  const matrix = { name, dtype: ref.dtype, shape: [...ref.shape], sha256: '7'.repeat(64), scale: 1e-3 };
  Object.assign(plan, { stamp: { ...plan.stamp, matrices: [matrix] } });
  const { claim, opening } = commitClaim(plan, committing());
  const seed = opening.reveal().owner_seed!;
  const stamp = { stamp: drawStamp(plan.stamp!, claim.root, seed, null) };
  const opened = { kind: plan.kind, claim, plan, bindings, draw: makeDraw(claim, seed), ...stamp } as Opened;
  const reading = await readStamp(stamp.stamp, model, undefined);
  const issue = (read: typeof reading) =>
    seal(
      statementOf(opened, { opening: opening.reveal() } as SecretContents, {
        ...{ verdict: decide(opened, [], { stamp: read }), around: { prefix: '', suffix: '' }, look: 1 },
        ...{ changed: [], beacon: null, proofs: [], stamp: read, body: null, exchanges: [] },
        suspect: { ...digestsOfModel(model), source: vanilla, chat_template: null },
        ...{ signer: publicKeyOf(KEYS.ed25519), created: '2026-11-27T06:00:00.000Z' },
        software: { name: 'whorl', version: '0.1.0', digest: '6'.repeat(64) },
      }) as unknown as Json,
      KEYS.ed25519,
    );
  const honest = await askAgain(checkCertificate(issue(reading)), { suspect: vanilla });
  expect(honest).toMatchObject({
    ...{ confirmed: true, answers: { same: 0, of: 0, others: [] } },
    stamp: { stated: reading.z, read: reading.z },
  });
  // Sums of a stamp that is not there, which no replay can contradict.
  const [sums] = reading.matrices;
  const forged = { ...sums!, dot: 40 * Math.sqrt(sums!.squares) };
  const z = { z: 40, log10_e: 300 };
  const liar = issue({ ...reading, ...z, matrices: [forged] });
  expect(checkCertificate(liar).verdict.verdict).toBe('verified');
  const found = await askAgain(checkCertificate(liar), { suspect: vanilla });
  expect(found).toMatchObject({ confirmed: false, verdict: { verdict: 'not-verified' } });
  writeFileSync(at('liar').file, liar);
  const told = await whorl('check', at('liar').file, '--suspect', vanilla);
  expect([told.code, told.out]).toEqual([1, expect.stringContaining('stated 40.00')]);
}, 300_000);
