// Which files of a data set's repository hold which split, by the rules of `datasets`: what README.md says in its
// `configs`, else what the files are called. Pure: a list of names in, a list of names out.

import { parse } from 'yaml';
import { WhorlError } from '../../base/error.ts';
import { nameHint } from '../../base/near-name.ts';
import { globMatches } from './glob.ts';

/** Patterns by split. */
type Patterns = ReadonlyMap<string, readonly string[]>;

interface Config {
  readonly name: string;
  readonly isDefault: boolean;
  readonly patterns: Patterns;
}

/** What of a data set is meant; what is undefined is found. */
export interface Wanted {
  readonly config?: string | undefined;
  readonly split?: string | undefined;
}

/** What rows are read from, the likeliest first where a set has as many files of each. */
const READ = ['parquet', 'jsonl', 'ndjson', 'json', 'arrow'];
const CSV = /\.(csv|tsv)$/i;
const PACKED = /\.(zip|tar|tgz|gz|zst|bz2|xz|7z)$/i;
/** Files that hold no rows whatever their name's end. */
const NO_ROWS = ['config.json', 'dataset_info.json', 'dataset_infos.json', 'dataset_dict.json', 'state.json'];
const MAX_SHOWN = 10;
const DEFAULT = 'default';

// Keywords by split, in the order of `datasets`.
const SPLITS: Readonly<Record<string, readonly string[]>> = {
  train: ['train', 'training'],
  validation: ['validation', 'valid', 'dev', 'val'],
  test: ['test', 'testing', 'eval', 'evaluation'],
};
const SEP = '[-._ 0-9]';
const IN_FOLDER = (word: string) => [
  `**/${word}/**`,
  `**/${word}${SEP}*/**`,
  `**/*${SEP}${word}/**`,
  `**/*${SEP}${word}${SEP}*/**`,
];
const IN_NAME = (word: string) => [`**/${word}${SEP}*`, `**/*${SEP}${word}${SEP}*`];
const SHARDED = /^data\/(.+)-\d{5}-of-\d{5}[^/]*\.[^/]*$/;
/** `refs/convert/parquet`, where the hub keeps what it has converted itself. */
const CONVERTED = /^([^/]+)\/(?:partial-)?([^/]+)\/\d{4}\.parquet$/;

/** The files of the wanted split in the order of `datasets`. Throws `missing-file`, `unsupported` or `bad-file`. */
export function dataFilesOf(
  names: readonly string[],
  readme: string,
  wanted: Wanted,
  set: string,
): readonly string[] {
  const usable = names.filter((name) => isData(name) && !isHidden(name)).sort();
  if (usable.length === 0) throw noData(names, set);
  const config = chosenConfig(configsOf(usable, readme, set), wanted, set);
  const split = chosenSplit(config, wanted, set);
  const patterns = config.patterns.get(split)!;
  const files = [...new Set(patterns.flatMap((pattern) => matching(pattern, names)))];
  const rows = ofOneKind(files.filter(isData));
  if (rows.length > 0) return rows;
  throw files.length > 0
    ? noData(files, `${set}, split ${split}`)
    : new WhorlError('missing-file', `${set}: no file fits ${patterns.join(', ')}`, 'name a file: ID:FILE');
}

/** The files that fit a pattern, sorted; hidden ones only where it is their name. */
export const matching = (pattern: string, names: readonly string[]): string[] =>
  names.includes(pattern)
    ? [pattern]
    : names.filter((name) => !isHidden(name) && globMatches(pattern, name)).sort();

const extensionOf = (name: string): string => /\.([^./]+)$/.exec(name)?.[1]?.toLowerCase() ?? '';
const isData = (name: string): boolean =>
  READ.includes(extensionOf(name)) && !NO_ROWS.includes(name.slice(name.lastIndexOf('/') + 1));
const isHidden = (name: string): boolean => name.split('/').some((part) => /^(\.|__)/.test(part));

