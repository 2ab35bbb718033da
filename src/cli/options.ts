// Options of a command, each declared once: its flag, kind, default, words and which option of the library call it fills.
// A command's record of them is named like the call's options, so that what was given is passed on as it comes.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { WhorlError } from '../base/error.ts';
import { nameHint } from '../base/near-name.ts';
import { isThere } from '../base/system-errors.ts';
import { shownText } from './output.ts';

/** `A`: whether it has always a value, since it is required or has a default. */
export interface Declared<T, A extends boolean = boolean> {
  readonly words: string;
  /** What stands after the flag in the help: `<file>`; absent: a switch. */
  readonly value?: string;
  /** The flag without dashes, where it is not the option's own name in kebab-case. */
  readonly flag?: string;
  readonly short?: string;
  readonly choices?: readonly string[];
  readonly read?: (text: string, before: unknown) => unknown;
  /** What the library takes, of what was read. */
  readonly make?: (read: never) => T;
  /** As it is read, and as the help prints it. */
  readonly default?: { readonly read: unknown; readonly shown?: string };
  readonly always: A;
}

export type Options = Readonly<Record<string, Declared<unknown>>>;

/** What was given of a record of options, by the names of the record; absent where it was not. */
export type Given<O extends Options> = {
  readonly [N in keyof O as O[N] extends Declared<unknown, true> ? N : never]: O[N] extends Declared<infer T>
    ? T
    : never;
} & {
  readonly [N in keyof O as O[N] extends Declared<unknown, true> ? never : N]?: O[N] extends Declared<infer T>
    ? T
    : never;
};

type Optional<T> = Declared<T, false>;
type Always<T> = Declared<T, true>;

/** A text of any kind: a path, a name, a prompt. */
export const text = (value: string, words: string): Optional<string> => ({ value, words, always: false });

/** A flag that may be repeated. */
export const texts = (value: string, words: string): Optional<string[]> => ({
  value,
  words,
  always: false,
  read: (one, before) => [...((before as string[] | undefined) ?? []), one],
});

/** A switch: `true` where it is given. */
export const toggle = (words: string): Optional<boolean> => ({ words, always: false });

/** A switch that may have a value: `--flag [<value>]`; `true` where none is given. */
export const optional = (value: string, words: string): Optional<string | true> => ({
  value: `[${value}]`,
  words,
  always: false,
});

export const oneOf = <const C extends string>(
  value: string,
  choices: readonly C[],
  words: string,
): Optional<C> => ({ value, choices, words, always: false });

/** A whole number of at least `least`. */
export const wholeNumber = (value: string, least: number, words: string): Optional<number> => ({
  value,
  words,
  always: false,
  read(written) {
    const count = Number(written);
    if (!/^\d{1,15}$/.test(written) || count < least)
      throw new InvalidArgumentError(`It is not a whole number from ${least}.`);
    return count;
  },
});

/** @param fits which numbers it may be, and in words */
export const decimal = (
  value: string,
  words: string,
  fits: readonly [(value: number) => boolean, string] = [Number.isFinite, 'a number'],
): Optional<number> => ({
  value,
  words,
  always: false,
  read(written) {
    const number = Number(written);
    if (written.trim() === '' || !fits[0](number)) throw new InvalidArgumentError(`It is not ${fits[1]}.`);
    return number;
  },
});

export const fraction = (value: string, words: string): Optional<number> =>
  decimal(value, words, [(number) => number > 0 && number < 1, 'a number between 0 and 1']);

export const required = <T>(option: Optional<T>): Always<T> => ({ ...option, always: true });

export const byDefault = <const T>(option: Optional<T>, read: NoInfer<T>, shown?: string): Always<T> => ({
  ...option,
  always: true,
  default: { read, ...(shown !== undefined && { shown }) },
});

/** Under a flag of another name than the library's option. */
export const named = <O>(flag: string, option: O): O => ({ ...option, flag });

