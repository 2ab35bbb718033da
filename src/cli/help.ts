// The help of a command: required flags before the others, two examples below; and the flags that every command has.

import { type Command, Help, type Option } from 'commander';
import { examplesOf } from './examples.ts';
import { drawing } from './progress.ts';

/** Dresses a command and those below it. @param name its full name, without `whorl` */
export function dressHelp(command: Command, name: string): void {
  command.configureHelp({
    visibleOptions(this: Help, of: Command): Option[] {
      const options = Help.prototype.visibleOptions.call(this, of);
      return [
        ...options.filter(({ mandatory }) => mandatory),
        ...options.filter((option) => !option.mandatory),
      ];
    },
    optionDescription(this: Help, option: Option): string {
      const words = Help.prototype.optionDescription.call(this, option);
      return option.mandatory ? `required: ${words}` : words;
    },
  });
  const examples = examplesOf(name);
  if (examples.length > 0)
    command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}`);
  if (command.commands.length === 0) {
    // A user's data set has had one of its own, which prints no rows either.
    if (!command.options.some(({ long }) => long === '--quiet'))
      command.option('-q, --quiet', 'no progress on stderr; errors and results stay');
    command.hook('preAction', (_, called) => {
      drawing.quiet = called.opts<{ quiet?: boolean }>().quiet === true;
    });
  }
  for (const child of command.commands) dressHelp(child, `${name} ${child.name()}`);
}
