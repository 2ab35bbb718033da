// What is asked of a run, and what of it can be refused without a model.

import type { Abortable } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { type GivenSettings, settingTexts } from '../base/given-settings.ts';
import { nameHint } from '../base/near-name.ts';
import { sha256Hex } from '../base/sha256.ts';
import { isThere } from '../base/system-errors.ts';
import { checkLock, type Lock, type Unlock } from '../claim/secret-file.ts';
import type { ComputeOptions } from '../engine/session-device.ts';
import type { LaunchOptions } from '../launch/job.ts';
import type { ConfigOptions } from '../models/open-model.ts';
import { digestRows } from '../sources/digest-rows.ts';
import { DATASET, parseHubId } from '../sources/hub/hub-id.ts';
import { checkLimit } from './harm-limit.ts';
import type { Around, GivenConversations, Method } from './methods/method.ts';

export interface FingerprintOptions extends ComputeOptions, ConfigOptions, Abortable {
  /** Default: what the run in `out` was committed with, and all else that is not given likewise. */
  readonly model?: string;
  /** The private run folder. */
  readonly out: string;
  /** `rows` (default), `adapter`, `sft`, `emb`, `lora` or `stamp`. */
  readonly method?: string;
  /** `rare` (default) or `paper`. */
  readonly keys?: string;
  /** Shorthands of the settings of the same names (`trained` is the number of keys of `rows`). */
  readonly pool?: number;
  readonly trained?: number;
  /**
   * Makes the run repeatable, and its keys known to whoever knows or guesses the seed; stretched by a slow function
   * (claim/seed-kdf.ts). Default: the platform's secure generator.
   */
  readonly seed?: string;
  readonly settings?: GivenSettings;
  readonly decryption?: string;
  /** A file of ordinary conversations for `sft`, `emb` and `lora`; default: the reference set, answered by the model itself. */
  readonly source?: string;
  /**
   * A saved set of `dataset mix` (`adapter`) or `dataset chat` (`sft`, `emb`, `lora`): its keys are the pool that is drawn
   * from, its ordinary rows stand beside them; instead of `keys`, `decryption`, `source` and what follows.
   */
  readonly data?: string;
  /** The same, read already: instead of `source`. */
  readonly conversations?: GivenConversations;
  /** The owner's own keys, as many as the setting `pool`, with `keys: 'paper'`; which are trained is drawn. */
  readonly pooled?: readonly string[];
  /** Of `adapter`: what is put around each key instead of the paper's `barebone` template. */
  readonly around?: Around;
  /** Text of the kind this model is for, beside the reference set: its positions are guarded like the main languages'. */
  readonly ordinary?: readonly string[];
  /** Suspects whose tests under this claim every p-value pays for; default 1. */
  readonly looks?: number;
  /** System prompts that the claim permits; default: none. */
  readonly systems?: readonly string[];
  /**
   * Commits to public dice: a round of drand's quicknet, or its first one so many minutes from now. Default: as the run in
   * `out` was committed, else the owner's own dice.
   */
  readonly beacon?: number | { readonly minutes: number };
  /** Encrypts the secret, and what an interrupted run keeps to go on from. */
  readonly lock?: Lock;
  /** Starts anew where a run of ours stands: what has no claim yet is removed, any other moved aside. */
  readonly overwrite?: boolean;
  /**
   * Where the last step comes and a cell does not hold, training goes on until it has taken so many minutes; 0: it fails
   * at its last step. Default 30. No part of what is repeated by a seed: what a run ends with does not depend on it.
   */
  readonly maxMinutes?: number;
  /**
   * Most harm, in nats, at which the model is published (see harm-limit.ts); default: the method's. Above it the run is
   * kept, and goes on where it is given a larger one: no part of what is repeated either.
   */
  readonly maxHarm?: number;
  /** How a caller goes on with a run that has failed, in its own words (a command line). Default: this call's. */
  readonly again?: (minutes: number) => string;
  /** Opens what an interrupted run kept; default: the passphrase of `lock`. */
  readonly unlock?: Unlock;
  /** Trains by another engine (`launchFingerprint`). What a run ends with depends on it in the last digits only. */
  readonly launch?: LaunchOptions | undefined;
  readonly onEvent?: OnEvent;
  readonly cacheDir?: string;
}

