// Rows of a data set of the hub, on loopback: which files a name means, how few of them are fetched, the order of
// `datasets` (goldens/row-order) over several, the cache without a network, and what is refused.

import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dataFilesOf } from '../../../src/sources/hub/data-files.ts';
import { globMatches } from '../../../src/sources/hub/glob.ts';
import type { HubSettings } from '../../../src/sources/hub/settings.ts';
import { openRows } from '../../../src/sources/open-rows.ts';
import { orderedRows } from '../../../src/sources/rows/row-source.ts';
import type { RowOrder } from '../../../src/sources/rows/shuffle.ts';
import { FakeHub } from './server.ts';
import { settingsFor } from './settings.ts';

interface Sets {
  sets: { files: number; each: number; seed: string; buffer: number; order: number[] }[];
}
const golden = (version: number): Sets =>
  JSON.parse(
    readFileSync(new URL(`../../../goldens/row-order/shards-${version}.json`, import.meta.url), 'utf8'),
  ) as Sets;

let hub: FakeHub;
let settings: HubSettings;
beforeEach(async () => {
  hub = await FakeHub.start({});
  hub.kind = 'datasets';
  settings = settingsFor(hub);
});
afterEach(() => hub.stop());

const lines = (numbers: readonly number[]) => Buffer.from(numbers.map((n) => `{"n":${n}}\n`).join(''));
const shard = (f: number, of: number) =>
  `data/train-${String(f).padStart(5, '0')}-of-${String(of).padStart(5, '0')}.jsonl`;
function put(count: number, each: number): void {
  for (let f = 0; f < count; f++)
    hub.put(shard(f, count), lines(Array.from({ length: each + f }, (_, i) => f * 100 + i)));
}

interface Taking {
  order?: RowOrder;
  seed?: bigint;
  buffer?: number;
  take?: number;
  change?: Partial<HubSettings>;
}
async function numbers(name: string, { order = 'file', seed = 42n, buffer, take, change }: Taking = {}) {
  const source = await openRows(name, { settings: { ...settings, ...change } });
  const out: unknown[] = [];
  for await (const { row } of orderedRows(source, order, seed, buffer)) {
    out.push(row.n);
    if (out.length === take) break;
  }
  return out;
}

describe.each([
  ['stream', 4],
  ['stream5', 5],
] as const)('%s: the order of datasets %i', (order, version) => {
  test.each(golden(version).sets)('$files files', async ({ files, each, seed, buffer, order: want }) => {
    put(files, each);
    expect(await numbers('org/tiny', { order, seed: BigInt(seed), buffer })).toEqual(want);
  });
});

test('few rows fetch few files, and those are there without the network', async () => {
  put(12, 30);
  const taken = await numbers('org/tiny:train', { order: 'stream', buffer: 20, take: 5 });
  expect(hub.fetched).toHaveLength(1);
  const change = { offline: true };
  const again = { order: 'stream', buffer: 20, take: 5, change } as const;
  const asked = hub.asked.length;
  expect(await numbers('org/tiny', again)).toEqual(taken);
  await expect(numbers('org/tiny', { order: 'stream', buffer: 100, take: 5, change })).rejects.toMatchObject({
    code: 'missing-file',
    fix: 'unset HF_HUB_OFFLINE to fetch it',
  });
  expect(hub.asked).toHaveLength(asked);
});

describe('what is refused, in one line', () => {
  test.each([
    [{ 'tiny.py': '' }, 'org/tiny', /a program that makes them \(tiny\.py\); none is run: try ID@refs/],
    [{ 'a.csv': '' }, 'org/tiny', /is CSV \(a\.csv\)/],
    [{ 'a.jsonl.gz': '' }, 'org/tiny', /is packed/],
    [{ 'x.txt': '' }, 'org/tiny', /holds no Parquet/],
    [{ 'train.jsonl': '{"n":1}\n' }, 'org/tiny:tset', /has no split "tset": there is train/],
    [{ 'train.jsonl': '{"n":1}\n' }, 'org/tiny:other.jsonl', /has no file "other\.jsonl"/],
    [{ 'train.jsonl': '{"n":' }, 'org/tiny', /^org\/tiny|train|JSON/],
    [{ 'README.md': '---\nconfigs: [\n---\n', 'a.jsonl': '' }, 'org/tiny', /YAML that cannot be read/],
  ])('%j, %s', async (files: Record<string, string>, name, message) => {
    for (const [path, text] of Object.entries(files)) hub.put(path, Buffer.from(text));
    await expect(numbers(name)).rejects.toThrow(message);
  });

  test('a gated set names the token', async () => {
    hub.mischief = (_, response) => {
      response.writeHead(403, { 'x-error-code': 'GatedRepo' }).end();
      return true;
    };
    await expect(numbers('org/tiny', { change: { token: undefined } })).rejects.toThrow(
      /gated: ask for access/,
    );
  });
});

describe('which files', () => {
  const files = (names: string[], readme = '', wanted = {}) => dataFilesOf(names, readme, wanted, 'org/x');
  test('by the names of files and folders', () => {
    expect(files(['data/test-00000-of-00001.parquet', 'data/train-00000-of-00001-ab.parquet'])).toEqual([
      'data/train-00000-of-00001-ab.parquet',
    ]);
    expect(files(['train/b.jsonl', 'train/a.jsonl', 'test/a.jsonl'])).toEqual([
      'train/a.jsonl',
      'train/b.jsonl',
    ]);
    expect(files(['dev.json', 'x_train.json'], '', { split: 'validation' })).toEqual(['dev.json']);
    expect(files(['dolly.jsonl', '.x/hidden.jsonl', 'dataset_infos.json'])).toEqual(['dolly.jsonl']);
  });
  test('by README.md', () => {
    const readme =
      '---\nconfigs:\n- config_name: a\n  data_files: "a/*.json"\n- config_name: b\n  default: true\n  data_files:\n  - split: test\n    path: [t.json, "u*.json"]\n---\n# x';
    const names = ['a/1.json', 'a/2.json', 't.json', 'u1.json', 'v.json'];
    expect(files(names, readme)).toEqual(['t.json', 'u1.json']);
    expect(files(names, readme, { config: 'a' })).toEqual(['a/1.json', 'a/2.json']);
    expect(() => files(names, readme, { config: 'c' })).toThrow(/no config "c"/);
  });
  test('of the hub’s own conversion', () => {
    const names = ['default/train/0000.parquet', 'default/test/0000.parquet', 'other/train/0000.parquet'];
    expect(files(names)).toEqual(['default/train/0000.parquet']);
    expect(files(names, '', { config: 'other' })).toEqual(['other/train/0000.parquet']);
  });
  test('patterns; a hostile one ends at once', () => {
    expect(globMatches('**/a[!b-c]*.x', 'p/q/ad1.x')).toBe(true);
    expect(globMatches('**/a[!b-c]*.x', 'p/q/ab1.x')).toBe(false);
    expect(globMatches('a/*', 'a/b/c')).toBe(false);
    expect(globMatches(`${'*a'.repeat(2000)}b`, 'a'.repeat(4000))).toBe(false);
  });
});
