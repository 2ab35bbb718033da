// A list of suspects or models: plain lines, JSON lines or CSV → who each line names. What cannot be asked is refused with file and line,
// before anybody is asked.

import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { WhorlError } from '../base/error.ts';
import { nameHint } from '../base/near-name.ts';
import { isThere, systemError } from '../base/system-errors.ts';
import { type EndpointKind, endpointSettings, isAddress } from '../lm/endpoint/settings.ts';
import { parseHubId } from '../sources/hub/hub-id.ts';
import { parseStrictJson } from '../sources/strict-json.ts';
import { webAddress } from '../sources/web-address.ts';

/** Weights on this machine; weights of a hub; a server. */
export type Who =
  | { readonly kind: 'files'; readonly path: string }
  | { readonly kind: 'hub'; readonly id: string }
  | {
      readonly kind: 'endpoint';
      readonly url: string;
      readonly model_name: string;
      readonly endpoint_kind?: EndpointKind | undefined;
      /** The variable that holds the API key, where the task runs. */
      readonly api_key_env?: string | undefined;
    };

export interface Listed {
  readonly who: Who;
  /** As results name it: unique, by default as the list writes it. */
  readonly name: string;
  /** From 1. */
  readonly line: number;
}

const MAX_BYTES = 16 * 2 ** 20;
const MOST = 100_000;
const MOST_OF_NAME = 300;

/** What a line may say; empty cells of a CSV are absent. */
const lineSchema = z.strictObject({
  suspect: z.string().min(1).optional(),
  model: z.string().min(1).optional(),
  name: z.string().min(1).optional(),
  model_name: z.string().min(1).optional(),
  endpoint_kind: z.enum(['chat', 'completions']).optional(),
  api_key_env: z.string().min(1).optional(),
});
type Line = z.infer<typeof lineSchema>;
const COLUMNS = Object.keys(lineSchema.shape);

/** @throws WhorlError `missing-file`, `bad-file`, naming the line */
export function readList(path: string): Listed[] {
  const lines = textOf(path).split(/\r\n|\n/);
  const read = readerOf(lines, path);
  const listed: Listed[] = [];
  for (const [i, text] of lines.entries()) {
    if (text.trim() === '' || text.startsWith('#')) continue;
    const where = `${path}, line ${i + 1}`;
    const line = read(text, where);
    if (line) listed.push(listedOf(line, path, where, i + 1));
  }
  if (listed.length === 0)
    throw bad(path, 'names nobody', 'write a model folder, GGUF or server on each line');
  if (listed.length > MOST) throw bad(path, `names more than ${MOST} models`, 'split it');
  refuseTwins(listed, path);
  return listed;
}

const bad = (where: string, what: string, fix?: string): WhorlError =>
  new WhorlError('bad-file', `${where} ${what}`, fix);

function textOf(path: string): string {
  if (!isThere(path)) throw new WhorlError('missing-file', `${path} does not exist`, 'give a file of lines');
  const stats = statSync(path);
  if (!stats.isFile() || stats.size > MAX_BYTES)
    throw bad(path, `is no file of at most ${MAX_BYTES} bytes`, 'give a file of lines');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    throw systemError(cause, path, 'reading') ?? bad(path, 'is not UTF-8', 'give a file of lines');
  }
}

/** undefined: a line that names nobody and need not. */
type ReadLine = (text: string, where: string) => Line | undefined;

/** By the first line that says anything. */
function readerOf(lines: readonly string[], path: string): ReadLine {
  const first = lines.find((line) => line.trim() !== '' && !line.startsWith('#')) ?? '';
  if (first.trimStart().startsWith('{'))
    return (text, where) => checked(parseStrictJson(Buffer.from(text), where), where);
  const header = cellsOf(first, path);
  if (!header.some((cell) => cell === 'suspect' || cell === 'model')) return plain;
  const twice = header.find((cell, i) => header.indexOf(cell) !== i);
  if (twice !== undefined) throw bad(path, `has the column ${twice} twice`, 'name each column once');
  return (text, where) => {
    if (text === first) return undefined;
    const cells = cellsOf(text, where);
    if (cells.length !== header.length)
      throw bad(
        where,
        `has ${cells.length} cells, its header ${header.length}`,
        'quote cells that hold commas',
      );
    const said = header.flatMap((column, i) => (cells[i] === '' ? [] : [[column, cells[i]]]));
    return checked(Object.fromEntries(said), where);
  };
}

