// `whorl completion`: the script with which a shell completes commands, flags and their values; and `whorl complete`, hidden,
// which that script asks.

import { Argument, Command } from 'commander';
import { print } from '../output.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** Every command with its flags, loaded. */
type EveryCommand = () => Promise<readonly Command[]>;

export function completionCommand(everyCommand: EveryCommand): Command {
  return new Command('completion')
    .description(
      'Prints a script that completes whorl in your shell. bash and zsh: `source <(whorl completion bash)` in the start-up file; fish: `whorl completion fish | source`.',
    )
    .addArgument(new Argument('<shell>', 'whose script').choices(SHELLS))
    .action(async (shell: (typeof SHELLS)[number]) => {
      const program = await tab(everyCommand);
      for (const text of saidBy(() => program.setup('whorl', 'whorl', shell))) print(text);
    });
}

/** Cobra's words for what a shell does beside the candidates: nothing, or offer files. */
const [NO_FILES, FILES] = [':4', ':0'];

/**
 * What the script asks: `whorl complete -- WORDS`, the last one unfinished. One line a candidate, with its words; where
 * there is none (most values are paths) the shell is told to offer files, which the library never does.
 */
export async function complete(words: readonly string[], everyCommand: EveryCommand): Promise<void> {
  const program = await tab(everyCommand);
  const lines = saidBy(() => program.parse([...words]));
  const candidates = lines.filter((line) => line !== NO_FILES);
  for (const line of candidates) print(line);
  print(candidates.length === 0 ? FILES : NO_FILES);
}

/** What the library would print by itself: a lost stdout must not go unseen. */
function saidBy(call: () => void): string[] {
  const said: string[] = [];
  const { log } = console;
  console.log = (text: string) => said.push(text);
  try {
    call();
  } finally {
    console.log = log;
  }
  return said;
}

/** The whole command line as @bomb.sh/tab knows it; `completion` is the library's own there. */
async function tab(everyCommand: EveryCommand) {
  const { default: describe } = await import('@bomb.sh/tab/commander');
  const program = new Command('whorl');
  for (const command of await everyCommand())
    if (command.name() !== 'completion') program.addCommand(command);
  return describe(program, { completionCommandName: 'completion' });
}
