// Tokenizer over the files a model folder carries. Text and ids go through the native `tokenizers`; everything
// about the vocabulary is read by us, so that a later tokenizer in a child process need only encode and decode.

import { existsSync, lstatSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { systemError } from '../base/system-errors.ts';
import { furtherTemplateName, furtherTemplates } from '../sources/checkpoints/chat-templates.ts';
import { linkToNothing } from '../sources/checkpoints/folder.ts';
import { lookAlike } from '../sources/look-alike.ts';
import { parsePythonConfig } from '../sources/rows/python-json.ts';
import { type AddedTokens, addedTokens } from './added-tokens.ts';
import { appendedEos, withoutAppended } from './appended.ts';
import { generationNotes } from './generation-notes.ts';
import { tokensAround } from './sentencepiece.ts';
import { tokenizerJsonFromModel } from './sentencepiece-model.ts';
import { t5TokenizerJson } from './t5-tokenizer.ts';
import { asBothOpen, classNotes } from './tokenizer-class.ts';
import { checkTokenizerJson, type TokenizerJson } from './tokenizer-json.ts';

export interface EncodeOptions {
  /** Adds what the tokenizer's own post-processor adds (BOS …). Default true. */
  readonly addSpecialTokens?: boolean;
  /** The text goes on after this: the EOS that some post-processors put at the end is left out. Default false. */
  readonly continued?: boolean;
}
export interface DecodeOptions {
  /** Leaves tokens marked special out of the text. Default true. */
  readonly skipSpecialTokens?: boolean;
}

/** What the rest of Whorl knows of a tokenizer. Ids are row numbers of the embedding. */
export interface Tokenizer {
  /** One more than the largest id, added tokens included; the embedding may have more rows. */
  readonly vocab_size: number;
  encode(text: string, options?: EncodeOptions): Promise<number[]>;
  /** As `encode` of each, in order; two to four times faster than awaiting line by line. */
  encodeBatch(texts: readonly string[], options?: EncodeOptions): Promise<number[][]>;
  decode(ids: readonly number[], options?: DecodeOptions): Promise<string>;
  decodeBatch(ids: readonly (readonly number[])[], options?: DecodeOptions): Promise<string[]>;
  /** The id of a vocabulary entry as it is spelt in the file (`Ġthe`, not ` the`). */
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
  /** Added tokens marked special. */
  readonly specialIds: ReadonlySet<number>;
  /** Every added token, special or not. */
  readonly addedIds: ReadonlySet<number>;
  readonly bosId: number | undefined;
  readonly padId: number | undefined;
  /** The tokenizer's own `eos_token`, which ends what is trained; where it names none, the first that a config names. */
  readonly eosId: number | undefined;
  /** Every id that ends a generation, ascending; empty when the files name none. */
  readonly eosIds: readonly number[];
  /** What chat templates call the tokens that have a name: `bos_token` → `<s>`. Names without a token are absent. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** The one that counts where nobody names one. */
  readonly chatTemplate: string | undefined;
  /** All of them by name; one that has none is `default`. */
  readonly chatTemplates: Readonly<Record<string, string>>;
  /** `byte-level` when entries are spelt in GPT-2's byte alphabet, else `other`. */
  readonly spelling: 'byte-level' | 'other';
  /** What a version of transformers makes otherwise of these files, in words; nearly always none. */
  readonly notes: readonly string[];
}

/** File name → parsed JSON (a string for a template: `chat_template.jinja`, `additional_chat_templates/NAME.jinja`), as a model folder holds them. */
export type TokenizerFiles = Readonly<Record<string, unknown>>;

const MAX_TOKENIZER_BYTES = 128 * 2 ** 20; // the largest known (262k entries) has 34 MB
const MAX_CONFIG_BYTES = 16 * 2 ** 20; // tokenizer_config.json of models with many added tokens reaches 1 MB
const CONFIG_FILES = [
  'tokenizer_config.json',
  'config.json',
  'generation_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
];
const NO_NAMES: ReadonlyMap<string, string> = new Map();
/** Classes of transformers with names of their own for what their files do not name. */
const CLASS_NAMES: ReadonlyMap<unknown, ReadonlyMap<string, string>> = new Map(
  ['LlamaTokenizer', 'LlamaTokenizerFast'].map((name) => [
    name,
    new Map([
      ['bos_token', '<s>'],
      ['eos_token', '</s>'],
      ['unk_token', '<unk>'],
    ]),
  ]),
);

/** A tokenizer and the tokenizer.json that it was made of, with the added tokens of the files beside it. */
export interface OpenedTokenizer {
  readonly tokenizer: Tokenizer;
  readonly json: Readonly<Record<string, unknown>>;
  /** What messages call it. */
  readonly origin: string;
}

/**
 * Opens the tokenizer of a Hugging Face folder. Errors: missing-file, bad-file, unsupported.
 * @param own the user's own folder, where this one was made of it: where a tokenizer that is missing has to be put
 */
export const openTokenizer = async (folder: string, own = folder): Promise<Tokenizer> =>
  (await openTokenizerFiles(folder, own)).tokenizer;

/** The same with what it was made of. */
export async function openTokenizerFiles(folder: string, own = folder): Promise<OpenedTokenizer> {
  const path = join(folder, 'tokenizer.json');
  const text = (await readBounded(path, MAX_TOKENIZER_BYTES))?.toString('utf8');
  const files: Record<string, unknown> = {};
  for (const name of CONFIG_FILES) {
    const content = await readBounded(join(folder, name), MAX_CONFIG_BYTES);
    if (content !== undefined) files[name] = parseJson(content.toString('utf8'), join(folder, name));
  }
  const template = await readBounded(join(folder, 'chat_template.jinja'), MAX_CONFIG_BYTES, true);
  if (template !== undefined) files['chat_template.jinja'] = templateText(template);
  for (const name of furtherTemplates(folder)) {
    const further = await readBounded(join(folder, name), MAX_CONFIG_BYTES, true);
    if (further !== undefined) files[name] = templateText(further);
  }
  if (text === undefined) {
    return build({ ...(await fromSentencePiece(folder, files, own)), files });
  }
  return build({ text, json: parseJson(text, path), files, origin: path });
}

/** As Python reads a text file: any line break is one character. */
const templateText = (bytes: Buffer): string => bytes.toString('utf8').replace(/\r\n?/g, '\n');

/** The same from files in memory (a GGUF's, see gguf-tokenizer.ts). `origin` names them in errors. */
export const tokenizerFromFiles = async (files: TokenizerFiles, origin: string): Promise<Tokenizer> =>
  (await openTokenizedFiles(files, origin)).tokenizer;

/** The same with what it was made of. */
export async function openTokenizedFiles(files: TokenizerFiles, origin: string): Promise<OpenedTokenizer> {
  const json = files['tokenizer.json'];
  if (json === undefined) throw new WhorlError('missing-file', `${origin} has no tokenizer.json`);
  return build({ json, files, origin });
}

/** Folders of before tokenizer.json hold SentencePiece's own file. */
async function fromSentencePiece(
  folder: string,
  files: TokenizerFiles,
  own: string,
): Promise<{ json: object; names: ReadonlyMap<string, string>; origin: string }> {
  const settings = record(files['tokenizer_config.json']);
  for (const [name, read] of SENTENCEPIECE) {
    const origin = join(folder, name);
    const bytes = await readBounded(origin, MAX_TOKENIZER_BYTES);
    if (bytes !== undefined) return { ...read(bytes, settings, origin), origin };
  }
  const other = OTHERS.find((name) => existsSync(join(folder, name)));
  throw new WhorlError(
    'missing-file',
    `${own} has neither tokenizer.json nor tokenizer.model${other === undefined ? '' : `, only ${other}`}`,
    'save the tokenizer with transformers (`AutoTokenizer…save_pretrained`), which writes tokenizer.json',
  );
}

/** Vocabularies of other libraries (mistral_common, tiktoken) and of slow tokenizers, which transformers makes a tokenizer.json of. */
const OTHERS = ['tekken.json', 'qwen.tiktoken', 'tokenizer.tiktoken', 'vocab.json'] as const;

/** SentencePiece's own file by what LLaMA's line and T5's call it, and how each reads it. */
const SENTENCEPIECE = [
  ['tokenizer.model', tokenizerJsonFromModel],
  ['spiece.model', t5TokenizerJson],
] as const;

/** @param isTemplate a template may begin with anything */
async function readBounded(path: string, limit: number, isTemplate = false): Promise<Buffer | undefined> {
  const info = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' && lstatSync(path, { throwIfNoEntry: false }))
      throw linkToNothing(path, cause);
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return undefined;
    throw systemError(cause, path, 'reading') ?? cause;
  });
  if (info === undefined) return undefined;
  if (!info.isFile()) throw new WhorlError('bad-file', `${path} is not a plain file`);
  if (info.size > limit)
    throw new WhorlError('bad-file', `${path} has ${info.size} bytes, more than the ${limit} we read`);
  const bytes = await readFile(path);
  const other = isTemplate ? undefined : lookAlike(bytes, path, { anyKind: true });
  if (other) throw other;
  return bytes;
}

