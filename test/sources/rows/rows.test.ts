import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { WhorlError } from '../../../src/base/error.ts';
import { readRows } from '../../../src/sources/rows/read.ts';
import type { ReadRowsOptions, Row } from '../../../src/sources/rows/row.ts';
import { listSplits, saveToDisk } from '../../../src/sources/rows/saved-folder.ts';

const goldens = fileURLToPath(new URL('../../../goldens/datasets/', import.meta.url));
const golden = JSON.parse(readFileSync(join(goldens, 'golden.json'), 'utf8')) as {
  rows: Row[];
  rich: Record<string, unknown[]>;
};
const folder = mkdtempSync(join(tmpdir(), 'whorl-rows-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let serial = 0;
function file(name: string, bytes: string | Uint8Array): string {
  const path = join(folder, `${serial++}-${name}`);
  writeFileSync(path, bytes);
  return path;
}
async function all(path: string, options?: ReadRowsOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of readRows(path, options)) rows.push(row);
  return rows;
}
async function failure(path: string, options?: ReadRowsOptions): Promise<WhorlError> {
  try {
    await all(path, options);
  } catch (error) {
    if (error instanceof WhorlError) return error;
    throw error;
  }
  throw new Error(`${path} was read`);
}
const comparable = (rows: Row[]) => rows.map((row) => ({ ...row, n: String(row.n) }));

describe('what Python wrote', () => {
  it.each(['snappy', 'zstd', 'gzip', 'brotli'])('%s Parquet', async (codec) => {
    expect(comparable(await all(join(goldens, `${codec}.parquet`)))).toEqual(golden.rows);
  });

  it('a save_to_disk folder, its splits and one split as a folder of its own', async () => {
    const saved = join(goldens, 'saved');
    expect(listSplits(saved)).toEqual(['train', 'test']);
    expect(comparable(await all(saved))).toEqual(golden.rows);
    expect(comparable(await all(saved, { split: 'test' }))).toEqual(golden.rows.slice(2));
    expect(comparable(await all(join(saved, 'test')))).toEqual(golden.rows.slice(2));
    expect((await failure(saved, { split: 'tset' })).message).toMatch(/no split "tset": did you mean test\?/);
  });

  it('an Arrow file of two batches with dictionaries, views, large text, halves and nulls', async () => {
    const rows = await all(join(goldens, 'rich.arrow'));
    const core = rows.map((row) =>
      Object.fromEntries(Object.entries(row).filter(([k]) => !(k in golden.rich))),
    );
    expect(comparable(core)).toEqual(golden.rows);
    for (const [name, values] of Object.entries(golden.rich)) {
      const plain = (v: unknown) => (v instanceof Uint8Array ? Buffer.from(v).toString('hex') : v);
      expect([name, rows.map((row) => plain(row[name]))]).toEqual([name, values]);
    }
  });

  it.each(['zstd.parquet', 'rich.arrow', 'saved'])('takes columns and a limit from %s', async (name) => {
    const options = { columns: ['output', 'instruction'], limit: 2 };
    const want = golden.rows.slice(0, 2).map(({ output, instruction }) => ({ output, instruction }));
    expect(await all(join(goldens, name), options)).toEqual(want);
    const error = await failure(join(goldens, name), { columns: ['instructoin'] });
    expect([error.code, error.message]).toEqual([
      'mismatch',
      expect.stringMatching(/did you mean "instruction"/),
    ]);
  });
});

describe('JSON', () => {
  const rows = [{ a: 1, b: 'λ' }, { a: 2 }, { a: null, b: '\u2028' }];
  it.each([
    ['array.json', JSON.stringify(rows)],
    ['pretty.json', JSON.stringify(rows, null, 2)],
    ['data.json', JSON.stringify({ data: rows })],
    ['pretty-data.json', JSON.stringify({ data: rows }, null, 2)],
    ['lines.jsonl', rows.map((r) => JSON.stringify(r)).join('\n')],
    ['crlf.jsonl', `\r\n${rows.map((r) => JSON.stringify(r)).join('\r\n\r\n')}\r\n`],
    ['lines-named.json', rows.map((r) => JSON.stringify(r)).join('\n')],
    ['bom.json', `\ufeff${JSON.stringify(rows)}`],
    ['named.arrow.txt', JSON.stringify(rows)],
  ])('%s', async (name, text) => {
    expect(await all(file(name, text))).toEqual(rows);
    expect(await all(file(name, text), { columns: ['b'], limit: 2 })).toEqual([{ b: 'λ' }, {}]);
  });

  it('joins a line that spans the reader’s chunks', async () => {
    const long = { text: 'é'.repeat(3_000_000) };
    expect(
      await all(file('long.jsonl', `${JSON.stringify(long)}\n${JSON.stringify({ text: 'x' })}`)),
    ).toEqual([long, { text: 'x' }]);
  });

  it('stops at the limit before a broken line', async () => {
    expect(await all(file('late.jsonl', '{"a":1}\n{"a":'), { limit: 1 })).toEqual([{ a: 1 }]);
  });

  it('keeps __proto__ an ordinary column', async () => {
    const [row] = await all(file('proto.jsonl', '{"__proto__":{"evil":1},"a":2}'), {
      columns: ['__proto__', 'a'],
    });
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
    expect([row!.evil, Object.keys(row!)]).toEqual([undefined, ['__proto__', 'a']]);
  });

  it.each([
    ['bad.jsonl', '{"a":1}\n{"a":\n', /bad\.jsonl, line 2: not valid JSON/],
    ['first.jsonl', '{"a":\n{"a":1}\n', /first\.jsonl, line 1: not valid JSON/],
    [
      'scalar.jsonl',
      '{"a":1}\n7\n',
      /scalar\.jsonl, line 2: a row must be an object of columns, here is a number/,
    ],
    ['null.json', '[{"a":1},null]', /null\.json, row 2: .* here is null/],
    ['cut.json', '[\n{"a":1},\n{"a"', /cut\.json, line 3: not valid JSON/],
    ['object.json', '"rows\n"', /object\.json, line 1: not valid JSON/],
    ['empty.json', '', /empty\.json is empty/],
    [
      'zeros.json',
      new Uint8Array(64),
      /zeros\.json holds bytes of no kind that is known; rows are read from/,
    ],
    ['latin.jsonl', Buffer.from('{"a":"\xe9"}', 'latin1'), /latin\.jsonl, line 1 is not UTF-8/],
    ['deep.json', '['.repeat(1_000_000), /deep\.json/],
  ] as [string, string | Uint8Array, RegExp][])('refuses %s in one line', async (name, bytes, message) => {
    const error = await failure(file(name, bytes));
    expect(error.code).toBe('bad-file');
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('\n');
  });
});

describe('hostile files', () => {
  it.each(['zeros.arrow', 'zeros.parquet', 'zeros.feather'])('refuses %s', async (name) => {
    expect((await failure(file(name, new Uint8Array(4096)))).code).toBe('bad-file');
  });

  it('names what is not there, a folder without a data set, and archives', async () => {
    expect((await failure(join(folder, 'nowhere.json'))).code).toBe('missing-file');
    expect((await failure(folder)).message).toMatch(/neither dataset_dict.json nor state.json/);
    expect((await failure(file('x.json.gz', new Uint8Array([0x1f, 0x8b, 8, 0])))).message).toMatch(
      /is compressed \(gzip\); rows are read from .*: unpack it/,
    );
  });

  it.each(['../train/data-00000-of-00001.arrow', '/etc/passwd', '..', 'a\\b', 'x\0', 'link'])(
    'refuses the data file %j',
    async (filename) => {
      const copy = join(folder, `escape-${serial++}`);
      cpSync(join(goldens, 'saved', 'test'), copy, { recursive: true });
      symlinkSync(join(goldens, 'saved/train/data-00000-of-00001.arrow'), join(copy, 'link'));
      writeFileSync(join(copy, 'state.json'), JSON.stringify({ _data_files: [{ filename }] }));
      expect((await failure(copy)).code).toBe('bad-file');
    },
  );

  // Cuts everywhere and 100 changed bytes: rows or one WhorlError that names the file, never another exception.
  it.each([
    'rich.arrow',
    'saved/train/data-00000-of-00001.arrow',
    'zstd.parquet',
    'gzip.parquet',
    'snappy.parquet',
    'brotli.parquet',
  ])('survives cuts and changes of %s', async (name) => {
    const bytes = readFileSync(join(goldens, name));
    const path = file('mutant.bin', bytes);
    const named = path.slice(0, -4) + name.slice(name.lastIndexOf('.'));
    let refused = 0;
    const attempt = async (mutant: Uint8Array) => {
      writeFileSync(named, mutant);
      try {
        await all(named);
      } catch (error) {
        expect(error).toBeInstanceOf(WhorlError);
        expect((error as WhorlError).message).toContain(named);
        refused++;
      }
    };
    for (let cut = 0; cut < bytes.length; cut += 41) await attempt(bytes.subarray(0, cut));
    const cuts = refused;
    let random = 12345;
    const draw = (n: number) => (random = (Math.imul(random, 1103515245) + 12345) >>> 0) % n;
    for (let i = 0; i < 100; i++) {
      const mutant = Uint8Array.from(bytes);
      mutant[draw(bytes.length)] = [0, 1, 0x7f, 0x80, 0xff, draw(256)][draw(6)]!;
      await attempt(mutant);
    }
    expect(cuts).toBeGreaterThan(bytes.length / 41 - 6); // a stream may end where a message ends
    expect(refused).toBeGreaterThan(cuts);
  });
});

describe('saveToDisk', () => {
  const columns = {
    text: 'string',
    n: 'int64',
    x: 'float64',
    ok: 'bool',
    turns: { list: { struct: { from: 'string', value: 'string' } } },
    tags: { list: 'string' },
  } as const;
  const rows: Row[] = Array.from({ length: 2345 }, (_, i) => ({
    text: `row ${i} ハリネズミ`,
    n: i % 7 === 0 ? null : i,
    x: i / 4,
    ok: i % 2 === 0,
    turns: [{ from: 'human', value: `${i}` }],
    tags: i % 3 === 0 ? [] : ['a', 'b'],
  }));

  it('comes back as it went, over several batches, with empty splits', async () => {
    const path = join(folder, 'ours');
    await saveToDisk(path, { train: { columns, rows }, validation: { columns, rows: [] } });
    expect(await all(path)).toEqual(rows);
    expect(await all(path, { split: 'validation' })).toEqual([]);
    expect((await failure(path, { split: 'test' })).code).toBe('usage');
  });

  it('writes the same bytes for the same rows', async () => {
    const bytes = async (name: string) => {
      await saveToDisk(join(folder, name), { train: { columns, rows } });
      return ['data-00000-of-00001.arrow', 'state.json', 'dataset_info.json'].map((f) =>
        readFileSync(join(folder, name, 'train', f), 'hex'),
      );
    };
    expect(await bytes('once')).toEqual(await bytes('twice'));
  });

  it('refuses a folder in use, a value of another type and a split’s name that leaves the folder', async () => {
    await saveToDisk(join(folder, 'taken'), { train: { columns: { a: 'string' }, rows: [] } });
    const save = (path: string, a: unknown, split = 'train') =>
      saveToDisk(join(folder, path), { [split]: { columns: { a: 'string' }, rows: [{ a }] } });
    await expect(save('taken', 'x')).rejects.toThrow(/taken is there already/);
    await expect(save('typed', 7)).rejects.toThrow(
      /typed, split train, row 1, column a is not of type string/,
    );
    await expect(save('named', 'x', '../out')).rejects.toThrow(/is no name for a split/);
    await expect(all(join(folder, 'typed'))).rejects.toThrow(/does not exist|neither/);
  });
});
