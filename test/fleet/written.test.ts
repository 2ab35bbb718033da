// Tasks for schedulers that nobody speaks to from here: what is written is what their documents ask for, names every file that a task
// needs, and holds nothing of the secret. Never run: said in docs/fleets.md.

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
import { whorl } from '../cli/whorl.ts';

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

async function secretFile(lock?: { passphrase: Secret<string>; workFactor?: number }): Promise<string> {
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

/** Runs a script where these programs only say how they were called, and the first call with `fails` in it ends with 1. */
function calls(script: string, fails: string, environment: Readonly<Record<string, string>> = {}) {
  const bin = mkdtempSync(join(scratch, 'bin-'));
  const log = join(bin, 'log');
  for (const name of ['sky', 'rsync', 'hf']) {
    const program = `#!/bin/sh\necho "${name} $*" >> '${log.replaceAll("'", `'\\''`)}'\ncase "${name} $*" in *"$FAILS"*) exit 1 ;; esac\n`;
    writeFileSync(join(bin, name), program);
    chmodSync(join(bin, name), 0o700);
  }
  const env = { PATH: `${bin}:/usr/bin:/bin`, FAILS: fails, ...environment };
  const { status, stderr } = spawnSync('sh', [script], { env, encoding: 'utf8' });
  const said = spawnSync('cat', [log], { encoding: 'utf8' }).stdout;
  return { status, stderr, said: said.split('\n').filter((line) => /^(sky|rsync|hf) /.test(line)) };
}
const firstWords = (lines: readonly string[]) => lines.map((line) => line.split(' ').slice(0, 3).join(' '));

test('SkyPilot: a task that fails is fetched too, its machine goes, and the others are run', async () => {
  await secretFile();
  const script = await writeSkyPilot(folder.path, places);
  const [first, second] = places.map(({ task }) => `whorl-${task.id}`) as [string, string];
  const { status, said } = calls(script, `launch --yes --cluster ${first}`);
  expect(status).toBe(1);
  expect(firstWords(said)).toEqual([
    ...['sky launch --yes', `rsync --archive ${first}:/whorl/task/`, 'sky down --yes'],
    ...['sky launch --yes', `rsync --archive ${second}:/whorl/task/`, 'sky down --yes'],
  ]);
  // Though whoever began it is gone.
  expect(said[0]).toContain(`--cluster ${first} --idle-minutes-to-autostop 10 --down `);
  expect(calls(script, 'nothing').status).toBe(0);
  expect(calls(script, `down --yes ${second}`)).toMatchObject({
    status: 1,
    stderr: `whorl: sky down ${second} failed; see to it\n`,
  });
});

test('SkyPilot: a secret that nothing there would open is refused; what opens it travels with it', async () => {
  await secretFile({ passphrase: new Secret('open sesame'), workFactor: 8 });
  await expect(writeSkyPilot(folder.path, places)).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining('--passphrase-file') as string,
  });
  const passphraseFile = join(owner, 'words.txt');
  writeFileSync(passphraseFile, 'open sesame');
  const [{ task, folder: at }] = places as [(typeof places)[number]];
  const opened = { folder: at, task: { ...task, files: { secret, passphraseFile } } };
  await writeSkyPilot(folder.path, [opened]);
  const yaml = readFileSync(join(folder.path, 'skypilot', `${task.id}.yaml`), 'utf8');
  expect(yaml).toContain('/whorl/passphraseFile/words.txt');
  expect(yaml).not.toContain('open sesame');
});

test('a GGUF of several parts travels whole', async () => {
  await secretFile();
  const [one, two] = [1, 2].map((part) => join(scratch, `m-0000${part}-of-00002.gguf`)) as [string, string];
  for (const part of [one, two]) writeFileSync(part, 'GGUF');
  const [{ task, folder: at }] = places as [(typeof places)[number]];
  await writeSkyPilot(folder.path, [{ folder: at, task: { ...task, who: { kind: 'files', path: one } } }]);
  const yaml = readFileSync(join(folder.path, 'skypilot', `${task.id}.yaml`), 'utf8');
  const { file_mounts, run } = parse(yaml) as { file_mounts: Record<string, string>; run: string };
  expect(file_mounts).toMatchObject({
    '/whorl/model/m-00001-of-00002.gguf': one,
    '/whorl/model/m-00002-of-00002.gguf': two,
  });
  expect(run).toMatch(/--model \/whorl\/model\/m-00001-of-00002\.gguf$/);
});

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
  const seed = await secretFile({ passphrase: new Secret('open sesame'), workFactor: 8 });
  const script = await writeHuggingFaceJobs(folder.path, places);
  execFileSync('sh', ['-n', script]);
  const text = readFileSync(script, 'utf8');
  expect(text).not.toContain('open sesame');
  expect(text).not.toContain(seed);
  const [{ task }] = places as [(typeof places)[number]];
  const there = `/whorl/tasks/${task.id}`;
  expect(text).toContain(
    `whorl task ${there}/task --file secret=${there}/secret/secret.whorl --file claim=${there}/claim/claim.json --model ${there}/model/model --passphrase; code=$?; hf upload`,
  );
  expect(text.match(/^ {2}\{ hf jobs run .*--secrets WHORL_PASSPHRASE/gm)).toHaveLength(2);
  expect(text.match(/^ {2}\{ hf jobs run .*--timeout 8h /gm)).toHaveLength(2);
});

test('Hugging Face Jobs: a passphrase in a file is not put beside the secret that it opens', async () => {
  await secretFile({ passphrase: new Secret('open sesame'), workFactor: 8 });
  const passphraseFile = join(owner, 'words.txt');
  writeFileSync(passphraseFile, 'open sesame');
  const withFile = places.map(({ task, folder: at }) => ({
    folder: at,
    task: { ...task, files: { secret, passphraseFile } },
  }));
  const text = readFileSync(await writeHuggingFaceJobs(folder.path, withFile), 'utf8');
  expect(text).not.toContain('words.txt');
  expect(text).not.toContain('passphraseFile');
});

test('Hugging Face Jobs: a job that fails is fetched too, and the others are run; without a secret no passphrase is wanted', async () => {
  await secretFile({ passphrase: new Secret('open sesame'), workFactor: 8 });
  const script = await writeHuggingFaceJobs(folder.path, places);
  const REPO = 'you/fleet';
  expect(calls(script, 'nothing', { REPO })).toMatchObject({
    stderr: expect.stringContaining('WHORL_PASSPHRASE: the passphrase of the secret') as string,
    said: [],
  });
  const { status, said } = calls(script, 'jobs run', { REPO, WHORL_PASSPHRASE: 'open sesame' });
  expect(status).toBe(1);
  const uploads = said.filter((line) => line.startsWith('hf upload'));
  expect(uploads).toHaveLength(6 + 5); // task, secret, claim, beacon, proofs, model; a hub's model stays there
  for (const line of uploads)
    expect(line).toMatch(/^hf upload you\/fleet .* --repo-type dataset --private --quiet$/);
  expect(firstWords(said).filter((line) => !line.startsWith('hf upload'))).toEqual(
    [1, 2].flatMap(() => ['hf jobs run', 'hf download you/fleet']),
  );
  const open = places.map((place) => ({ ...place, task: { ...place.task, files: {} } }));
  const text = readFileSync(await writeHuggingFaceJobs(folder.path, open), 'utf8');
  expect(text).not.toContain('PASSPHRASE');
  expect(text).not.toContain('--passphrase');
});

test('a passphrase that is given where a task runs goes before the file that held it where the task was written', async () => {
  await secretFile({ passphrase: new Secret('open sesame'), workFactor: 8 });
  const passphraseFile = join(scratch, 'stayed at home.txt');
  const place = folder.placeOf({
    ...{ command: 'verify', name: 'moved', bound: { claim: 'x' }, options: {}, settings: {} },
    ...{ who: { kind: 'hub', id: 'org/name@v2' }, files: { secret, passphraseFile }, sha256: null },
  });
  folder.keepPlace(place);
  const alone = await whorl('task', place.folder);
  expect(alone.err).toContain('stayed at home.txt');
  process.env.WHORL_PASSPHRASE = 'shut sesame';
  try {
    const wrong = await whorl('task', place.folder, '--passphrase');
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain('passphrase');
    expect(wrong.err).not.toContain('stayed at home.txt');
  } finally {
    delete process.env.WHORL_PASSPHRASE;
  }
});
