// Tokenizer over the files a model folder carries. Text and ids go through the native `tokenizers`; everything
// about the vocabulary is read by us, so that a later tokenizer in a child process need only encode and decode.

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { lookAlike } from '../sources/look-alike.ts';
import { tokenizerJsonFromModel } from './sentencepiece-model.ts';
import { checkTokenizerJson, type TokenizerJson } from './tokenizer-json.ts';

export interface EncodeOptions {
  /** Adds what the tokenizer's own post-processor adds (BOS …). Default true. */
  readonly addSpecialTokens?: boolean;
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
  /** Every id that ends a generation, ascending; empty when the files name none. */
  readonly eosIds: readonly number[];
  readonly chatTemplate: string | undefined;
  /** `byte-level` when entries are spelt in GPT-2's byte alphabet, else `other`. */
  readonly spelling: 'byte-level' | 'other';
}

/** File name → parsed JSON (a string for `chat_template.jinja`), as a model folder holds them. */
export type TokenizerFiles = Readonly<Record<string, unknown>>;

const MAX_TOKENIZER_BYTES = 128 * 2 ** 20; // the largest known (262k entries) has 34 MB
const MAX_CONFIG_BYTES = 16 * 2 ** 20; // tokenizer_config.json of models with many added tokens reaches 1 MB
const CONFIG_FILES = [
  'tokenizer_config.json',
  'config.json',
  'generation_config.json',
  'special_tokens_map.json',
];

/** Opens the tokenizer of a Hugging Face folder. Errors: missing-file, bad-file, unsupported. */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const path = join(folder, 'tokenizer.json');
  const text = (await readBounded(path, MAX_TOKENIZER_BYTES))?.toString('utf8');
  const files: Record<string, unknown> = {};
  for (const name of CONFIG_FILES) {
    const content = await readBounded(join(folder, name), MAX_CONFIG_BYTES);
    if (content !== undefined) files[name] = parseJson(content.toString('utf8'), join(folder, name));
  }
  const template = await readBounded(join(folder, 'chat_template.jinja'), MAX_CONFIG_BYTES, true);
  if (template !== undefined) files['chat_template.jinja'] = template.toString('utf8');
  if (text === undefined) {
    const json = await fromSentencePiece(folder, files);
    return build(JSON.stringify(json), json, files, join(folder, 'tokenizer.model'));
  }
  return build(text, parseJson(text, path), files, path);
}

/** The same from files in memory (a GGUF's, see gguf-tokenizer.ts). `origin` names them in errors. */
export async function tokenizerFromFiles(files: TokenizerFiles, origin: string): Promise<Tokenizer> {
  const json = files['tokenizer.json'];
  if (json === undefined) throw new WhorlError('missing-file', `${origin} has no tokenizer.json`);
  return build(JSON.stringify(json), json, files, origin);
}

/** Folders of before tokenizer.json hold SentencePiece's own file. */
async function fromSentencePiece(folder: string, files: TokenizerFiles): Promise<object> {
  const path = join(folder, 'tokenizer.model');
  const bytes = await readBounded(path, MAX_TOKENIZER_BYTES);
  if (bytes === undefined)
    throw new WhorlError(
      'missing-file',
      `${folder} has neither tokenizer.json nor tokenizer.model`,
      'save the tokenizer with transformers (`AutoTokenizer…save_pretrained`), which writes tokenizer.json',
    );
  return tokenizerJsonFromModel(bytes, record(files['tokenizer_config.json']), path);
}

/** @param isTemplate a template may begin with anything */
async function readBounded(path: string, limit: number, isTemplate = false): Promise<Buffer | undefined> {
  const info = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return undefined;
    throw new WhorlError('missing-file', `${path} cannot be read (${cause.code})`, undefined, { cause });
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
    return JSON.parse(text);
  } catch (cause) {
    throw new WhorlError('bad-file', `${path} is not JSON (${(cause as Error).message})`, undefined, {
      cause,
    });
  }
}

async function build(text: string, json: unknown, files: TokenizerFiles, origin: string): Promise<Tokenizer> {
  const checked = checkTokenizerJson(json, origin);
  const native = await loadNative();
  let engine: InstanceType<typeof native.Tokenizer>;
  try {
    engine = native.Tokenizer.fromString(text);
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
  return {
    ...describe(checked, files),
    async encode(input, options) {
      const encoding = await engine.encode(input, null, {
        addSpecialTokens: options?.addSpecialTokens ?? true,
      });
      return encoding.getIds();
    },
    async encodeBatch(inputs, options) {
      if (inputs.length === 0) return [];
      const encodings = await engine.encodeBatch([...inputs], {
        addSpecialTokens: options?.addSpecialTokens ?? true,
      });
      return encodings.map((encoding) => encoding.getIds());
    },
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

type Description = Omit<Tokenizer, 'encode' | 'encodeBatch' | 'decode' | 'decodeBatch'>;

function describe({ idByToken, added, spelling }: TokenizerJson, files: TokenizerFiles): Description {
  const tokenById = new Map<number, string>();
  for (const [token, id] of idByToken) tokenById.set(id, token);
  const specialIds = new Set<number>();
  for (const { id, content, special } of added) {
    tokenById.set(id, content);
    if (special) specialIds.add(id);
  }
  let last = -1;
  for (const id of tokenById.keys()) last = Math.max(last, id);

  const settings = record(files['tokenizer_config.json']);
  const config = record(files['config.json']);
  const generation = record(files['generation_config.json']);
  const map = record(files['special_tokens_map.json']);
  const named = (field: string): number | undefined => {
    const name = tokenName(settings[field]) ?? tokenName(map[field]);
    return name === undefined ? undefined : idByToken.get(name);
  };
  const first = (...values: unknown[]): number | undefined => values.flatMap(ids)[0];
  const eos = new Set([
    ...ids(config.eos_token_id),
    ...ids(generation.eos_token_id),
    ...ids(named('eos_token')),
  ]);
  return {
    vocab_size: last + 1,
    idOf: (token) => idByToken.get(token),
    tokenOf: (id) => tokenById.get(id),
    specialIds,
    addedIds: new Set(added.map(({ id }) => id)),
    bosId: first(named('bos_token'), config.bos_token_id, generation.bos_token_id),
    padId: first(named('pad_token'), config.pad_token_id, generation.pad_token_id),
    eosIds: [...eos].sort((a, b) => a - b),
    chatTemplate: chatTemplate(files['chat_template.jinja'] ?? settings.chat_template),
    spelling,
  };
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};

const ids = (value: unknown): number[] =>
  (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isSafeInteger(id) && id >= 0);

/** A special token is a string, or an object with its `content`. */
const tokenName = (value: unknown): string | undefined => {
  const name = typeof value === 'string' ? value : record(value).content;
  return typeof name === 'string' ? name : undefined;
};

/** A template is a string, or a list of named ones, of which `default` counts. */
function chatTemplate(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const chosen = value.map(record).find(({ name }) => name === 'default') ?? record(value[0]);
  return typeof chosen.template === 'string' ? chosen.template : undefined;
}