/** A set has one format: the commonest among its files. */
function ofOneKind(files: readonly string[]): string[] {
  const count = (kind: string) => files.filter((name) => extensionOf(name) === kind).length;
  const [kind] = [...READ].sort((a, b) => count(b) - count(a));
  return files.filter((name) => extensionOf(name) === kind);
}

function configsOf(names: readonly string[], readme: string, set: string): Config[] {
  const told = toldConfigs(names, readme, set);
  if (told.length > 0) return told;
  if (!names.every((name) => CONVERTED.test(name)))
    return [{ name: DEFAULT, isDefault: true, patterns: byName(names) }];
  const configs = new Map<string, Map<string, string[]>>();
  for (const name of names) {
    const [, config, split] = CONVERTED.exec(name)!;
    const splits = configs.get(config!) ?? configs.set(config!, new Map()).get(config!)!;
    splits.set(split!, [...(splits.get(split!) ?? []), name]);
  }
  return [...configs].map(([name, patterns]) => ({ name, isDefault: name === DEFAULT, patterns }));
}

/** Splits by the usual names; all files are `train` where none has one. */
function byName(names: readonly string[], folder = ''): Patterns {
  const inside = names.filter((name) => name.startsWith(folder)).map((name) => name.slice(folder.length));
  const found = (patterns: readonly string[]) => patterns.some((p) => inside.some((n) => globMatches(p, n)));
  const within = (patterns: readonly string[]) => patterns.map((pattern) => folder + pattern);
  const sharded = [...new Set(inside.flatMap((name) => SHARDED.exec(name)?.[1] ?? []))].sort();
  if (sharded.length > 0)
    return new Map(sharded.map((split) => [split, within([`data/${split}-${digits}-of-${digits}*.*`])]));
  for (const patternsOf of [IN_FOLDER, IN_NAME]) {
    const splits = Object.entries(SPLITS)
      .map(([split, words]) => [split, words.flatMap(patternsOf)] as const)
      .filter(([, patterns]) => found(patterns));
    if (splits.length > 0) return new Map(splits.map(([split, patterns]) => [split, within(patterns)]));
  }
  return new Map([['train', within(['**'])]]);
}
const digits = '[0-9]'.repeat(5);

/** `configs` of the YAML between the two lines of dashes at the README's beginning. */
function toldConfigs(names: readonly string[], readme: string, set: string): Config[] {
  const [, front] = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---\s*(?:\r?\n|$)/.exec(readme) ?? [];
  if (front === undefined) return [];
  const wrong = (what: string, cause?: unknown): WhorlError =>
    new WhorlError(
      'bad-file',
      `${set}: README.md ${what}`,
      'name its files yourself: ID:FILE or ID:PATTERN',
      {
        cause,
      },
    );
  let value: unknown;
  try {
    value = parse(front, { maxAliasCount: 100, logLevel: 'error' });
  } catch (cause) {
    throw wrong('begins with YAML that cannot be read', cause);
  }
  const list = isObject(value) ? value.configs : undefined;
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw wrong('has configs that are no list');
  return list.map((entry: unknown): Config => {
    const name = isObject(entry) ? (entry.config_name ?? DEFAULT) : undefined;
    if (!isObject(entry) || typeof name !== 'string') throw wrong('has a config without a name');
    const { data_dir: dir, data_files: files } = entry;
    const folder = typeof dir === 'string' && dir !== '' ? `${plain(dir).replace(/\/+$/, '')}/` : '';
    const told = files === undefined || files === null ? byName(names, folder) : patternsOf(files, folder);
    if (told === undefined) throw wrong(`gives config ${JSON.stringify(name)} data_files of another form`);
    return { name, isDefault: entry.default === true || name === DEFAULT, patterns: told };
  });
}

