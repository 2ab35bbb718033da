// What v0.4.0 had otherwise: record's bare entities, wsc's data set, a group's standard error.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { catalogue } from '../../src/evaluate/catalogue.ts';
import { MODES, type Mode } from '../../src/evaluate/modes.ts';
import { requestsOf } from '../../src/evaluate/requests.ts';
import { resultsOf } from '../../src/evaluate/results.ts';
import { goldenRows, splitsOf } from './golden-rows.ts';

const old = catalogue(undefined, MODES['v0.4.0-seed']);

test('record asks for the bare entities, in their order, and an example has its first answer', () => {
  const task = old.tasks.get('record')!;
  const rows = splitsOf(task).validation!.map((row, i) => ({ row: task.prepare(row), where: `${i}` }));
  const examples = splitsOf(task).train!.map((row, i) => ({ row: task.prepare(row), where: `${i}` }));
  const [first] = [...requestsOf(task, rows, examples, 1)];
  expect(first!.requests.map(({ continuation }) => continuation)).toEqual(
    ['the U.S.', 'US', 'Äbc', 'Zed', '🎉', '\ue000'].map((entity) => ` ${entity}`),
  );
  expect(first!.requests[0]!.context).toMatch(/ {2}- Bob came\.\n Bob\n\nThe U\.S\. won\./);
});

test('wsc is of the data set before it was mended', () => {
  expect(old.tasks.get('wsc')!.dataset_name).toBe('wsc');
  expect(catalogue().tasks.get('wsc')!.dataset_name).toBe('wsc.fixed');
});

test("a group's standard error counts how far its tasks lie apart", () => {
  const { combined } = JSON.parse(
    readFileSync(new URL('../../goldens/evaluate/results.json', import.meta.url), 'utf8'),
  ) as { combined: { items: number[][]; error: number } };
  const tasks = ['piqa', 'rte'].map((name) => old.tasks.get(name)!);
  const group = { name: 'g', alias: 'g', version: 1, members: tasks.map(({ name }) => name) };
  const error = (mode: Mode) => {
    const results = resultsOf(
      tasks.map((task, i) => ({
        task: { ...task, metrics: task.metrics.filter(({ metric }) => metric === 'acc') },
        original: 9,
        rows: combined.items[i]!.map((acc) => ({ none: { acc } })),
      })),
      [group],
      { shots: 0, mode },
    ) as { groups: Record<string, Record<string, number>> };
    return results.groups.g!['acc_stderr,none']!;
  };
  expect(error(MODES['v0.4.0-seed'])).toBeCloseTo(combined.error, 12);
  expect(error(MODES.main)).not.toBeCloseTo(combined.error, 3);
});

test('multirc_true credits whom multirc does not', () => {
  const { tasks } = catalogue();
  const [upstream, right] = ['multirc', 'multirc_true'].map((name) => {
    const task = tasks.get(name)!;
    const { rows, examples } = goldenRows(task);
    return [...requestsOf(task, rows, examples, 0)][1]!;
  });
  expect(right!.choices).toEqual(upstream!.choices);
  expect([upstream!.target, right!.target]).toEqual([0, 1]);
});
