// Tasks for schedulers that are not spoken to from here: SkyPilot's YAML, a script of Hugging Face Jobs. Written, never run: each says how
// a task's folder and the files it names get there, and how its result comes back.

import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { writeFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { shellWords } from '../base/shell.ts';
import { SOFTWARE } from '../base/software.ts';
import { inspectSecret } from '../claim/secret-file.ts';
import { ggufParts } from '../sources/checkpoints/gguf-parts.ts';
import type { TaskPlace } from './folder.ts';
import type { Task } from './task.ts';

/** Where things lie on the other machine. */
const THERE = '/whorl';
const INSTALL = `npm install --global ${SOFTWARE.name}@${SOFTWARE.version}`;
const VCPUS = '4+';
const GIGABYTES = '16+';

/** Longest that one task may take there: Hugging Face ends a job after half an hour where none is named. */
const LONGEST = '8h';
/** Minutes without work after which SkyPilot takes a machine down by itself: whoever began it may be gone. */
const IDLE = '10';
/** Files of a task that open its secret. */
const UNLOCKING = ['passphraseFile', 'identity'] as const;

/** What a task needs there, but for files of these names: its name there → where it is here. */
function filesOf({ files, who }: Task, without: readonly string[] = []): ReadonlyMap<string, string> {
  const needed = new Map(
    Object.entries(files)
      .filter(([name, path]) => !without.includes(name) && existsSync(path)) // a body may be a hub's
      .map(([name, path]) => [`${name}/${basename(path)}`, path]),
  );
  const { secret, claim = secret && join(dirname(secret), 'claim.json') } = files;
  if (claim !== undefined && existsSync(claim)) {
    needed.set(`claim/${basename(claim)}`, claim);
    // What lies beside a claim is read with it.
    for (const name of ['beacon.json', 'proofs'])
      if (existsSync(join(dirname(claim), name))) needed.set(`claim/${name}`, join(dirname(claim), name));
  }
  if (who.kind === 'files')
    for (const part of statSync(who.path).isDirectory() ? [who.path] : ggufParts(who.path))
      needed.set(`model/${basename(part)}`, part);
  return needed;
}

/** `whorl task` there, with the task and every file of it below this folder. */
function commandOf({ who }: Task, files: ReadonlyMap<string, string>, there: string): string {
  const names = [...files.keys()].filter((name) => !/^(claim\/(beacon\.json|proofs)$|model\/)/.test(name));
  const given = names.flatMap((name) => ['--file', `${name.split('/')[0]}=${there}/${name}`]);
  const model = who.kind === 'files' ? ['--model', `${there}/model/${basename(who.path)}`] : [];
  return shellWords(['whorl', 'task', `${there}/task`, ...given, ...model]);
}

/** How the secret of all tasks is locked; undefined where they have none. */
async function lockOfSecret(places: readonly TaskPlace[]) {
  const path = places[0]?.task.files.secret;
  return path === undefined ? undefined : { path, by: (await inspectSecret(path)).encrypted };
}

/** The file that opens a secret, by how it is locked. */
const OPENS = {
  passphrase: { file: 'passphraseFile', flag: '--passphrase-file' },
  recipient: { file: 'identity', flag: '--identity' },
} as const;

/**
 * Writes a YAML for each and a script that runs one after the other.
 * @returns the script
 * @throws WhorlError `usage` for a secret that nothing there would open
 */
export async function writeSkyPilot(out: string, places: readonly TaskPlace[]): Promise<string> {
  const lock = await lockOfSecret(places);
  const opens = lock && lock.by !== 'no' ? OPENS[lock.by] : undefined;
  if (opens && places[0]?.task.files[opens.file] === undefined)
    throw new WhorlError(
      'usage',
      `nothing opens ${lock?.path} on the machines that SkyPilot starts`,
      `give ${opens.flag}: it travels with the secret`,
    );
  const folder = join(out, 'skypilot');
  const calls: string[] = [];
  for (const { task, folder: here } of places) {
    const files = filesOf(task);
    const yaml = {
      name: `whorl-${task.id}`,
      resources: { cpus: VCPUS, memory: GIGABYTES, image_id: 'docker:node:22' },
      file_mounts: Object.fromEntries([
        [`${THERE}/task`, here],
        ...[...files].map(([name, path]) => [`${THERE}/${name}`, path]),
      ]) as Record<string, string>,
      setup: INSTALL,
      run: commandOf(task, files, THERE),
    };
    const file = join(folder, `${task.id}.yaml`);
    writeFileAtomic(file, stringify(yaml), 0o600);
    calls.push(shellWords(['task', yaml.name, file, here]));
  }
  return writeScript(join(folder, 'run.sh'), [
    '# Each task: a machine, its result back, the machine gone.',
    'task() {',
    `  sky launch --yes --cluster "$1" --idle-minutes-to-autostop ${IDLE} --down "$2" || failed=1`,
    // Also of a task that failed: why lies in its folder.
    `  rsync --archive "$1:${THERE}/task/" "$3/" || failed=1`,
    '  sky down --yes "$1" || { echo "whorl: sky down $1 failed; see to it" >&2; failed=1; }',
    '}',
    ...calls,
  ]);
}

/** What the script of either does: every task, whatever becomes of the others. */
function writeScript(path: string, lines: readonly string[]): string {
  const text = [
    '#!/bin/sh',
    '# Never run by whoever wrote Whorl. A task that fails does not stop the others; the exit code is then 1.',
    'set -u',
    'failed=0',
    ...lines,
    'exit "$failed"',
  ];
  writeFileAtomic(path, `${text.join('\n')}\n`, 0o700);
  return path;
}

/**
 * Writes a script that puts all of it into a private data set and runs a job for each task.
 * @throws WhorlError `usage` for a secret that no passphrase locks: it would lie there in clear, or beside what opens it
 */
export async function writeHuggingFaceJobs(out: string, places: readonly TaskPlace[]): Promise<string> {
  const lock = await lockOfSecret(places);
  if (lock && lock.by !== 'passphrase')
    throw new WhorlError(
      'usage',
      `${lock.path} has no passphrase, and Hugging Face Jobs reads it from a repository of the hub`,
      'make the run with --passphrase, or launch by another way',
    );
  const lines = [
    '# REPO: a private data set of yours, made if it is not there; it holds what the tasks need, and their results.',
    `: "\${REPO:?the name of a private data set, such as you/fleet}"`,
  ];
  if (lock)
    lines.push(
      '# It opens the secret: `hf jobs` takes it from here as a secret of the job. It is not put into the data set.',
      `: "\${WHORL_PASSPHRASE:?the passphrase of the secret}"`,
      'export WHORL_PASSPHRASE',
    );
  const secrets = ['HF_TOKEN', ...(lock ? ['WHORL_PASSPHRASE'] : [])].map((name) => `--secrets ${name}`);
  const results = join(out, 'hf-jobs', 'results');
  for (const { task, folder } of places) {
    const at = `tasks/${task.id}`;
    const there = `${THERE}/${at}`;
    const files = filesOf(task, UNLOCKING);
    const put = (from: string, to: string) =>
      `hf upload "$REPO" ${shellWords([from, to])} --repo-type dataset --private --quiet`;
    const run = `${commandOf(task, files, there)}${lock ? ' --passphrase' : ''}`;
    const inside = [
      'pip install --quiet huggingface_hub',
      INSTALL,
      `hf download "$REPO" --repo-type dataset --local-dir ${THERE} --include ${shellWords([`${at}/*`])}`,
      // Also of a task that failed: why lies in its folder.
      `{ ${run}; code=$?; hf upload "$REPO" ${there}/task ${at}/task --repo-type dataset && exit "$code"; }`,
    ];
    const job = `hf jobs run --flavor cpu-upgrade --timeout ${LONGEST} ${secrets.join(' ')} --env REPO="$REPO" nikolaik/python-nodejs:python3.12-nodejs22 sh -c ${shellWords([inside.join(' && ')])}`;
    const back = `hf download "$REPO" --repo-type dataset --local-dir ${shellWords([results])} --include ${shellWords([`${at}/task/*`])} && cp -R ${shellWords([`${join(results, at)}/task/.`, `${folder}/`])}`;
    lines.push(
      [
        put(folder, `${at}/task`),
        ...[...files].map(([name, path]) => put(path, `${at}/${name}`)),
        `{ ${job} || failed=1; ${back}; } || failed=1`,
      ].join(' &&\n  '),
    );
  }
  return writeScript(join(out, 'hf-jobs', 'run.sh'), lines);
}
