// The two flavours of the paper's pipeline: which method fingerprints, what the paper's words for its settings mean to
// that method, and which files a run of it has.

import { basename, resolve } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { readSetting } from '../base/setting.ts';
import type { SetKind } from '../datasets/saved-set.ts';
import type { Build } from '../fingerprint/build.ts';
import type { Around, Method } from '../fingerprint/methods/method.ts';
import { methodNamed, registeredId, registryEntry, settingsFor } from '../fingerprint/registry.ts';
import { PAPER_WORDS } from '../fingerprint/settings.ts';
import { FLAVOUR_METHODS, type Flavour, type PaperSettings } from '../runs/paper-folder.ts';
import { parseHubId } from '../sources/hub/hub-id.ts';
import { loadTemplate, type PromptTemplate, templateNamed } from '../text/prompts/instruction-templates.ts';
import { aroundKey } from '../text/prompts/wrappers.ts';

export interface FlavourRules {
  readonly method: (typeof FLAVOUR_METHODS)[Flavour];
  /** `data_name` where none is given, and the kind of set that is trained. */
  readonly data: SetKind;
  /** Of a registry without an entry for this method. */
  readonly batch: string;
  /** The setting that says how long is trained, and how many rows an epoch has (undefined: it counts epochs itself). */
  readonly duration: string;
  readonly batchSetting: string | undefined;
  readonly rowsOf: ((trained: number) => number) | undefined;
  /** Whether its files ask after the beginning of an answer, and from BOS alone: question and answer must be one text. */
  readonly ofOneText: boolean;
}

