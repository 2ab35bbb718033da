// What a command line means before commander reads it: `_` in flags is `-`, values are left alone; settings after them.

import type { Command } from 'commander';
import { WhorlError } from '../base/error.ts';
import { nearestNames } from '../base/near-name.ts';
import { shellWords } from '../base/shell.ts';
import { shownText } from './output.ts';

/**
 * `--base_model=x` → `--base-model=x`. The value after a flag that takes one stays as it is, even `--like_this`, unless it is
 * another flag of the command.
 * Throws `usage` for a flag that `command` does not know: commander itself would first miss a required one.
 */
export function normaliseFlags(args: readonly string[], command?: Command): string[] {
  const flags = command && flagsOf(command);
  const out: string[] = [];
  let value: string | undefined;
  for (const [i, arg] of args.entries()) {
    if (value !== undefined && flags?.has(arg.replaceAll('_', '-')))
      throw new WhorlError(
        'usage',
        `${value} is given without its value: ${arg} follows`,
        `give one; if it is ${arg} itself, write ${value}=${arg}`,
      );
    if (value === undefined && arg === '--') return [...out, ...args.slice(i)];
    const flag: string | undefined = value !== undefined ? undefined : /^--?[^=]+/.exec(arg)?.[0];
    if (flag === undefined) {
      out.push(arg);
      value = undefined;
      continue;
    }
    const name: string = flag.startsWith('--') ? flag.replaceAll('_', '-') : flag;
    const short = /^-[A-Za-z]/.exec(name)?.[0];
    if (flags && name.startsWith('--') && !flags.has(name))
      throw unknownFlag(name, flags, takesSettings(command));
    if (flags && short !== undefined && !flags.has(short)) throw unknownShort(name, flags);
    out.push(name + arg.slice(flag.length));
    value = flags?.get(name) === true && !arg.includes('=') ? name : undefined;
  }
  return out;
}

/** Every flag of the command and of those below it, and whether it takes a value. */
function flagsOf(command: Command): Map<string, boolean> {
  const flags = new Map([
    ['--help', false],
    ['-h', false],
  ]);
  const collect = (of: Command): void => {
    for (const { long, short, required } of of.options)
      for (const flag of [long, short]) if (flag) flags.set(flag, required);
    for (const child of of.commands) collect(child);
  };
  collect(command);
  return flags;
}

/** Whether it takes `key=value` after its flags. */
const takesSettings = (command: Command | undefined): boolean =>
  command?.registeredArguments.some(
    (argument) => argument.variadic && ['settings', 'modes'].includes(argument.name()),
  ) ?? false;

/** `-m`, and `-model`, which lacks a dash. */
function unknownShort(name: string, flags: ReadonlyMap<string, boolean>): WhorlError {
  const long = `-${name.replaceAll('_', '-')}`;
  const first = [...flags.keys()].filter((flag) => flag.startsWith(`-${name}`));
  const meant = flags.has(long) ? [long] : first.length === 1 ? first : [];
  return new WhorlError(
    'usage',
    `unknown option ${shownText(name, 80)}`,
    meant.length > 0 ? `did you mean ${meant[0]!}?` : 'see --help',
  );
}

function unknownFlag(name: string, flags: ReadonlyMap<string, boolean>, settings: boolean): WhorlError {
  const near = nearestNames(
    name.slice(2),
    [...flags.keys()].flatMap((flag) => (flag.startsWith('--') ? [flag.slice(2)] : [])),
  );
  const setting = `a setting is written ${name.slice(2).replaceAll('-', '_')}=VALUE, without dashes`;
  const hints = [
    ...(near.length === 0 ? [] : [`did you mean ${near.map((flag) => `--${flag}`).join(' or ')}?`]),
    ...(settings ? [setting] : []),
  ];
  return new WhorlError('usage', `unknown option ${name}`, hints.join('; ') || 'see --help');
}

/** Rest arguments `key=value`. Throws `usage` for one that is none, and for a key given twice. */
export function parseSettings(args: readonly string[]): Record<string, string> {
  const settings = new Map<string, string>();
  for (const [i, arg] of args.entries()) {
    const [, key, value] = /^([A-Za-z][\w.-]*)=(.*)$/s.exec(arg) ?? [];
    // The argument itself is not repeated: a passphrase typed in the wrong place must not reach a log.
    if (key === undefined || value === undefined)
      throw new WhorlError(
        'usage',
        `argument ${i + 1} after the flags is not key=value`,
        'write settings as key=value',
      );
    if (settings.has(key)) throw new WhorlError('usage', `the setting ${key} is given twice`, 'give it once');
    settings.set(key, value);
  }
  return Object.fromEntries(settings);
}

/**
 * A command as it was given, to be typed again, with other values of some flags (by the names commander gives them);
 * false leaves a flag out.
 */
export function commandLine(command: Command, changes: Readonly<Record<string, unknown>> = {}): string {
  const given = command.opts<Record<string, unknown>>();
  const words = command.options.flatMap((option) => {
    const name = option.attributeName();
    const isGiven = command.getOptionValueSource(name) === 'cli';
    const value = Object.hasOwn(changes, name) ? changes[name] : isGiven ? given[name] : false;
    if (value === false || value === undefined) return [];
    const flag = option.long ?? option.short!;
    if (value === true) return [flag];
    return (Array.isArray(value) ? value : [value]).flatMap((each) => [flag, String(each)]);
  });
  return shellWords(
    [command.parent?.name(), command.name(), ...words, ...command.args].filter((word) => word !== undefined),
  );
}
