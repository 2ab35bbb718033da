// What commander refuses, said as every other error is: one line, what is wrong, then the nearest name or what to type. What a
// surplus argument says is not repeated: it may be a passphrase typed in the wrong place.

import type { Argument, Command, CommanderError, Option } from 'commander';
import { WhorlError } from '../base/error.ts';
import { nameHint } from '../base/near-name.ts';
import { shownText } from './output.ts';

/** `whorl report fsr` */
function fullName(command: Command): string {
  const above = command.parent ? `${fullName(command.parent)} ` : '';
  return above + command.name();
}

const help = (command: Command): string => `${fullName(command)} --help`;
const flagOf = ({ long, short }: Option): string => long ?? short!;
const shownValue = (value: string): string => shownText(value, 80);

/** `--model <model>` → the option, by what commander quotes. */
const quotedIn = (message: string): string => /'([^']*)'/.exec(message)?.[1] ?? '';

type Says = (command: Command, message: string) => readonly [what: string, fix: string];

const SAYS: Readonly<Record<string, Says>> = {
  unknownCommand: (command) => noCommand(command, command.args[0]!),
  unknownOption(command, message) {
    const [flag, value] = quotedIn(message).split('=');
    const known = command.options.some(({ long, short }) => long === flag || short === flag);
    if (known && value !== undefined) return [`${flag} takes no value`, `write ${flag} alone`];
    if (!command.parent)
      return [`${shownValue(flag!)} stands before any command`, `${help(command)} lists the commands`];
    return [`unknown option ${shownValue(flag!)}`, `${help(command)} lists them`];
  },
  optionMissingArgument: (command, message) => {
    const option = command.options.find(({ flags }) => flags === quotedIn(message));
    const flags = option ? option.flags.replace(/^-\w, /, '') : quotedIn(message);
    return [`${flags.split(' ')[0]} is given without its value`, `write ${flags}`];
  },
  missingMandatoryOptionValue(command) {
    const given = command.opts<Readonly<Record<string, unknown>>>();
    const missing = command.options
      .filter((option) => option.mandatory && given[option.attributeName()] === undefined)
      .map(flagOf);
    return [`${fullName(command)} needs ${missing.join(', ')}`, `${help(command)} says what each is for`];
  },
  missingArgument(command, message) {
    return [`${fullName(command)} needs <${quotedIn(message)}>`, help(command)];
  },
  excessArguments(command) {
    const { length } = command.registeredArguments;
    const takes = length === 0 ? 'no argument' : `${length} argument${length === 1 ? '' : 's'}`;
    return [
      `${fullName(command)} takes ${takes} beside its flags, and ${command.args.length} ${command.args.length === 1 ? 'is' : 'are'} given`,
      'a value with spaces goes in quotes',
    ];
  },
  invalidArgument(command, message) {
    const [, value = '', reason = ''] =
      /(?:argument|value) '(.*)' is invalid.*?\. (.*)$/s.exec(message) ?? [];
    const argument = argumentNamed(command, /for argument '([^']*)'/.exec(message)?.[1]);
    if (argument)
      return [
        `${argument.name()} ${shownValue(value)} is not known`,
        nameHint(value, argument.argChoices ?? []),
      ];
    const flag = quotedIn(message)
      .replace(/^-\w, /, '')
      .split(' ')[0];
    return [
      `${flag} ${shownValue(value)}: ${reason.replace(/^It is /, 'it is ').replace(/\.$/, '')}`,
      help(command),
    ];
  },
};

function noCommand(command: Command, name: string): readonly [what: string, fix: string] {
  const names = command.commands.map((child) => child.name());
  return [
    `${fullName(command)} has no command ${shownValue(name)}`,
    nameHint(name, names, { list: `${help(command)} lists them` }),
  ];
}

export const unknownCommand = (command: Command, name: string): WhorlError =>
  new WhorlError('usage', ...noCommand(command, name));

const argumentNamed = (command: Command, name: string | undefined): Argument | undefined =>
  name === undefined ? undefined : command.registeredArguments.find((argument) => argument.name() === name);

/** The same refusal in our words; undefined where nothing is refused: help or the version was asked for. */
export function usageError(error: CommanderError, command: Command): WhorlError | undefined {
  const says = SAYS[error.code.replace(/^commander\./, '')];
  if (!says) return undefined;
  const [what, fix] = says(command, error.message);
  return new WhorlError('usage', what, fix, { cause: error });
}