function parseJson(text: string, path: string): unknown {
  try {
    return parsePythonConfig(text);
  } catch (cause) {
    throw new WhorlError('bad-file', `${path} is not JSON (${(cause as Error).message})`, undefined, {
      cause,
    });
  }
}

interface Source {
  /** tokenizer.json as it stands, where there is one. */
  readonly text?: string;
  readonly json: unknown;
  readonly files: TokenizerFiles;
  readonly origin: string;
  /** SentencePiece's own names for tokens: then BOS and EOS are put around a text as the config says. */
  readonly names?: ReadonlyMap<string, string>;
}

async function build({ text, json: given, files, origin, names }: Source): Promise<OpenedTokenizer> {
  const checked = checkTokenizerJson(given, origin);
  const settings = record(files['tokenizer_config.json']);
  const json = names ? given : asBothOpen(record(given), settings);
  if (settings.split_special_tokens === true)
    throw new WhorlError(
      'unsupported',
      `${origin}: split_special_tokens in the tokenizer_config.json beside it cuts special tokens up in a text, which is not handled`,
      'take it out if the model was not trained so',
    );
  const own = (record(json).added_tokens ?? []) as readonly unknown[];
  const found = addedTokens(
    {
      vocabulary: checked.vocabulary,
      entries: checked.entries,
      own,
      defaults: names ?? defaultNames(settings, checked),
    },
    files,
    origin,
  );
  const whole: Record<string, unknown> = { ...record(json), added_tokens: found.added };
  if (names) whole.post_processor ??= aroundByConfig(settings, found);
  const description = describe(checked, found, files);
  const ends = appendedEos(whole.post_processor, description);
  // The file's own text is taken where nothing is added to it, which spares writing a large vocabulary again.
  const asItStands = text !== undefined && json === given && sameTokens(found.added, own);
  const native = await loadNative();
  let engine: InstanceType<typeof native.Tokenizer>;
  try {
    engine = native.Tokenizer.fromString(asItStands ? text : JSON.stringify(whole));
  } catch (cause) {
    throw new WhorlError(
      'bad-file',
      `${origin} is refused by the tokenizer library (${(cause as Error).message})`,
      undefined,
      { cause },
    );
  }
  engine.disableTruncation(); // lengths are the caller's affair; a saved truncation would cut prompts in silence
  engine.disablePadding();
  const encodeBatch = async (inputs: readonly string[], options: EncodeOptions = {}) => {
    const { addSpecialTokens = true, continued = false } = options;
    if (inputs.length === 0) return [];
    const encodings = await engine.encodeBatch([...inputs], { addSpecialTokens });
    const rows = encodings.map((encoding) => encoding.getIds());
    return continued && addSpecialTokens ? rows.map((row) => withoutAppended(row, ends)) : rows;
  };
  const notes = [
    ...(names ? [] : classNotes(record(json), files, description, (await engine.encode('')).getIds())),
    ...generationNotes(record(files['generation_config.json'])),
  ];
  const tokenizer: Tokenizer = {
    ...description,
    notes,
    encodeBatch,
    encode: async (input, options) => (await encodeBatch([input], options))[0]!,
    async decode(ids, options) {
      return engine.decode([...ids], options?.skipSpecialTokens ?? true);
    },
    async decodeBatch(ids, options) {
      if (ids.length === 0) return [];
      return engine.decodeBatch(
        ids.map((row) => [...row]),
        options?.skipSpecialTokens ?? true,
      );
    },
  };
  return { tokenizer, json: whole, origin };
}

