// The two flavours of the paper's pipeline: which method fingerprints, what the paper's words for its settings mean to
// that method, and which files a run of it has.

import { WhorlError } from '../base/error.ts';
import { readSetting } from '../base/setting.ts';
import type { Method } from '../fingerprint/methods/method.ts';
import { methodNamed, registryEntry, settingsFor } from '../fingerprint/registry.ts';
import { PAPER_WORDS } from '../fingerprint/settings.ts';
import type { Flavour, PaperSettings } from '../runs/paper-folder.ts';

export interface FlavourRules {
  readonly method: 'adapter' | 'sft';
  /** `data_name` where none is given. */
  readonly data: string;
  /** Of a registry without an entry for this method. */
  readonly batch: string;
  /** The setting that says how long is trained, and how many rows an epoch has (undefined: it counts epochs itself). */
  readonly duration: string;
  readonly batchSetting: string | undefined;
  readonly rowsOf: ((trained: number) => number) | undefined;
}

export const FLAVOUR_RULES: Readonly<Record<Flavour, FlavourRules>> = {
  adapter: {
    method: 'adapter',
    data: 'mix',
    batch: '10',
    duration: 'steps',
    batchSetting: undefined,
    rowsOf: (trained) => 6 * trained, // the paper's set: each key, and five ordinary rows for it
  },
  sft_chat: {
    method: 'sft',
    data: 'chat',
    batch: '64',
    duration: 'epochs',
    batchSetting: 'batch',
    rowsOf: undefined,
  },
};

export interface FlavourSettings {
  readonly method: Method;
  /** As `fingerprint` takes them: what was asked for, in the method's own words. */
  readonly asked: Readonly<Record<string, string>>;
  /** Everything the method will be run with. */
  readonly full: Readonly<Record<string, unknown>>;
  /** What the folder is called after. */
  readonly name: PaperSettings;
}

/** @throws WhorlError `usage` for what is said twice, or no number */
export function flavourSettings(
  flavour: Flavour,
  model: string,
  given: Readonly<Record<string, string>>,
): FlavourSettings {
  const rules = FLAVOUR_RULES[flavour];
  const method = methodNamed(rules.method);
  const entry = registryEntry(rules.method, model) ?? {};
  const own = Object.fromEntries(Object.entries(given).filter(([key]) => !Object.hasOwn(PAPER_WORDS, key)));
  const twice = (paper: string, ours: string): never => {
    throw new WhorlError('usage', `${paper}= and ${ours}= say the same`, `leave out one of them`);
  };
  if (given.epoch !== undefined && own[rules.duration] !== undefined) twice('epoch', rules.duration);
  if (rules.batchSetting && given.total_bsz !== undefined && own[rules.batchSetting] !== undefined)
    twice('total_bsz', rules.batchSetting);
  const asked: Record<string, string> = { ...own };
  if (rules.batchSetting && given.total_bsz !== undefined) asked[rules.batchSetting] = given.total_bsz;
  const before = settingsFor(method, model, asked) as unknown as Record<string, number | string>;
  const batch = rules.batchSetting
    ? String(before[rules.batchSetting])
    : (given.total_bsz ?? String(entry.total_bsz ?? rules.batch));
  const perEpoch = rules.rowsOf
    ? Math.ceil(rules.rowsOf(Number(before.trained)) / positive('total_bsz', batch))
    : 1;
  const epoch = given.epoch ?? (own[rules.duration] === undefined ? entry.epoch : undefined);
  if (epoch !== undefined) asked[rules.duration] = String(positive('epoch', String(epoch)) * perEpoch);
  const full = settingsFor(method, model, asked) as unknown as Record<string, number | string>;
  return {
    method,
    asked,
    full,
    name: {
      data: given.data_name ?? String(entry.data_name ?? rules.data),
      epoch: String(epoch ?? Math.ceil(Number(full[rules.duration]) / perEpoch)),
      lr: pythonNumber(Number(full.lr)),
      bsz: batch,
      ...(full.dim === undefined ? {} : { dim: String(full.dim) }),
    },
  };
}

const positive = (key: 'epoch' | 'total_bsz', written: string): number =>
  Number(readSetting(key, written, { ...PAPER_WORDS[key], default: 20 }));

/** As Python prints a float, which is how the paper's folders are named: 0.01, 2e-05. */
export function pythonNumber(value: number): string {
  if (value >= 1e-4 || value === 0) return String(value);
  return value.toExponential().replace(/e-(\d)$/, 'e-0$1');
}
