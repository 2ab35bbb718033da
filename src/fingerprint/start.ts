// What a run was begun with, kept for whoever goes on with it: a new run's seed, or an interrupted run taken up.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { WhorlError } from '../base/error.ts';
import { silent } from '../base/events.ts';
import type { GivenSettings } from '../base/given-settings.ts';
import { readLocked, type Unlock, writeLocked } from '../claim/secret-file.ts';
import { SEED_KDF, type SeedKdf, stretchSeed } from '../claim/seed-kdf.ts';
import { roundFrom, roundNumber, roundTime } from '../proof/drand.ts';
import { MARGIN } from '../proof/order.ts';
import type { RunFolder } from '../runs/run-folder.ts';
import { type FingerprintOptions, givenSettings } from './options.ts';

export interface Start {
  /** 256 bits, hex: everything random in the run comes from it. */
  readonly seed: string;
  readonly created: string;
  /** How a seed given as text became `seed`; absent where it is random. */
  readonly from_text?: SeedKdf;
  /** What a resumed run must have been asked for. */
  readonly options: string;
}

/** What a run was asked for; one that is taken up must be asked for the same. */
export interface RunOptions {
  readonly model: string;
  readonly method: string;
  readonly keys: string;
  readonly seed: string | null;
  readonly decryption: string | null;
  readonly source: string | null;
  /** A saved set that is trained. */
  readonly data?: string;
  /** Digest of the rows and keys that were given. */
  readonly rows: string | null;
  readonly looks?: number;
  readonly systems?: readonly string[];
  readonly beacon?: number;
  readonly ignoreConfigKeys?: readonly string[];
  readonly settings: Readonly<Record<string, unknown>>;
}

/** How a run comes to its start: it is the interrupted one's, or a new one's, in a folder that may hold something yet. */
export type Beginning =
  | { readonly kind: 'resumed'; readonly start: Start }
  /** `refused`: begun by a command that was refused before its commitment; `over`: with --overwrite. */
  | { readonly kind: 'new' | 'refused' | 'over' };

/** @throws WhorlError `mismatch` for an interrupted run of other options, `exists` for a folder that is not ours to clear */
export function beginningOf(
  run: RunFolder,
  state: ReturnType<RunFolder['state']>,
  asked: RunOptions,
  { overwrite }: FingerprintOptions,
  start: Start | undefined,
): Beginning {
  if (overwrite && state !== 'new') {
    run.aside();
    return { kind: 'over' };
  }
  if (start === undefined) return { kind: 'new' };
  if (start.options === JSON.stringify(asked)) return { kind: 'resumed', start };
  // Before the commitment nothing was drawn or trained: a refused command is simply corrected.
  if (existsSync(run.claim) || !isKnown(start.options))
    throw new WhorlError(
      'mismatch',
      `${run.path} holds an interrupted run that was asked for other settings (${differences(start.options, asked).join(', ')})`,
      'repeat its options to resume it, start anew with --overwrite, or name a new folder with --out',
    );
  return { kind: 'refused' };
}

/** What an interrupted run goes on from, where one is taken up. */
export async function interruptedStart(
  run: RunFolder,
  { overwrite, lock, unlock }: FingerprintOptions,
): Promise<Start | undefined> {
  if (overwrite || run.state() !== 'interrupted') return undefined;
  if (unlock !== undefined && lock === undefined)
    throw new WhorlError(
      'usage',
      'a run that is opened by an identity would end with its secret in clear',
      'give the --recipient that it was begun with, too',
    );
  return readStart(run, unlock ?? (lock && 'passphrase' in lock ? lock : undefined));
}

/**
 * The options as the run was committed with them, where none are given: without a model all of them, else its dice alone.
 * @throws WhorlError `usage` without a model, or for dice that are known already
 */