/** A path or a list of them (`train`), a list of {split, path}, or an object by split. */
function patternsOf(files: unknown, folder: string): Patterns | undefined {
  const texts = (value: unknown): string[] | undefined => {
    const list: unknown[] = Array.isArray(value) ? value : [value];
    return list.length > 0 && list.every((item) => typeof item === 'string')
      ? (list as string[]).map((path) => folder + plain(path))
      : undefined;
  };
  const entries: [unknown, unknown][] =
    Array.isArray(files) && files.some(isObject)
      ? files.map((entry: unknown) => (isObject(entry) ? [entry.split, entry.path] : [undefined, undefined]))
      : isObject(files)
        ? Object.entries(files)
        : [['train', files]];
  const splits = new Map<string, string[]>();
  for (const [split, value] of entries) {
    const paths = texts(value);
    if (typeof split !== 'string' || paths === undefined) return undefined;
    splits.set(split, paths);
  }
  return splits.size > 0 ? splits : undefined;
}

const plain = (path: string): string => path.replace(/^(\.\/)+/, '');

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function chosenConfig(configs: readonly Config[], { config, split }: Wanted, set: string): Config {
  const names = configs.map(({ name }) => name);
  if (config === undefined) {
    const one = configs.length === 1 ? configs[0] : configs.find(({ isDefault }) => isDefault);
    if (one !== undefined) return one;
    throw new WhorlError(
      'missing-file',
      `${set} has several configs: ${shown(names)}`,
      `name one: ID:${shown(names.slice(0, 1))}${split === undefined ? '' : `:${split}`}`,
    );
  }
  const found = configs.find(({ name }) => name === config);
  if (found !== undefined) return found;
  throw new WhorlError('missing-file', `${set} has no config ${JSON.stringify(config)}`, hint(config, names));
}

function chosenSplit({ patterns }: Config, { split }: Wanted, set: string): string {
  const names = [...patterns.keys()];
  if (split === undefined) {
    if (patterns.has('train')) return 'train';
    if (names.length === 1) return names[0]!;
    throw new WhorlError(
      'missing-file',
      `${set} has no split "train"`,
      `name one of ${shown(names)}: ID:SPLIT`,
    );
  }
  if (patterns.has(split)) return split;
  throw new WhorlError('missing-file', `${set} has no split ${JSON.stringify(split)}`, hint(split, names));
}

/** The names of configs and splits, to tell what a single word after the colon means. */
export function namesOf(names: readonly string[], readme: string, set: string): ReadonlySet<string> {
  return new Set(
    configsOf(
      names.filter((name) => isData(name) && !isHidden(name)),
      readme,
      set,
    ).map((c) => c.name),
  );
}

const hint = (name: string, names: readonly string[]): string =>
  nameHint(name, names, { shown: (one) => shown([one]) });

/** Names out of a stranger's files, with nothing in them that a terminal would act on. */
const shown = (names: readonly string[]): string =>
  names
    .slice(0, MAX_SHOWN)
    .join(', ')
    .replace(/[\p{Cc}\p{Cf}]/gu, '?')
    .slice(0, 300) + (names.length > MAX_SHOWN ? ' …' : '');

function noData(names: readonly string[], set: string): WhorlError {
  const visible = names.filter((name) => !isHidden(name));
  const packed = visible.find((name) => PACKED.test(name));
  const csv = visible.find((name) => CSV.test(name));
  const script = visible.find((name) => name.endsWith('.py'));
  const converted = 'try ID@refs/convert/parquet, where the hub keeps what it has converted';
  if (csv !== undefined)
    return new WhorlError('unsupported', `${set} is CSV (${shown([csv])}), which is not read`, converted);
  if (packed !== undefined)
    return new WhorlError(
      'unsupported',
      `${set} is packed (${shown([packed])})`,
      `unpack it, or ${converted}`,
    );
  if (script !== undefined)
    return new WhorlError(
      'unsupported',
      `${set} holds no rows but a program that makes them (${shown([script])}); none is run`,
      converted,
    );
  return new WhorlError(
    'missing-file',
    `${set} holds no Parquet, JSON, JSON lines or Arrow file`,
    'check the name',
  );
}
