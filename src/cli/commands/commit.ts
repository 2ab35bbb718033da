// `whorl commit`: plan, claim.json and secret, and nothing after them; `whorl fingerprint --out RUN` goes on from there.

import { Command, InvalidArgumentError } from 'commander';
import { type Declared, DRY_RUN, type Given, given, JSON_LINE, withOptions } from '../options.ts';
import { paint, print, printJson } from '../output.ts';
import { withProgress } from '../progress.ts';
import { showPlan } from '../show-plan.ts';
import { COMMITTED, RUN_LOCK, runFrom } from './fingerprint.ts';

const MINUTES: Readonly<Record<string, number>> = { m: 1, h: 60, d: 1440 };

/** `32285085`, or a time from now: `30m`, `2h`, `7d`. */
const beacon: Declared<number | { minutes: number }, false> = {
  value: '<when>',
  words:
    "draw by public dice that are to come: a round of drand's quicknet, or a time from now (30m, 2h, 7d); default: the owner's own dice",
  always: false,
  read(written) {
    const [, number, unit] = /^(\d{1,10})([mhd]?)$/.exec(written) ?? [];
    if (number === undefined)
      throw new InvalidArgumentError('It is neither a round nor a time such as 30m, 2h or 7d.');
    return unit ? { minutes: Number(number) * MINUTES[unit]! } : Number(number);
  },
};

const OPTIONS = { ...COMMITTED, beacon };
const OWN = { ...RUN_LOCK, ...DRY_RUN, ...JSON_LINE };

export function commitCommand(): Command {
  return withOptions(new Command('commit'), { ...OPTIONS, ...OWN })
    .description(
      'Commits to keys, answers, settings and dice, and stops. Then: whorl prove, whorl draw, whorl fingerprint --out RUN.',
    )
    .argument('[settings...]', "the method's settings as key=value")
    .action((settings: string[], _, called: Command) =>
      runCommit(settings, given(called, OPTIONS), given(called, OWN)),
    );
}

async function runCommit(
  args: readonly string[],
  options: Given<typeof OPTIONS>,
  own: Given<typeof OWN>,
): Promise<void> {
  const run = await runFrom(args, own);
  const { commitRun } = await import('../../fingerprint/steps.ts');
  if (own.dryRun) {
    const plan = await withProgress((onEvent) => commitRun({ ...options, ...run, onEvent, dryRun: true }));
    return showPlan(plan, own.json);
  }
  const report = await withProgress((onEvent) => commitRun({ ...options, ...run, onEvent }));
  if (own.json) return printJson(report);
  const { root, claim, secret, draw, drawn_at } = report;
  print(`${paint.bold(paint.green('committed'))} to ${root}`);
  print(`  ${claim}  ${paint.dim('public: show it to whom you like, as early as possible')}`);
  print(`  ${secret}  ${paint.dim('keep it to yourself')}`);
  if (draw.source === 'beacon') {
    print(`  dice: round ${draw.round} of drand's quicknet, ${drawn_at}`);
    print(paint.dim(`  before that:  whorl prove ${options.out} --tsa URL`));
    print(paint.dim(`  after it:     whorl draw ${options.out} --beacon ${draw.round}`));
  } else print("  dice: the owner's own");
  print(paint.dim(`  then:         whorl fingerprint --out ${options.out}`));
}