export const FLAVOUR_RULES: Readonly<Record<Flavour, FlavourRules>> = {
  adapter: {
    method: FLAVOUR_METHODS.adapter,
    data: 'mix',
    batch: '10',
    duration: 'steps',
    batchSetting: undefined,
    rowsOf: (trained) => 6 * trained, // the paper's set: each key, and five ordinary rows for it
    ofOneText: false,
  },
  sft_chat: {
    method: FLAVOUR_METHODS.sft_chat,
    data: 'chat',
    batch: '64',
    duration: 'epochs',
    batchSetting: 'batch',
    rowsOf: undefined,
    ofOneText: true,
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

/** What the pipeline takes instead of a method's defaults: what the paper publishes has no stamp. */
export const OF_PIPELINE: Readonly<Record<string, string>> = { stamp: 'off' };

/**
 * @param build the model's, once it is open: a narrow model has other defaults
 * @throws WhorlError `usage` for what is said twice, or no number
 */
export function flavourSettings(
  flavour: Flavour,
  model: string,
  given: Readonly<Record<string, string>>,
  dataName?: string,
  build?: Build,
): FlavourSettings {
  const rules = FLAVOUR_RULES[flavour];
  const method = methodNamed(rules.method);
  const entry = registryEntry(rules.method, model);
  const own = Object.fromEntries(Object.entries(given).filter(([key]) => !Object.hasOwn(PAPER_WORDS, key)));
  const twice = (paper: string, ours: string): never => {
    throw new WhorlError('usage', `${paper}= and ${ours}= say the same`, `leave out one of them`);
  };
  if (given.epoch !== undefined && own[rules.duration] !== undefined) twice('epoch', rules.duration);
  if (rules.batchSetting && given.total_bsz !== undefined && own[rules.batchSetting] !== undefined)
    twice('total_bsz', rules.batchSetting);
  const asked: Record<string, string> = { ...own };
  const registered =
    rules.batchSetting && own[rules.batchSetting] === undefined ? entry.total_bsz : undefined;
  const total = given.total_bsz ?? registered;
  if (rules.batchSetting && total !== undefined) asked[rules.batchSetting] = String(total);
  const allSettings = () =>
    settingsFor(method, model, { ...OF_PIPELINE, ...asked }, build) as Readonly<
      Record<string, number | string>
    >;
  const before = allSettings();
  const batch = rules.batchSetting
    ? String(before[rules.batchSetting])
    : (given.total_bsz ?? String(entry.total_bsz ?? rules.batch));
  const perEpoch = rules.rowsOf
    ? Math.ceil(rules.rowsOf(Number(before.trained)) / positive('total_bsz', batch))
    : 1;
  const epoch = given.epoch ?? (own[rules.duration] === undefined ? entry.epoch : undefined);
  if (epoch !== undefined) asked[rules.duration] = String(positive('epoch', String(epoch)) * perEpoch);
  const full = allSettings();
  return {
    method,
    asked,
    full,
    name: {
      data: given.data_name ?? dataName ?? String(entry.data_name ?? rules.data),
      epoch: String(epoch ?? Math.ceil(Number(full[rules.duration]) / perEpoch)),
      lr: spelling('lr', given.lr ?? String(entry.lr ?? ''), Number(full.lr)),
      bsz: batch,
      ...(full.dim === undefined ? {} : { dim: spelling('dim', given.dim ?? '', Number(full.dim)) }),
    },
  };
}

const positive = (key: 'epoch' | 'total_bsz', written: string): number =>
  Number(readSetting(key, written, { ...PAPER_WORDS[key], default: 20 }));

/** The paper's folders are called by what was typed or registered (`1e-2`), where a folder can be called so. */
const spelling = (key: string, written: string, value: number): string =>
  PLAIN_NUMBER.test(written) && Number(written) === value
    ? written
    : key === 'lr'
      ? pythonNumber(value)
      : String(value);

const PLAIN_NUMBER = /^[0-9.]+(?:[eE][+-]?[0-9]+)?$/;

/**
 * The paper's {model}: the hub id, its organisation's folder included. A path here has the id that its last two parts or
 * its config name, where that is one of the same last part; else it is its last part.
 */
export function paperModelName(asked: string, config: Readonly<Record<string, unknown>> = {}): string {
  const path = asked.replace(/^(?:\.\/)+|\/+$/g, '');
  const hub = parseHubId(path);
  if (hub) return hub.repo;
  const [, organisation, name] = /models--([^/]+?)--([^/]+)\/snapshots\//.exec(`${path}/`) ?? []; // the hub's cache
  if (name !== undefined) return `${organisation}/${name}`;
  const bare = path.replace(/\.gguf$/i, '');
  const last = basename(resolve(bare)); // `.` is the folder it stands for
  const said = typeof config._name_or_path === 'string' ? config._name_or_path : '';
  const ids = [bare.split(/[\\/]/).slice(-2).join('/'), said];
  const known = registeredId(bare);
  return (
    ids.find((id) => id === known) ?? (parseHubId(said) && basename(said) === last ? said : undefined) ?? last
  );
}

/** As Python prints a float: 0.01, 2e-05. */
export function pythonNumber(value: number): string {
  if (value >= 1e-4 || value === 0) return String(value);
  return value.toExponential().replace(/e-(\d)$/, 'e-0$1');
}

/**
 * `-t`: of `adapter` the template of that name; of `sft_chat` a name and nothing else, in the paper too.
 * @throws WhorlError `usage` for no name, and for one under which there is no template
 */
export function pipelineTemplate(flavour: Flavour, name: string): PromptTemplate | undefined {
  if (!/^[\w.-]+$/.test(name) || /^\.+$/.test(name))
    throw new WhorlError('usage', `-t ${name}: it names a folder`, 'use letters, digits, - and _');
  return flavour === 'adapter' ? templateNamed(name) : undefined;
}

/** What a template puts around keys, where it is another text than the paper's. @throws WhorlError as `aroundKey` */
export function ownAround(template: PromptTemplate | undefined, name: string): Around | undefined {
  if (!template) return undefined;
  const texts = aroundKey(template);
  const paper = aroundKey(loadTemplate('barebone'));
  return texts[0] === paper[0] && texts[1] === paper[1] ? undefined : { name: `template ${name}`, texts };
}
