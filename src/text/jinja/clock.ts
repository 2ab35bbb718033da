// `strftime_now`, which some templates write today's date with: the directives that need no locale but C's.

import { refusal } from './scan.ts';

const MONTHS = 'January February March April May June July August September October November December'.split(
  ' ',
);
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');
const two = (value: number): string => String(value).padStart(2, '0');

/** In local time, as `datetime.now().strftime` is. */
const DIRECTIVES: Readonly<Record<string, (now: Date) => string>> = {
  a: (now) => DAYS[now.getDay()]!.slice(0, 3),
  A: (now) => DAYS[now.getDay()]!,
  b: (now) => MONTHS[now.getMonth()]!.slice(0, 3),
  B: (now) => MONTHS[now.getMonth()]!,
  d: (now) => two(now.getDate()),
  m: (now) => two(now.getMonth() + 1),
  y: (now) => two(now.getFullYear() % 100),
  Y: (now) => String(now.getFullYear()),
  H: (now) => two(now.getHours()),
  M: (now) => two(now.getMinutes()),
  S: (now) => two(now.getSeconds()),
  '%': () => '%',
};

export const strftime = (format: string, now: Date): string =>
  format.replace(/%([\s\S]?)/g, (_, name: string) => {
    const directive = Object.hasOwn(DIRECTIVES, name) ? DIRECTIVES[name] : undefined;
    if (!directive) throw refusal(`strftime_now with %${name}`);
    return directive(now);
  });