/** What the library takes, out of what is written. */
export const made = <R, T, A extends boolean>(
  option: Declared<R, A>,
  make: (read: R) => T,
): Declared<T, A> => ({
  ...option,
  make: make as (read: never) => T,
});

/** Declares them on the command. */
export function withOptions(command: Command, options: Options): Command {
  for (const [name, declared] of Object.entries(options)) command.addOption(optionOf(name, declared));
  return command;
}

/** `maxMinutes` and `base_model` → `max-minutes`, `base-model`. */
const kebab = (name: string): string =>
  name.replaceAll('_', '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** `--job-dtype`: as a person writes it. */
const flagOf = (name: string, { flag = kebab(name) }: Declared<unknown>): string => `--${flag}`;

/** What stands after a flag that names a place: a file, a folder, or what else may stand for a model or rows. */
const PLACES: ReadonlySet<string> = new Set(['<file>', '<folder>', '<model>', '<path>', '<rows>', '<set>']);

/** A variable that is not set leaves nothing; after `=` a shell does not say whose home `~` is. */
function checkPlace(flag: string, given: string): void {
  if (given.trim() === '')
    throw new WhorlError('usage', `${flag} is empty`, 'give a path; is a variable of the shell not set?');
  if (/^~(\/|$)/.test(given) && !isThere(given))
    throw new WhorlError(
      'usage',
      `${flag} ${shownText(given)}: the shell has left ~ as it stands`,
      `write "$HOME${shownText(given.slice(1))}", or leave a space in the place of =`,
    );
}

function optionOf(name: string, declared: Declared<unknown>): Option {
  const { value, words, short, choices, read, always, default: standard } = declared;
  const flags = `${short === undefined ? '' : `-${short}, `}${flagOf(name, declared)}${value === undefined ? '' : ` ${value}`}`;
  const option = new Option(flags, words);
  if (choices)
    option.choices(choices).argParser((given: string) => {
      if (choices.includes(given)) return given;
      throw new WhorlError(
        'usage',
        `${flagOf(name, declared)} ${given} is not known`,
        nameHint(given, choices),
      );
    });
  const isPlace = PLACES.has(value ?? '');
  if (read || isPlace)
    option.argParser((given: string, before: unknown) => {
      if (isPlace) checkPlace(flagOf(name, declared), given);
      return read ? read(given, before) : given;
    });
  if (standard) option.default(standard.read, standard.shown);
  return option.makeOptionMandatory(always && standard === undefined);
}

/** What was given of them, as the library takes it. */
export function given<O extends Options>(command: Command, options: O): Given<O> {
  const flags = command.opts<Readonly<Record<string, unknown>>>();
  const found = Object.entries(options).flatMap(([name, declared]): [string, unknown][] => {
    const read = flags[optionOf(name, declared).attributeName()];
    if (read === undefined) return [];
    return [[name, declared.make ? declared.make(read as never) : read]];
  });
  return Object.fromEntries(found) as Given<O>;
}

/** Of what was given of many options, what was given of these. */
export const among = <O extends Options>(found: Given<O>, options: O): Given<O> =>
  Object.fromEntries(Object.entries(found).filter(([name]) => Object.hasOwn(options, name))) as Given<O>;

/** @throws WhorlError `usage` for one of them that was given without the flag that it belongs to */
export function refuseAlone(
  flags: Readonly<Record<string, unknown>>,
  options: Options,
  belongs: string,
  fix: string,
): void {
  const lone = Object.keys(flags)[0];
  if (lone !== undefined)
    throw new WhorlError('usage', `${flagOf(lone, options[lone]!)} goes with ${belongs}`, fix);
}

/** On every command that has a result to print. */
export const JSON_LINE = { json: toggle('one JSON line on stdout and nothing else') };
export const JSON_LINES = { json: toggle('JSON lines on stdout and nothing else') };

/** On every command whose work takes long or writes much. */
export const DRY_RUN = {
  dryRun: toggle('make every check that comes before the work, print the plan, write nothing'),
};