/** The line is the model's name whole, or an address, a space and the name of its model there. */
const plain: ReadLine = (text) => {
  const suspect = text.trim();
  const [, url, model_name] = (isAddress(suspect) && /^(\S+)\s+(.+)$/.exec(suspect)) || [];
  return url === undefined ? { suspect } : { suspect: url, model_name };
};

/** RFC 4180 but for cells of several lines. */
function cellsOf(text: string, where: string): string[] {
  const cells: string[] = [];
  let rest = text;
  for (;;) {
    const [whole, quoted, bare] = /^(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/.exec(rest) ?? [];
    if (whole === undefined) throw bad(where, 'has a quote that does not end', 'write " within a cell as ""');
    cells.push(quoted === undefined ? bare!.trim() : quoted.replaceAll('""', '"'));
    if (whole.length === rest.length) return cells;
    rest = rest.slice(whole.length + 1);
  }
}

function checked(value: unknown, where: string): Line {
  const read = lineSchema.safeParse(value);
  if (read.success) return read.data;
  const issue = read.error.issues[0]!;
  const [field] = issue.code === 'unrecognized_keys' ? issue.keys : issue.path.map(String);
  const what = issue.code === 'unrecognized_keys' ? 'has an unknown field' : 'has a wrong field';
  throw bad(
    where,
    `${what} ${field ?? '(whole)'}`,
    nameHint(issue.code === 'unrecognized_keys' ? field! : '', COLUMNS),
  );
}

function listedOf(line: Line, path: string, where: string, number: number): Listed {
  const { suspect, model, name } = line;
  const said = suspect ?? model;
  if (said === undefined || (suspect !== undefined && model !== undefined))
    throw bad(where, said === undefined ? 'names nobody' : 'names two', 'give "suspect" or "model"');
  const who = whoOf(said, line, dirname(path), where);
  const called = name ?? (who.kind === 'endpoint' ? `${said} ${who.model_name}` : said);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: names are shown to people
  if (called.length > MOST_OF_NAME || /[\u0000-\u001f\u007f-\u009f]/.test(called))
    throw bad(where, 'has a name that cannot be shown', `give "name", at most ${MOST_OF_NAME} letters`);
  return { who, name: called, line: number };
}

function whoOf(
  said: string,
  { model_name, endpoint_kind, api_key_env }: Line,
  folder: string,
  where: string,
): Who {
  if (model_name !== undefined) {
    if (!isAddress(said)) throw bad(where, 'has a model_name without the address of a server');
    try {
      endpointSettings({ kind: 'endpoint', url: said, model_name });
    } catch (cause) {
      // Of one line among many: the flag that its words are about is not there.
      throw bad(where, (cause as WhorlError).message.replace('--suspect', 'its address'));
    }
    return { kind: 'endpoint', url: said, model_name, endpoint_kind, api_key_env };
  }
  if (endpoint_kind !== undefined || api_key_env !== undefined)
    throw bad(where, 'has a field of a server without "model_name"');
  const path = resolve(folder, said);
  if (isThere(path)) return { kind: 'files', path };
  const web = webAddress(said);
  if (web)
    throw bad(where, 'names a web address', `${web.fix}; of a server write the name of its model after it`);
  if (parseHubId(said) === undefined)
    throw bad(where, `names nothing: ${path} does not exist`, 'paths are taken from the folder of the list');
  return { kind: 'hub', id: said };
}

/** What makes two lines one suspect, as far as the list tells. */
const sameness = ({ who }: Listed): string =>
  JSON.stringify(
    who.kind === 'files' ? who.path : who.kind === 'hub' ? who.id : [new URL(who.url).href, who.model_name],
  );

function refuseTwins(listed: readonly Listed[], path: string): void {
  refuseSame(listed, sameness, path, 'names who is named in');
  refuseSame(listed, ({ name }) => name, path, 'has the name of');
}

/** @throws WhorlError `bad-file` for the first line that is the same as an earlier one */
export function refuseSame<T extends Pick<Listed, 'line'>>(
  listed: readonly T[],
  by: (one: T) => string,
  path: string,
  what: string,
): void {
  const before = new Map<string, T>();
  for (const one of listed) {
    const key = by(one);
    const other = before.get(key);
    if (other)
      throw bad(
        `${path}, line ${one.line}`,
        `${what} line ${other.line}`,
        'each is asked once: leave one out, or give each a "name" of its own',
      );
    before.set(key, one);
  }
}
