// Lists of suspects: every way to write one, and each line that cannot be used refused by its number before anybody is asked.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { readList } from '../../src/fleet/suspects.ts';

const folder = mkdtempSync(join(tmpdir(), 'whorl-list-'));
afterAll(() => rmSync(folder, { recursive: true }));
for (const name of ['a', 'b', 'with space']) mkdirSync(join(folder, name));
writeFileSync(join(folder, 'm.gguf'), 'GGUF');

let count = 0;
function list(...lines: readonly string[]): string {
  const path = join(folder, `list-${count++}`);
  writeFileSync(path, lines.join('\n'));
  return path;
}
const files = (name: string) => ({ kind: 'files', path: join(folder, name) });
const server = (model_name: string, more: object = {}) => ({
  kind: 'endpoint',
  url: 'https://host/v1',
  model_name,
  ...more,
});

describe('what is read', () => {
  test('plain lines: folders, files, ids, servers; comments and empty lines name nobody', () => {
    const read = readList(
      list('# mine', 'a', '', '  with space  ', 'm.gguf', 'org/name@v1', 'https://host/v1 org/model', 'b\r'),
    );
    expect(read.map(({ who, name, line }) => [who, name, line])).toEqual([
      [files('a'), 'a', 2],
      [files('with space'), 'with space', 4],
      [files('m.gguf'), 'm.gguf', 5],
      [{ kind: 'hub', id: 'org/name@v1' }, 'org/name@v1', 6],
      [server('org/model'), 'https://host/v1 org/model', 7],
      [files('b'), 'b', 8],
    ]);
  });
  test('JSON lines', () => {
    const read = readList(
      list(
        '{"suspect": "a", "name": "first"}',
        '{"suspect": "https://host/v1", "model_name": "m", "endpoint_kind": "chat", "api_key_env": "KEY"}',
        '{"model": "b"}',
      ),
    );
    expect(read.map(({ who, name }) => [who, name])).toEqual([
      [files('a'), 'first'],
      [server('m', { endpoint_kind: 'chat', api_key_env: 'KEY' }), 'https://host/v1 m'],
      [files('b'), 'b'],
    ]);
  });
  test('CSV: columns by their header, quotes, empty cells', () => {
    const read = readList(
      list('name,suspect,model_name', '"one, ""two""",a,', ',"with space",', 's,https://host/v1,m'),
    );
    expect(read.map(({ who, name, line }) => [who, name, line])).toEqual([
      [files('a'), 'one, "two"', 2],
      [files('with space'), 'with space', 3],
      [{ ...server('m') }, 's', 4],
    ]);
  });
});

describe('what is refused, with its line', () => {
  test.each<[string, readonly string[], number | undefined, RegExp]>([
    ['an empty list', ['', '# x'], undefined, /names nobody/],
    ['a name of nothing', ['a', 'no such'], 2, /names nothing/],
    ['a file that is missing', ['a', './weights/x.gguf'], 2, /names nothing/],
    ['a server without its model', ['https://host/v1'], 1, /web address/],
    ['a page of a hub', ['https://huggingface.co/org/name'], 1, /org\/name/],
    ['the same path twice', ['a', 'b', './a'], 3, /line 1/],
    ['the same server and model twice', ['https://host/v1 m', 'https://host:443/v1 m'], 2, /line 1/],
    ['two of one name', ['{"suspect":"a","name":"x"}', '{"suspect":"b","name":"x"}'], 2, /line 1/],
    ['JSON that is none', ['{"suspect":"a"}', '{"suspect":'], 2, /JSON/],
    ['JSON that is no object', ['{"suspect":"a"}', '[]'], 2, /field/],
    ['a key twice', ['{"suspect":"a","suspect":"b"}'], 1, /twice|duplicate/i],
    ['an unknown field', ['{"suspect":"a","colour":"red"}'], 1, /colour/],
    ['a field of another type', ['{"suspect":7}'], 1, /suspect/],
    ['nobody', ['{"name":"x"}'], 1, /nobody/],
    ['two', ['{"suspect":"a","model":"b"}'], 1, /two/],
    ['a model’s name without a server', ['{"suspect":"a","model_name":"m"}'], 1, /model_name/],
    ['a kind without a server', ['{"suspect":"a","endpoint_kind":"chat"}'], 1, /server/],
    [
      'a kind that is none',
      ['{"suspect":"https://host/v1","model_name":"m","endpoint_kind":"x"}'],
      1,
      /endpoint_kind/,
    ],
    ['an address with a password', ['https://u:p@host/v1 m'], 1, /password/],
    ['one call of a server', ['https://host/v1/completions m'], 1, /one call/],
    ['cells that are missing', ['suspect,name', 'a'], 2, /1 cells/],
    ['a quote without end', ['suspect,name', 'a,"x'], 2, /quote/],
    ['a column twice', ['suspect,suspect', 'a,b'], undefined, /twice/],
    ['a control character', ['{"suspect":"a","name":"x\\u0007"}'], 1, /shown/],
  ])('%s', (_, lines, line, words) => {
    const path = list(...lines);
    const error = caught(() => readList(path));
    expect(error).toBeInstanceOf(WhorlError);
    expect(error.message).toMatch(words);
    expect(error.message).toContain(line === undefined ? path : `${path}, line ${line}`);
    expect(error.message).not.toMatch(/u:p/);
    expect(error.message.split('\n')).toHaveLength(1);
  });
  test('a list that is not there, or no file', () => {
    expect(caught(() => readList(join(folder, 'nowhere'))).code).toBe('missing-file');
    expect(caught(() => readList(folder)).code).toBe('bad-file');
    const bytes = join(folder, 'bytes');
    writeFileSync(bytes, Buffer.from([0xff, 0xfe, 0x61]));
    expect(caught(() => readList(bytes)).message).toMatch(/UTF-8/);
  });
});

function caught(call: () => unknown): WhorlError {
  try {
    call();
  } catch (error) {
    return error as WhorlError;
  }
  throw new Error('nothing was refused');
}
