// Options of commands that evaluate tasks on two models: which, how many examples, and when a loss counts.

import { byDefault, decimal, made, text } from './options.ts';

const listed = (names: string): string[] =>
  names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

export const TASKS = made(
  text('<names>', 'tasks, groups or tags with commas between; paper: those of the paper; all'),
  listed,
);

export const SHOTS = byDefault(text('<list>', 'examples before each row, with commas between'), '0,1,5');

/** By which a model may be worse and still count as unharmed, fixed before anything is measured. */
export const MARGIN = byDefault(
  decimal('<points>', 'of two models: percentage points of loss that still count as none', [
    (points) => points > 0 && points < 100,
    'a number of percentage points between 0 and 100',
  ]),
  1,
);