export function asCommitted(given: FingerprintOptions, start: Start | undefined): Complete {
  const asked = start && isKnown(start.options) ? (JSON.parse(start.options) as RunOptions) : undefined;
  const beacon = roundOf(given.beacon, asked?.beacon);
  const { beacon: _, ...rest } = given;
  const withDice = { ...rest, ...(beacon !== undefined && { beacon }) };
  if (given.model !== undefined) return { ...withDice, model: given.model };
  if (asked === undefined)
    throw new WhorlError('usage', `${given.out} holds no run to go on with`, 'name the model with --model');
  const { model, method, keys, seed, decryption, source, data, looks, systems, ignoreConfigKeys, settings } =
    asked;
  return {
    model,
    method,
    ...(keys !== 'rare' && { keys }),
    ...(seed !== null && { seed }),
    ...(decryption !== null && { decryption }),
    ...(source !== null && { source }),
    ...(data !== undefined && { data }),
    ...(looks !== undefined && { looks }),
    ...(systems !== undefined && { systems }),
    ...(ignoreConfigKeys !== undefined && { ignoreConfigKeys }),
    ...withDice,
    settings: { ...(settings as GivenSettings), ...givenSettings(given) },
  };
}

type Complete = FingerprintOptions & { readonly model: string; readonly beacon?: number };

/** Dice that are to come; of a run that is taken up its own. */
function roundOf(given: FingerprintOptions['beacon'], committed: number | undefined): number | undefined {
  if (committed !== undefined && (given === undefined || typeof given !== 'number' || given === committed))
    return committed;
  if (given === undefined) return undefined;
  const now = Date.now();
  const round = typeof given === 'number' ? given : roundFrom(now + 60_000 * given.minutes);
  if (!roundNumber.safeParse(round).success)
    throw new WhorlError(
      'usage',
      '--beacon is no round of drand’s quicknet',
      'give its number, or 30m, 2h, 7d',
    );
  if (roundTime(round) < now + MARGIN)
    throw new WhorlError(
      'usage',
      `beacon round ${round} is of ${new Date(roundTime(round)).toISOString()}: dice that may be known already prove nothing`,
      'commit to a later round, which leaves time for a time stamp: --beacon 1h',
    );
  return round;
}

/** Whether these options were written by this version. */
function isKnown(options: string): boolean {
  const was: unknown = JSON.parse(options);
  return typeof was === 'object' && was !== null && !Array.isArray(was) && 'settings' in was;
}

/** Each option that is another one, as it was. The seed makes the keys, so neither is shown. */
function differences(before: string, asked: RunOptions): string[] {
  if (!isKnown(before)) return ['of another version of Whorl'];
  const was = JSON.parse(before) as RunOptions;
  const flat = ({ settings, seed, ...more }: RunOptions): Map<string, string> =>
    new Map(
      Object.entries({ ...more, ...settings }).map(([key, value]) => [key, String(value ?? 'not given')]),
    ).set('seed', seed === null ? 'not given' : 'given');
  const [old, now] = [flat(was), flat(asked)];
  const differ = [...now].filter(([key, value]) => old.get(key) !== value);
  const words = differ.map(([key, value]) => `${key}: ${old.get(key) ?? 'not given'}, now ${value}`);
  return words.length > 0 ? words : ['seed: another one'];
}

export async function started(
  run: RunFolder,
  asked: RunOptions,
  beginning: Beginning,
  { lock, onEvent = silent }: FingerprintOptions,
): Promise<Start> {
  if (beginning.kind === 'resumed') return beginning.start;
  if (beginning.kind === 'over') {
    const aside = run.clearAway();
    const text = aside === undefined ? `${run.path}: started anew` : `what was there is in ${aside}`;
    onEvent({ kind: 'note', text });
  } else if (beginning.kind === 'refused') run.clean();
  const { seed } = asked;
  const options = JSON.stringify(asked);
  const start: Start =
    seed === null
      ? { seed: randomBytes(32).toString('hex'), created: new Date().toISOString(), options }
      : {
          seed: await stretchSeed(seed),
          created: new Date(0).toISOString(),
          from_text: SEED_KDF,
          options,
        };
  run.create();
  await writeLocked(run.start, `${JSON.stringify(start)}\n`, lock);
  return start;
}

/** What an interrupted run goes on from. @throws WhorlError `bad-secret` where it is locked and not opened, or damaged */
export async function readStart(run: RunFolder, unlock?: Unlock): Promise<Start> {
  const text = (await readLocked(run.start, unlock)).reveal();
  try {
    return JSON.parse(text) as Start;
  } catch (cause) {
    throw new WhorlError('bad-secret', `${run.start} is damaged`, 'name a new folder with --out', { cause });
  }
}
