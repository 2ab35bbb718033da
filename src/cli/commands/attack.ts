// `whorl attack`: what a thief may do to a published model, to see what the fingerprint survives.

import { Command } from 'commander';
import type { Attack } from '../../attack/attack.ts';
import type { AttackReport } from '../../attack/attack-run.ts';
import { ATTACKS } from '../../attack/attacks.ts';
import { settingsIn } from '../../base/setting.ts';
import { parseSettings, repeated } from '../arguments.ts';
import { countText, paint, print, printJson, table, tell } from '../output.ts';
import { type UnlockFlags, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';

interface AttackFlags extends UnlockFlags {
  attack?: string[];
  out?: string;
  vanilla?: string;
  json?: boolean;
}

export function attackCommand(): Command {
  return new Command('attack')
    .description(
      "Makes attacked copies of a run's published model, each a model folder for `whorl verify --suspect`. Whoever attacks here knows which rows were trained.",
    )
    .option('--attack <names>', 'which: repeated, or with commas between', repeated)
    .option('--out <folder>', 'where the folders go, each under its name (default: RUN/attacks)')
    .option('--vanilla <model>', 'the vanilla model, for reset-vanilla')
    .option('--passphrase', "ask for the passphrase of the run's secret, or take WHORL_PASSPHRASE")
    .option('--passphrase-file <file>', "the passphrase of the run's secret")
    .option('--identity <file>', 'the age identity the secret was encrypted to')
    .option('--json', 'one JSON line on stdout and nothing else')
    .argument('<run>', 'a run folder that `whorl fingerprint` has finished')
    .argument('[settings...]', 'key=value for every attack that has the setting, attack.key=value for one')
    .addHelpText('after', () => `\nAttacks:\n${helpLines().join('\n')}`)
    .action((run: string, settings: string[], flags: AttackFlags) => runAttack(run, settings, flags));
}

const helpLines = (): string[] =>
  table(
    Object.entries<Attack>(ATTACKS).flatMap(([name, { words, settings }]) => [
      [name, words],
      ...settingsIn(settings).map(([key, setting]) => ['', `${key}=${setting.default}: ${setting.words}`]),
    ]),
  );

async function runAttack(run: string, args: readonly string[], flags: AttackFlags): Promise<void> {
  const { attack = [], out, vanilla, json } = flags;
  const { attackRun, planAttacks } = await import('../../attack/attack-run.ts');
  const options = {
    run,
    attacks: attack.flatMap((names) => names.split(',').map((name) => name.trim())),
    settings: parseSettings(args),
    ...(out !== undefined && { out }),
    ...(vanilla !== undefined && { vanilla }),
  };
  const plan = planAttacks(options);
  const unlock = plan.needsSecret ? await unlockFor(plan.run.secret, flags) : undefined;
  const report = await withProgress((onEvent) =>
    attackRun({ ...options, onEvent, ...(unlock && { unlock }) }),
  );
  if (json) printJson(report);
  else show(report, plan.run.secret);
}

function show({ attacked }: AttackReport, secret: string): void {
  for (const { title, folder, figures } of attacked) {
    print(paint.bold(title));
    for (const [name, value] of Object.entries(figures)) print(`  ${name} ${countText(value)}`);
    tell(paint.dim(`whorl verify --secret ${secret} --suspect ${folder}`));
  }
}