async function loadNative(): Promise<typeof import('tokenizers')> {
  try {
    return await import('tokenizers');
  } catch (cause) {
    throw new WhorlError(
      'unsupported',
      `the package tokenizers has no binary for ${process.platform}/${process.arch}`,
      'run on Linux, macOS or Windows on x64 or arm64 (Node, not Bun), and install with `npm ci`',
      { cause },
    );
  }
}

type Description = Omit<Tokenizer, 'encode' | 'encodeBatch' | 'decode' | 'decodeBatch' | 'notes'>;

function describe(
  { vocabulary, spelling }: TokenizerJson,
  { added, names }: AddedTokens,
  files: TokenizerFiles,
): Description {
  const idByToken = new Map(vocabulary);
  const tokenById = new Map<number, string>();
  for (const [token, id] of vocabulary) tokenById.set(id, token);
  const specialIds = new Set<number>();
  for (const { id, content, special } of added) {
    idByToken.set(content, id);
    tokenById.set(id, content);
    if (special) specialIds.add(id);
  }
  let last = -1;
  for (const id of tokenById.keys()) last = Math.max(last, id);

  const config = record(files['config.json']);
  const generation = record(files['generation_config.json']);
  const named = (field: string): number | undefined => {
    const name = names.get(field);
    return name === undefined ? undefined : idByToken.get(name);
  };
  const first = (...values: unknown[]): number | undefined => values.flatMap(ids)[0];
  const eosId = first(named('eos_token'), config.eos_token_id, generation.eos_token_id);
  const eos = new Set([...ids(config.eos_token_id), ...ids(generation.eos_token_id), ...ids(eosId)]);
  const chatTemplates = templatesOf(files);
  return {
    vocab_size: last + 1,
    idOf: (token) => idByToken.get(token),
    tokenOf: (id) => tokenById.get(id),
    specialIds,
    addedIds: new Set(added.map(({ id }) => id)),
    bosId: first(named('bos_token'), config.bos_token_id, generation.bos_token_id),
    padId: first(named('pad_token'), config.pad_token_id, generation.pad_token_id),
    eosId,
    eosIds: [...eos].sort((a, b) => a - b),
    specialTokens: Object.fromEntries(names),
    chatTemplate: Object.hasOwn(chatTemplates, 'default')
      ? chatTemplates.default
      : Object.values(chatTemplates)[0],
    chatTemplates,
    spelling,
  };
}

