// Rows from a hub on loopback: Parquet in shards and with nested columns gives the requests of the harness; a data set that
// is a program is read from what the hub has made of it; and what is said where there is nothing.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { catalogue } from '../../src/evaluate/catalogue.ts';
import { countRequests } from '../../src/evaluate/count.ts';
import { hubRows } from '../../src/evaluate/hub-rows.ts';
import { requestsOf } from '../../src/evaluate/requests.ts';
import { folderRows, rowsOf } from '../../src/evaluate/rows.ts';
import { evaluated, pool } from '../../src/evaluate/task.ts';
import { FakeHub } from '../sources/hub/server.ts';
import { settingsFor } from '../sources/hub/settings.ts';

const FILES = new URL('../../goldens/evaluate/hub/', import.meta.url).pathname;
const { requests } = JSON.parse(
  readFileSync(new URL('../../goldens/evaluate/requests.json', import.meta.url), 'utf8'),
) as { requests: Record<string, Record<string, { context: string; continuations: string[] }[]>> };
const { tasks } = catalogue();

let hub: FakeHub;
beforeEach(async () => {
  hub = await FakeHub.start({});
  hub.kind = 'datasets';
});
afterEach(() => hub.stop());

function put(set: string): void {
  const folder = join(FILES, set);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) {
      const path = join(entry.parentPath, entry.name);
      hub.put(path.slice(folder.length + 1), readFileSync(path));
    }
}

async function asked(name: string, shots: number): Promise<unknown> {
  const task = tasks.get(name)!;
  const place = await hubRows([task], [shots], { settings: settingsFor(hub) });
  const rows = await rowsOf(place, task, evaluated(task));
  const examples = shots === 0 ? [] : await rowsOf(place, task, pool(task));
  return [...requestsOf(task, rows, examples, shots)].map(({ requests: each }) => ({
    context: each[0]!.context,
    continuations: each.map(({ continuation }) => continuation),
  }));
}

test.each([0, 1, 5])('piqa, its examples in two shards, at %i shots', async (shots) => {
  hub.repo = 'baber/piqa';
  put('piqa');
  expect(await asked('piqa', shots)).toEqual(requests.piqa![shots]);
  // Without examples their files are not fetched.
  expect(hub.fetched.some((path) => path.includes('train'))).toBe(shots > 0);
});

test('arc_easy is a program: its rows are those that the hub has converted', async () => {
  hub.repo = 'allenai/ai2_arc';
  put('ai2_arc');
  const program = 'f'.repeat(40);
  hub.mischief = ({ url = '' }, response) => {
    const isMain = url.includes('/revision/main');
    if (!isMain && !url.includes(program)) return false;
    const script = { type: 'file', path: 'ai2_arc.py', oid: '0'.repeat(40), size: 9 };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(isMain ? { id: hub.repo, sha: program } : [script]));
    return true;
  };
  expect(await asked('arc_easy', 5)).toEqual(requests.arc_easy![5]);
  expect(hub.fetched.some((path) => path.includes('Challenge'))).toBe(false);
});

test.each([
  ['piqa', 'org/other', /piqa has no rows: .*baber\/piqa/],
  ['arc_challenge', 'allenai/ai2_arc', /arc_challenge has no rows: .*ai2_arc/],
])('%s of a hub without it: one line that names task and data set', async (name, repo, words) => {
  hub.repo = repo;
  hub.put('README.md', Buffer.from('nothing'));
  await expect(asked(name, 0)).rejects.toThrow(words);
  await expect(asked(name, 0)).rejects.toMatchObject({ fix: expect.stringContaining('--data') as string });
});

test('a row without its column is named with file and row', async () => {
  hub.repo = 'baber/piqa';
  hub.put('data/validation-00000-of-00001.jsonl', Buffer.from('{"goal":"a","sol1":"b","label":0}\n'));
  const task = tasks.get('piqa')!;
  const data = await hubRows([task], [0], { settings: settingsFor(hub) });
  await expect(countRequests({ tasks: [task], shots: [0], data })).rejects.toThrow(
    'baber/piqa/data/validation-00000-of-00001.jsonl, line 1 has no column "sol2", which piqa needs',
  );
});

test('a category without rows is named', async () => {
  const task = tasks.get('mmlu_pro_law')!;
  hub.repo = 'TIGER-Lab/MMLU-Pro';
  hub.put('data/test-00000-of-00001.jsonl', Buffer.from('{"category":"math"}\n'));
  const data = await hubRows([task], [0], { settings: settingsFor(hub) });
  await expect(rowsOf(data, task, 'test')).rejects.toThrow(/has no rows with category "law"/);
  hub.put('data/test-00000-of-00001.jsonl', Buffer.from('{"kind":"math"}\n'));
  const other = await hubRows([task], [0], { settings: settingsFor(hub) });
  await expect(rowsOf(other, task, 'test')).rejects.toThrow(/has no column "category"/);
});

test('a folder without rows says where the hub has them', () => {
  const task = tasks.get('arc_easy')!;
  expect(() => folderRows('/nowhere').files(task, 'test')).toThrow(/arc_easy has no rows: there is no/);
});
