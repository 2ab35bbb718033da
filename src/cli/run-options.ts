// Options of commands that make a fingerprint run, whole or as a part of the pipeline.

import { decimal, text, toggle } from './options.ts';

export const SEED = text(
  '<text>',
  'repeats a run bit for bit on the same machine; whoever knows or guesses it knows the keys',
);

export const OVERWRITE = toggle(
  'start anew where a run stands: what has no claim yet is removed, any other run moved aside',
);

/** `Infinity`: whatever it costs. */
export const harmLimit = (words: string) =>
  decimal('<nats>', words, [(nats) => nats >= 0, 'a number from 0']);

export const SETTINGS_FILE = text('<file>', 'YAML with settings, under those of the command line');

export const TSA_ROOT = text(
  '<file>',
  'certificates of time-stamp authorities that you trust (PEM, or one in DER); default: none',
);
