// `whorl attack`: what a thief may do to a published model, to see what the fingerprint survives.

import { Command } from 'commander';
import type { Attack } from '../../attack/attack.ts';
import type { AttackOptions, AttackReport } from '../../attack/attack-run.ts';
import { ATTACKS } from '../../attack/attacks.ts';
import { parseSettings } from '../arguments.ts';
import { type Given, given, JSON_LINE, made, named, text, texts, withOptions } from '../options.ts';
import { countText, paint, print, printJson, tell, wrapped } from '../output.ts';
import { UNLOCK, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';
import { settingLines } from '../settings-help.ts';

const OPTIONS = {
  attacks: made(named('attack', texts('<names>', 'which: repeated, or with commas between')), (given) =>
    given.flatMap((names) => names.split(',').map((name) => name.trim())),
  ),
  out: text('<folder>', 'where the folders go, each under its name (default: RUN/attacks)'),
  vanilla: text('<model>', 'the vanilla model, for reset-vanilla'),
};
const OWN = { ...UNLOCK, ...JSON_LINE };

export function attackCommand(): Command {
  return withOptions(new Command('attack'), { ...OPTIONS, ...OWN })
    .description(
      "Makes attacked copies of a run's published model, each a model folder for `whorl verify --suspect`. Whoever attacks here knows which rows were trained.",
    )
    .argument('<run>', 'a run folder that `whorl fingerprint` has finished')
    .argument('[settings...]', 'key=value for every attack that has the setting, attack.key=value for one')
    .addHelpText('after', () => `\nAttacks:\n${helpLines().join('\n')}`)
    .action((run: string, settings: string[], _, called: Command) =>
      runAttack(
        { attacks: [], ...given(called, OPTIONS), run, settings: parseSettings(settings) },
        given(called, OWN),
      ),
    );
}

const helpLines = (): string[] =>
  Object.entries<Attack>(ATTACKS).flatMap(([name, { words, settings }]) => [
    ...wrapped(`${name}: ${words}`, '  ', 80),
    ...settingLines(settings, '    '),
  ]);

async function runAttack(options: AttackOptions, own: Given<typeof OWN>): Promise<void> {
  const { attackRun, planAttacks } = await import('../../attack/attack-run.ts');
  const plan = planAttacks(options);
  const unlock = plan.needsSecret ? await unlockFor(plan.run.secret, own) : undefined;
  const report = await withProgress((onEvent) =>
    attackRun({ ...options, onEvent, ...(unlock && { unlock }) }),
  );
  if (own.json) printJson(report);
  else show(report, plan.run.secret);
}

function show({ attacked }: AttackReport, secret: string): void {
  for (const { title, folder, figures } of attacked) {
    print(paint.bold(title));
    for (const [name, value] of Object.entries(figures)) print(`  ${name} ${countText(value)}`);
    tell(paint.dim(`whorl verify --secret ${secret} --suspect ${folder}`));
  }
}
