// Tasks for schedulers that nobody speaks to from here: what is written is what their documents ask for, names every file that a task
// needs, and holds nothing of the secret. Never run: said in docs/fleets.md.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { Secret } from '../../src/base/secret.ts';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import { writeSecret } from '../../src/claim/secret-file.ts';
import { FleetFolder } from '../../src/fleet/folder.ts';
import { writeHuggingFaceJobs, writeSkyPilot } from '../../src/fleet/written.ts';
import { answersPlan, bindings, committing } from '../claim/plans.ts';

const scratch = mkdtempSync(join(tmpdir(), "whorl it's-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const owner = join(scratch, 'owner');
mkdirSync(join(owner, 'proofs'), { recursive: true });
mkdirSync(join(scratch, 'model'));
writeFileSync(join(owner, 'claim.json'), '{}');
writeFileSync(join(owner, 'beacon.json'), '{}');
const secret = join(owner, 'secret.whorl');

const folder = new FleetFolder(join(scratch, 'fleet'));
const places = [
  { kind: 'files', path: join(scratch, 'model') } as const,
  { kind: 'hub', id: 'org/name@v1' } as const,
].map((who, i) => {
  const place = folder.placeOf({
    ...{ command: 'verify', name: `s${i}`, bound: {}, options: {}, settings: {}, who, files: { secret } },
    sha256: who.kind === 'files' ? 'a'.repeat(64) : null,
  });
  folder.keepPlace(place);
  return place;
});

async function secretFile(lock?: { passphrase: Secret<string> }): Promise<string> {
  const plan = answersPlan(4, 8);
  const { claim, opening } = commitClaim(plan, committing());
  const { owner_seed } = opening.reveal();
  const draw = makeDraw(claim, owner_seed!);
  const { created, software } = claim;
  await writeSecret(
    secret,
    new Secret({
      ...{ method: 'rows', created, software, claim, plan, bindings, opening: opening.reveal(), draw },
      ...{ randomness: null, adapter: null, rows: null, published: null },
    }),
    lock,
  );
  return owner_seed!;
}

test('SkyPilot: a YAML for each task mounts what it needs, and its command names it there', async () => {
  const seed = await secretFile();
  const script = await writeSkyPilot(folder.path, places);
  expect(statSync(script).mode & 0o777).toBe(0o700);
  execFileSync('sh', ['-n', script]); // it parses, with a quote in every path
  const [files, hub] = places.map(
    ({ task }) =>
      parse(readFileSync(join(folder.path, 'skypilot', `${task.id}.yaml`), 'utf8')) as {
        name: string;
        run: string;
        setup: string;
        file_mounts: Record<string, string>;
      },
  );
  expect(files!.name).toBe(`whorl-${places[0]!.task.id}`);
  expect(files!.setup).toMatch(/^npm install --global whorl@\d/);
  expect(files!.file_mounts).toEqual({
    '/whorl/task': places[0]!.folder,
    '/whorl/secret/secret.whorl': secret,
    '/whorl/claim/claim.json': join(owner, 'claim.json'),
    '/whorl/claim/beacon.json': join(owner, 'beacon.json'),
    '/whorl/claim/proofs': join(owner, 'proofs'),
    '/whorl/model/model': join(scratch, 'model'),
  });
  expect(files!.run).toBe(
    'whorl task /whorl/task --file secret=/whorl/secret/secret.whorl --file claim=/whorl/claim/claim.json --model /whorl/model/model',
  );
  expect(hub!.run).not.toContain('--model');
  expect(Object.keys(hub!.file_mounts)).not.toContain('/whorl/model/model');
  for (const { task } of places)
    expect(readFileSync(join(folder.path, 'skypilot', `${task.id}.yaml`), 'utf8')).not.toContain(seed);
});

test('Hugging Face Jobs: only with a passphrase, whose text is not written', async () => {
  await secretFile();
  await expect(writeHuggingFaceJobs(folder.path, places)).rejects.toMatchObject({ code: 'usage' });
  const seed = await secretFile({ passphrase: new Secret('open sesame') });
  const script = await writeHuggingFaceJobs(folder.path, places);
  execFileSync('sh', ['-n', script]);
  const text = readFileSync(script, 'utf8');
  expect(text).not.toContain('open sesame');
  expect(text).not.toContain(seed);
  const [{ task }] = places as [(typeof places)[number]];
  const there = `/whorl/tasks/${task.id}`;
  expect(text).toContain(
    `whorl task ${there}/task --file secret=${there}/secret/secret.whorl --file claim=${there}/claim/claim.json --model ${there}/model/model && hf upload`,
  );
  expect(text.match(/^hf jobs run .*--secrets WHORL_PASSPHRASE/gm)).toHaveLength(2);
});
