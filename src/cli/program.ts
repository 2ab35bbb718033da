// One run of the command line: which command, its flags, what went wrong in one line, and the exit code.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Command, CommanderError } from 'commander';
import { debug, debugLevel, debugOut, megabytes } from '../base/debug.ts';
import { WhorlError } from '../base/error.ts';
import { packageRoot } from '../base/package-root.ts';
import { systemError } from '../base/system-errors.ts';
import { writtenOut } from '../base/unseen.ts';
import { normaliseFlags } from './arguments.ts';
import { COMMANDS, type CommandEntry, everyCommand, isCommand } from './commands.ts';
import { dressHelp } from './help.ts';
import { errorPaint, Outcome, ReaderGone, tell } from './output.ts';
import { Stopped } from './stopping.ts';
import { unknownCommand, usageError } from './usage-errors.ts';

export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/** Runs one command line and returns its exit code. */
export async function run(args: readonly string[]): Promise<number> {
  debugOut.line = tell;
  const code = await runCommand(args);
  if (debugLevel() > 0)
    debug(
      `exit code ${code}: ${performance.now().toFixed(0)} ms since the process began, peak RSS ${megabytes(process.resourceUsage().maxRSS * 1024)}`,
    );
  return code;
}

/** Other ways in which people ask for the version. */
const VERSION_WORDS: ReadonlySet<string> = new Set(['version', '-V']);

async function runCommand(given: readonly string[]): Promise<number> {
  const args = given.length > 0 && VERSION_WORDS.has(given[0]!) ? ['--version'] : given;
  try {
    if (args[0] === 'complete' && args[1] === '--') {
      // A shell asks, half-typed words and all: they are no command line yet.
      await (await import('./commands/completion.ts')).complete(args.slice(2), everyCommand);
      return EXIT.done;
    }
    const program = await buildProgram(args);
    if (args[0] === 'help' && args[1] !== undefined && !isCommand(args[1]))
      throw unknownCommand(program, args[1]);
    const chosen = program.commands.find((command) => command.name() === chosenName(args));
    const normal = normaliseFlags(args, chosen);
    if (normal.length === 0) {
      program.outputHelp({ error: true });
      return EXIT.usage;
    }
    await program.parseAsync(normal, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    return explain(error, args);
  }
}

/** The word that names the command: the first that is no flag, or the second after `help`. */
function chosenName(args: readonly string[]): string | undefined {
  const words = args.filter((arg) => !arg.startsWith('-'));
  return words[0] === 'help' ? words[1] : words[0];
}

async function buildProgram(args: readonly string[]): Promise<Command> {
  const program = new Command('whorl')
    .description('Fingerprints for language models: embed one before you publish, prove it afterwards.')
    .version(version(), '-v, --version', 'print the version')
    .addHelpText(
      'after',
      `\nStart with: whorl demo\nWHORL_DEBUG=1 shows phases and where an error came from; WHORL_CACHE names the cache folder.`,
    );
  const name = chosenName(args);
  for (const [command, entry] of Object.entries<CommandEntry>(COMMANDS)) {
    const full = name === command && isCommand(name) ? await entry.load() : new Command(command);
    program.addCommand(full.summary(entry.summary));
  }
  settle(program);
  for (const command of program.commands) dressHelp(command, command.name());
  return program;
}

/** No command ends the process by itself; what is wrong is said in our own words. */
function settle(command: Command): void {
  command
    .exitOverride((error) => {
      throw usageError(error, command) ?? error;
    })
    .allowExcessArguments(false)
    .helpOption('-h, --help', 'print this help')
    .configureOutput({ outputError: () => {} }); // said by `explain`
  if (command.commands.length > 0) command.helpCommand('help [command]', 'print the help of a command');
  for (const child of command.commands) settle(child);
}

function version(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}

/** What a person is told whose signal ended the command. */
export function stoppedWords(args: readonly string[]): string {
  const name = chosenName(args);
  const entry: CommandEntry | undefined = name !== undefined && isCommand(name) ? COMMANDS[name] : undefined;
  return entry?.resumes === true
    ? 'stopped: the same command goes on from here'
    : 'stopped: nothing unfinished was left behind';
}

function explain(thrown: unknown, args: readonly string[]): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.done : EXIT.usage; // it has spoken already
  if (thrown instanceof Outcome) return thrown.exitCode;
  if (thrown instanceof ReaderGone) return EXIT.failed;
  if (thrown instanceof Stopped) {
    tell(stoppedWords(args));
    return thrown.exitCode;
  }
  const error = systemError(thrown) ?? thrown;
  const debugging = debugLevel() > 0;
  const ours = error instanceof WhorlError;
  const message = error instanceof Error ? error.message : String(error);
  const hint = ours || debugging ? '' : ' (a bug in whorl; WHORL_DEBUG=1 shows where)';
  tell(`${errorPaint.red('error:')} ${oneLine(message)}${hint}`);
  if (debugging) tell(inspect(thrown));
  return ours && error.code === 'usage' ? EXIT.usage : EXIT.failed;
}

/** Of a name that somebody made longer than any path: the reader needs to know which, not all of it. */
const LONG_WORD = /\S{1024,}/g;
const SHOWN = 200;

/** Names of files and values stand in it: none may break the line, colour it or rub it out. */
const oneLine = (message: string): string =>
  writtenOut(
    message
      .replace(/\s*\n\s*/g, ' ')
      .replace(
        LONG_WORD,
        (word) => `${word.slice(0, SHOWN)}…${word.slice(-SHOWN)} (${word.length} characters)`,
      ),
  );
