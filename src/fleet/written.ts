// Tasks for schedulers that are not spoken to from here: SkyPilot's YAML, a script of Hugging Face Jobs. Written, never run: each says how
// a task's folder and the files it names get there, and how its result comes back.

import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { writeFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { shellWords } from '../base/shell.ts';
import { SOFTWARE } from '../base/software.ts';
import { inspectSecret } from '../claim/secret-file.ts';
import type { TaskPlace } from './folder.ts';
import type { Task } from './task.ts';

/** Where things lie on the other machine. */
const THERE = '/whorl';
const INSTALL = `npm install --global ${SOFTWARE.name}@${SOFTWARE.version}`;
const VCPUS = '4+';
const GIGABYTES = '16+';

/** What a task needs there: its name there → where it is here. */
function filesOf({ files, who }: Task): ReadonlyMap<string, string> {
  const needed = new Map(
    Object.entries(files)
      .filter(([, path]) => existsSync(path)) // a body may be a hub's
      .map(([name, path]) => [`${name}/${basename(path)}`, path]),
  );
  const { secret, claim = secret && join(dirname(secret), 'claim.json') } = files;
  if (claim !== undefined && existsSync(claim)) {
    needed.set(`claim/${basename(claim)}`, claim);
    // What lies beside a claim is read with it.
    for (const name of ['beacon.json', 'proofs'])
      if (existsSync(join(dirname(claim), name))) needed.set(`claim/${name}`, join(dirname(claim), name));
  }
  if (who.kind === 'files') needed.set(`model/${basename(who.path)}`, who.path);
  return needed;
}

/** `whorl task` there, with the task and every file of it below this folder. */
function commandOf(task: Task, there: string): string {
  const files = filesOf(task);
  const names = [...files.keys()].filter((name) => !/^claim\/(beacon\.json|proofs)$/.test(name));
  const given = names.flatMap((name) => {
    const [what] = name.split('/');
    const path = `${there}/${name}`;
    return what === 'model' ? ['--model', path] : ['--file', `${what}=${path}`];
  });
  return shellWords(['whorl', 'task', `${there}/task`, ...given]);
}

/** Writes a YAML for each and a script that runs one after the other. @returns the script */
export function writeSkyPilot(out: string, places: readonly TaskPlace[]): Promise<string> {
  const folder = join(out, 'skypilot');
  const lines = [
    '#!/bin/sh',
    '# Never run by whoever wrote Whorl. Each task: a machine, its result back, the machine gone.',
    'set -eu',
  ];
  for (const { task, folder: here } of places) {
    const there = `${THERE}/task`;
    const yaml = {
      name: `whorl-${task.id}`,
      resources: { cpus: VCPUS, memory: GIGABYTES, image_id: 'docker:node:22' },
      file_mounts: Object.fromEntries([
        [there, here],
        ...[...filesOf(task)].map(([name, path]) => [`${THERE}/${name}`, path]),
      ]) as Record<string, string>,
      setup: INSTALL,
      run: commandOf(task, THERE),
    };
    const file = join(folder, `${task.id}.yaml`);
    writeFileAtomic(file, stringify(yaml), 0o600);
    const cluster = yaml.name;
    lines.push(
      shellWords(['sky', 'launch', '--yes', '--cluster', cluster, file]),
      shellWords(['rsync', '--archive', `${cluster}:${there}/`, `${here}/`]),
      shellWords(['sky', 'down', '--yes', cluster]),
    );
  }
  const script = join(folder, 'run.sh');
  writeFileAtomic(script, `${lines.join('\n')}\n`, 0o700);
  return Promise.resolve(script);
}

/**
 * Writes a script that puts all of it into a private data set and runs a job for each task.
 * @throws WhorlError `usage` for a secret that is not encrypted: it would lie there in clear
 */
export async function writeHuggingFaceJobs(out: string, places: readonly TaskPlace[]): Promise<string> {
  const secret = places[0]?.task.files.secret;
  if (secret !== undefined && (await inspectSecret(secret)).encrypted !== 'passphrase')
    throw new WhorlError(
      'usage',
      `${secret} has no passphrase, and Hugging Face Jobs reads it from a repository of the hub`,
      'make the run with --passphrase, or launch by another way',
    );
  const lines = [
    '#!/bin/sh',
    '# Never run by whoever wrote Whorl. REPO: a private data set of yours; it holds what the tasks need, and their results.',
    '# WHORL_PASSPHRASE opens the secret: `hf jobs` takes it from here as a secret of the job.',
    'set -eu',
    `: "\${REPO:?the name of a private data set, such as you/fleet}"`,
    'hf repo create "$REPO" --repo-type dataset --private --exist-ok',
  ];
  for (const { task, folder } of places) {
    const at = `tasks/${task.id}`;
    const put = (from: string, to: string) =>
      `hf upload "$REPO" ${shellWords([from, to])} --repo-type dataset --quiet`;
    const inside = [
      'pip install --quiet huggingface_hub',
      INSTALL,
      `hf download "$REPO" --repo-type dataset --local-dir ${THERE} --include ${shellWords([`${at}/*`])}`,
      // Below the task, so that one `include` brings all of it.
      commandOf(task, `${THERE}/${at}`),
      `hf upload "$REPO" ${THERE}/${at}/task ${at}/task --repo-type dataset`,
    ];
    lines.push(
      put(folder, `${at}/task`),
      ...[...filesOf(task)].map(([name, path]) => put(path, `${at}/${name}`)),
      `hf jobs run --flavor cpu-upgrade --secrets HF_TOKEN --secrets WHORL_PASSPHRASE --env REPO="$REPO" nikolaik/python-nodejs:python3.12-nodejs22 sh -c ${shellWords([inside.join(' && ')])}`,
      `hf download "$REPO" --repo-type dataset --local-dir ${shellWords([join(out, 'hf-jobs', 'results')])} --include ${shellWords([`${at}/task/*`])}`,
      `cp -R ${shellWords([`${join(out, 'hf-jobs', 'results', at)}/task/.`, `${folder}/`])}`,
    );
  }
  const script = join(out, 'hf-jobs', 'run.sh');
  writeFileAtomic(script, `${lines.join('\n')}\n`, 0o700);
  return script;
}
