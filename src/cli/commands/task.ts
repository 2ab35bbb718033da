// `whorl task`: one task of a fleet, from its folder: what the pool, Ray and other schedulers call.

import { Command } from 'commander';
import { discardUnfinished } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import {
  DRY_RUN,
  type Given,
  given,
  JSON_LINE,
  made,
  text,
  texts,
  toggle,
  wholeNumber,
  withOptions,
} from '../options.ts';
import { print, printJson, shownText } from '../output.ts';
import { UNLOCK, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';
import { showPlan } from '../show-plan.ts';

const OPTIONS = {
  model: text('<path>', 'where this machine has the model (default: where the task says)'),
  file: made(
    texts(
      '<name=path>',
      'where this machine has a file that the task names (secret, claim, data …); may be repeated',
    ),
    filesFrom,
  ),
  threads: wholeNumber('<number>', 1, 'threads of one operation'),
  withParent: toggle('end when standard input does: with the process that started this one'),
  ...UNLOCK,
  ...DRY_RUN,
  ...JSON_LINE,
};

export function taskCommand(): Command {
  return withOptions(new Command('task').argument('<folder>', "the task's folder, DIR/tasks/ID"), OPTIONS)
    .description(
      'Does one task of whorl verify --suspects or whorl eval --models and leaves its result, or why there is none, in its folder. One that has its result is not done again.',
    )
    .action((folder: string, _, called: Command) => runOne(folder, given(called, OPTIONS)));
}

function filesFrom(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const [, name, path] = /^(\w+)=(.+)$/.exec(word) ?? [];
      if (name === undefined)
        throw new WhorlError('usage', `--file ${word} is not NAME=PATH`, 'write secret=FILE');
      return [name, path];
    }),
  ) as Record<string, string>;
}

async function runOne(folder: string, options: Given<typeof OPTIONS>): Promise<void> {
  if (options.withParent) endWithParent();
  const [{ runTask }, { readTask }] = await Promise.all([
    import('../../fleet/run-task.ts'),
    import('../../fleet/task.ts'),
  ]);
  const { model, file = {}, threads, dryRun } = options;
  const asked = { folder, ...(model !== undefined && { model }) };
  if (dryRun)
    return showPlan(await withProgress((onEvent) => runTask({ ...asked, onEvent, dryRun })), options.json);
  // What opens the secret here goes before what opened it where the task was written.
  const opened = options.passphrase ? { passphraseFile: undefined, identity: undefined } : {};
  const { secret, passphraseFile, identity } = {
    ...{ ...readTask(folder).files, ...opened },
    ...{ ...options, ...file },
  } as Readonly<Record<string, string | undefined>>;
  const flags = {
    ...(options.passphrase && { passphrase: true }),
    ...(passphraseFile !== undefined && { passphraseFile }),
    ...(identity !== undefined && { identity }),
  };
  const unlock = secret === undefined ? undefined : await unlockFor(secret, flags);
  const report = await withProgress((onEvent) =>
    runTask({
      ...{ ...asked, files: file, onEvent },
      ...(threads !== undefined && { threads }),
      ...(unlock && { unlock }),
    }),
  );
  if (options.json) printJson(report);
  else print(`${report.before ? 'done before' : 'done'}  ${shownText(report.name)}`);
}

/** Work that nobody waits for any more is not gone on with; what it keeps is kept as it comes. */
function endWithParent(): void {
  process.stdin.on('end', () => {
    discardUnfinished();
    process.exit(1);
  });
  process.stdin.resume();
  (process.stdin as Partial<typeof process.stdin>).unref?.(); // a pipe alone keeps nobody alive
}
