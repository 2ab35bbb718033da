// What the smaller files of a model or run say: config.json, tokenizer.json, run.json, training's checkpoint, rows.

import { WhorlError } from '../base/error.ts';
import { familyOf } from '../models/families/index.ts';
import { withReader } from '../sources/bounded-reader.ts';
import { readRows } from '../sources/rows/read.ts';
import { listSplits } from '../sources/rows/saved-folder.ts';
import { asObject, parseStrictJson } from '../sources/strict-json.ts';
import { checkTokenizerJson } from '../text/tokenizer-json.ts';

type Json = Readonly<Record<string, unknown>>;

export type OtherReport =
  | { kind: 'config'; path: string; family: string; supported: boolean; reason: string | null; config: Json }
  | {
      kind: 'tokenizer';
      path: string;
      model: string;
      vocab_size: number;
      merges: number;
      added: number;
      special: string[];
      spelling: string;
      normalizer: string;
      pre_tokenizer: string;
      decoder: string;
    }
  | { kind: 'run'; path: string; run: Json }
  | { kind: RecordKind; path: string; record: Json }
  | {
      kind: 'checkpoint';
      path: string;
      bytes: number;
      step: number;
      tensors: { name: string; shape: readonly number[] }[];
    }
  | {
      kind: 'rows';
      path: string;
      format: string;
      splits: string[];
      rows: number;
      columns: Record<string, string>;
    };

/** Whorl's other JSON files: what they say, private parts left out. */
type RecordKind = 'verdict' | 'pipeline' | 'imported-adapter' | 'imported-run' | 'own-adapter';

const RECORDS: Readonly<Record<RecordKind, (json: Json) => Json | undefined>> = {
  verdict: (json) =>
    typeof json.verdict === 'string' && typeof json.exact === 'boolean' && 'suspect' in json
      ? json
      : undefined,
  pipeline: (json) => (json.format === 'whorl-pipeline' ? json : undefined),
  'imported-adapter': (json) => (json.format === 'whorl-imported-adapter' ? json : undefined),
  'imported-run': (json) => (json.format === 'whorl-imported-run' ? json : undefined),
  'own-adapter'({ format, version, settings, ids, keys }) {
    if (format !== 'whorl-own-adapter') return undefined;
    const count = (list: unknown) => (Array.isArray(list) ? list.length : 0);
    return { format, version, settings, rows: count(ids), keys: count(keys) }; // which they are is the secret
  },
};

/** The JSON files by what is in them; undefined for any other. */
export function examineJson(path: string, json: Json): OtherReport | undefined {
  if (json.format === 'whorl-run') return { kind: 'run', path, run: json };
  for (const [kind, of] of Object.entries(RECORDS)) {
    const record = of(json);
    if (record) return { kind: kind as RecordKind, path, record };
  }
  if (
    typeof json.model === 'object' &&
    json.model !== null &&
    ('added_tokens' in json || 'vocab' in json.model)
  )
    return examineTokenizer(path, json);
  if (typeof json.model_type === 'string' || Array.isArray(json.architectures))
    return examineConfig(path, json);
  return undefined;
}

function examineConfig(path: string, config: Json): OtherReport {
  let reason: string | null = null;
  try {
    familyOf(config, path);
  } catch (error) {
    if (!(error instanceof WhorlError)) throw error;
    reason = error.message;
  }
  const family = typeof config.model_type === 'string' ? config.model_type : '–';
  return { kind: 'config', path, family, supported: reason === null, reason, config };
}

function examineTokenizer(path: string, json: Json): OtherReport {
  const { idByToken, added, spelling } = checkTokenizerJson(json, path);
  const { type = 'BPE', merges } = json.model as Json;
  const part = (name: string): string => {
    const value = json[name] as { type?: unknown } | null | undefined;
    return typeof value?.type === 'string' ? value.type : 'none';
  };
  return {
    kind: 'tokenizer',
    path,
    model: String(type),
    vocab_size: idByToken.size,
    merges: Array.isArray(merges) ? merges.length : 0,
    added: added.length,
    special: added.filter(({ special }) => special).map(({ content }) => content),
    spelling,
    normalizer: part('normalizer'),
    pre_tokenizer: part('pre_tokenizer'),
    decoder: part('decoder'),
  };
}

/** The header alone: the rows in it are secrets until they are published. */
export function examineCheckpoint(path: string): OtherReport {
  return withReader(path, (reader) => {
    reader.bytes(8, 'the magic');
    const length = reader.u32('the header’s length');
    const header = asObject(parseStrictJson(reader.bytes(length, 'the header'), path), path);
    const slots = header.slots as { name?: unknown; shape?: unknown }[] | undefined;
    if (
      !Array.isArray(slots) ||
      !slots.every(({ name, shape }) => typeof name === 'string' && Array.isArray(shape))
    )
      throw new WhorlError(
        'bad-file',
        `${path} is not a checkpoint of training`,
        'remove it to start the run again',
      );
    const tensors = slots.map(({ name, shape }) => ({ name: name as string, shape: shape as number[] }));
    return { kind: 'checkpoint', path, bytes: reader.size, step: Number(header.step), tensors };
  });
}

/** Every row is read: what counts them also finds what is damaged. */
export async function examineRows(path: string, format: string, folder: boolean): Promise<OtherReport> {
  const splits = folder ? listSplits(path) : [];
  const columns: Record<string, string> = {};
  let rows = 0;
  for (const split of splits.length > 0 ? splits : [undefined])
    for await (const row of readRows(path, split === undefined ? {} : { split })) {
      rows++;
      for (const [name, value] of Object.entries(row)) if (value !== null) columns[name] ??= typeOf(value);
    }
  return { kind: 'rows', path, format, splits, rows, columns };
}

const typeOf = (value: unknown): string => (Array.isArray(value) ? 'list' : typeof value);