/** Byte-level files under such a class are opened without it, as transformers does. */
const defaultNames = (
  settings: Readonly<Record<string, unknown>>,
  { spelling, idByToken }: TokenizerJson,
): ReadonlyMap<string, string> =>
  spelling === 'byte-level'
    ? NO_NAMES
    : new Map(
        [...(CLASS_NAMES.get(settings.tokenizer_class) ?? [])].filter(([, token]) => idByToken.has(token)),
      );

/** BOS unless told otherwise, EOS only when told. */
function aroundByConfig(
  settings: Readonly<Record<string, unknown>>,
  { names, added }: AddedTokens,
): object | null {
  const named = (field: string) => {
    const token = added.find(({ content }) => content === names.get(field));
    return token && { id: token.id, text: token.content };
  };
  return tokensAround(
    settings.add_bos_token === false ? undefined : named('bos_token'),
    settings.add_eos_token === true ? named('eos_token') : undefined,
  );
}

const sameTokens = (added: AddedTokens['added'], own: readonly unknown[]): boolean =>
  added.length === own.length &&
  added.every((token, i) => Object.entries(token).every(([field, value]) => value === record(own[i])[field]));

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};

const ids = (value: unknown): number[] =>
  (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isSafeInteger(id) && id >= 0);

/** A template is a string, or several by name as a list or an object; files of their own take the place of what the config says. */
function templatesOf(files: TokenizerFiles): Readonly<Record<string, string>> {
  const beside = Object.entries(files).flatMap(([path, source]): [string, string][] => {
    if (typeof source !== 'string') return [];
    if (path === 'chat_template.jinja') return [['default', source]];
    const name = furtherTemplateName(path);
    return name === undefined ? [] : [[name, source]];
  });
  if (beside.length > 0) return Object.fromEntries(beside);
  const value = record(files['tokenizer_config.json']).chat_template;
  if (typeof value === 'string') return { default: value };
  const listed = Array.isArray(value)
    ? value.map(record)
    : Object.entries(record(value)).map(([name, template]) => ({ name, template }));
  return Object.fromEntries(
    listed.flatMap(({ name, template }): [string, string][] =>
      typeof name === 'string' && typeof template === 'string' ? [[name, template]] : [],
    ),
  );
}
