// A saved data set as what a run trains: its keys are the pool that is committed, its ordinary rows stand beside them, and
// what it says of its own size are settings.

import { WhorlError } from '../base/error.ts';
import { readSavedSet, type SavedSet, type SetKind } from '../datasets/saved-set.ts';
import type { Method } from './methods/method.ts';
import { type FingerprintOptions, givenSettings } from './options.ts';
import { SCHEMAS } from './settings.ts';

/** Methods that train such a set, by name, and of which kind; the others make their keys. */
const TRAINS: Readonly<Record<string, SetKind>> = { adapter: 'mix', sft: 'chat', emb: 'chat', lora: 'chat' };

/** What may be said beside a set, and what it says itself. */
type Said = Pick<FingerprintOptions, 'keys' | 'decryption' | 'source'>;

/** @throws WhorlError `usage` for what the set says itself, said otherwise */
export function checkSaid({ keys, decryption, source }: Said, set: SavedSet): void {
  const twice = (flag: string): never => {
    throw new WhorlError('usage', `${flag} is said by ${set.path}`, `leave out ${flag}`);
  };
  if (keys !== undefined && keys !== 'paper') twice('--keys');
  if (decryption !== undefined && decryption !== set.decryption) twice('--decryption');
  if (source !== undefined) twice('--source');
}

/** What a set says of a run's settings, under what is given. @throws WhorlError `usage` for a pool that is not the set's */
export function settingsOfSet(
  method: keyof typeof SCHEMAS,
  given: Readonly<Record<string, string>>,
  { keys, trained, ordinary, path }: SavedSet,
): Record<string, string> {
  const { pool = String(keys.length) } = given;
  if (pool !== String(keys.length))
    throw new WhorlError('usage', `pool=${pool}: ${path} holds ${keys.length} keys`, 'leave out pool=');
  const drawn = Number(given.trained ?? trained);
  const schema: Readonly<Record<string, { readonly default: unknown } | undefined>> = SCHEMAS[method];
  const most = Number(schema.negatives?.default ?? 0);
  return {
    pool,
    trained: String(drawn),
    negatives: String(Math.max(0, Math.min(most, keys.length - drawn))),
    ...(TRAINS[method] === 'chat' && { ordinary: String(ordinary.length / 2) }),
    ...given,
  };
}

/** Keys, decryption and ordinary rows, as a run takes them. */
export function trainedOfSet(
  kind: SetKind,
  set: SavedSet,
): Pick<FingerprintOptions, 'keys' | 'decryption' | 'pooled' | 'ordinary' | 'conversations'> {
  const half = set.ordinary.length / 2;
  const [trained, heldOut] = [set.ordinary.slice(0, half), set.ordinary.slice(half)];
  return {
    keys: 'paper',
    decryption: set.decryption,
    pooled: set.keys,
    ...(kind === 'chat'
      ? { conversations: { trained, heldOut } }
      : { ordinary: trained.map((talk) => talk.map(({ value }) => value).join('\n')) }),
  };
}

/**
 * The options with what their `data` says.
 * @throws WhorlError `usage` for a method that makes its keys, or what is said beside the set; `mismatch` for another kind
 */
export async function withSavedSet<O extends FingerprintOptions>(options: O, method: Method): Promise<O> {
  const { data } = options;
  if (data === undefined) return options;
  const kind = TRAINS[method.name];
  if (kind === undefined)
    throw new WhorlError(
      'usage',
      `--data goes with other methods: ${method.name} ${method.kind === 'stamp' ? 'has no keys' : 'makes its keys'}`,
      `leave it out, or take --method ${Object.keys(TRAINS).join(', ')}`,
    );
  const set = await readSavedSet(data, kind, `--method ${method.name}`);
  checkSaid(options, set);
  const settings = settingsOfSet(method.name as keyof typeof SCHEMAS, givenSettings(options), set);
  const { pool: _, trained: __, ...rest } = options;
  return { ...(rest as O), ...trainedOfSet(kind, set), settings };
}