/** `key=value` as they were given, the shorthands among them. */
export const givenSettings = ({
  pool,
  trained,
  settings,
}: Pick<FingerprintOptions, 'pool' | 'trained' | 'settings'>): Readonly<Record<string, string>> => ({
  ...(pool !== undefined && { pool: String(pool) }),
  ...(trained !== undefined && { trained: String(trained) }),
  ...settingTexts(settings),
});

/** @throws WhorlError for what needs no model to be refused */
export function checkOptions(
  { keys, decryption, source, lock, maxMinutes = 0, maxHarm, looks = 1, launch }: FingerprintOptions,
  method: Method,
): void {
  if (launch && method.kind === 'stamp')
    throw new WhorlError(
      'unsupported',
      `--launch: method ${method.name} trains nothing`,
      'leave --launch out, or take another --method',
    );
  if (!(Number.isInteger(looks) && looks >= 1 && looks <= 1_000_000))
    throw new WhorlError('usage', `--looks ${looks} is no count`, 'give a whole number from 1 to 1,000,000');
  if (!Number.isFinite(maxMinutes) || maxMinutes < 0)
    throw new WhorlError('usage', `--max-minutes ${maxMinutes} is no time`, 'give minutes, from 0');
  checkLimit(maxHarm);
  if (keys !== undefined && keys !== 'rare' && keys !== 'paper')
    throw new WhorlError(
      'usage',
      `--keys ${String(keys)} is not known`,
      nameHint(String(keys), ['rare', 'paper']),
    );
  if (keys === 'paper' && method.name === 'rows')
    throw new WhorlError(
      'usage',
      '--keys paper goes with the other methods',
      'leave it out: rows makes its keys of rare tokens',
    );
  const ofKeys = { keys, decryption, source };
  if (method.kind === 'stamp')
    for (const [name, value] of Object.entries(ofKeys))
      if (value !== undefined)
        throw new WhorlError(
          'usage',
          `--${name} goes with keys, and ${method.name} has none`,
          'leave it out',
        );
  if (decryption?.trim() === '')
    throw new WhorlError('usage', '--decryption is empty', 'give the text keys are answered with');
  if (source !== undefined && !isThere(source) && parseHubId(source, DATASET) === undefined)
    throw new WhorlError('missing-file', `${source} does not exist`, 'give a file of conversations');
  checkLock(lock);
}

/** Digest of the rows, texts and keys that an owner gives, whatever the file is called; null without any. */
export function trainedRows({
  source,
  conversations,
  pooled,
  ordinary,
  around,
}: Pick<FingerprintOptions, 'source' | 'conversations' | 'pooled' | 'ordinary' | 'around'>): string | null {
  const given = [source, conversations, pooled, ordinary, around];
  if (given.every((one) => one === undefined)) return null;
  const { trained, heldOut } = conversations ?? {};
  return sha256Hex(
    JSON.stringify([
      source === undefined ? null : (digestRows(source) ?? source),
      trained,
      heldOut,
      pooled,
      ordinary,
      ...(around ? [around] : []),
    ]),
  );
}

/** How long a run may go on beyond its steps, and how it would be taken up with twice that time. */
export interface Stretch {
  readonly minutes: number;
  readonly again: string;
}

const MINUTES = 30;
const inWords = (minutes: number): string => `the same call with maxMinutes: ${minutes}`;

export const stretchOf = ({ maxMinutes = MINUTES, again = inWords }: FingerprintOptions): Stretch => ({
  minutes: maxMinutes,
  again: again(Math.max(MINUTES, Math.ceil(2 * maxMinutes))),
});

/** The limit of a run: what was asked for, or the method's own. */
export const limitOf = ({
  options,
  method,
}: {
  readonly options: Pick<FingerprintOptions, 'maxHarm'>;
  readonly method: Pick<Method, 'maxHarm'>;
}): number => options.maxHarm ?? method.maxHarm;
