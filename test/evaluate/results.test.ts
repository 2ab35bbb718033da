// Metrics, standard errors, groups and hashes from made-up answers, equal to lm-evaluation-harness's: goldens/evaluate.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Answer, hashesOf, metricsOf } from '../../src/evaluate/answers.ts';
import { catalogue, chosen } from '../../src/evaluate/catalogue.ts';
import { MODES } from '../../src/evaluate/modes.ts';
import { type RowRequests, requestsOf, shotsOf } from '../../src/evaluate/requests.ts';
import { resultsOf } from '../../src/evaluate/results.ts';
import type { Task } from '../../src/evaluate/task.ts';
import { goldenRows } from './golden-rows.ts';

interface Golden {
  readonly results: Record<string, Record<string, unknown>>;
  readonly groups: Record<string, Record<string, unknown>>;
  readonly versions: Record<string, number>;
  readonly 'n-shot': Record<string, number>;
  readonly 'n-samples': Record<string, unknown>;
  readonly group_subtasks: Record<string, string[]>;
  readonly hashes: Record<string, string[][]>;
}

const { shots: golden, bootstrap_iters: bootstrap } = JSON.parse(
  readFileSync(new URL('../../goldens/evaluate/results.json', import.meta.url), 'utf8'),
) as { shots: Record<string, Golden>; bootstrap_iters: number };

const GENERATED = [
  ' 3 + 4 = 7\n#### 7',
  ' The answer is $1,002.',
  ' so -5. #### -5',
  ' #### 1,002',
  '',
  ' half: 0.5.',
  ' First, half.\nThe answer is (B).',
  'The answer is a.',
];
const digest = (context: string, continuation: string): Buffer =>
  createHash('sha256').update(`${context}\0${continuation}`).digest();

/** The same answers as those of the golden's made-up model. */
function answer(task: Task, { requests }: RowRequests): Answer {
  if (task.generating)
    return { generated: GENERATED[digest(requests[0]!.context, '')[0]! % GENERATED.length]! };
  return {
    scores: requests.map(({ context, continuation }) => {
      const bytes = digest(context, continuation);
      return { logprob: (-20 * bytes.readUInt32BE()) / 2 ** 32, greedy: bytes[4]! % 2 === 1, tokens: 1 };
    }),
  };
}

const all = catalogue();
const { tasks, groups } = chosen(all, ['paper', 'truthfulqa', 'gsm8k', 'ifeval', 'mmlu_pro']);

describe.each([0, 1, 5])('%i shots', (shots) => {
  const expected = golden[shots]!;
  const answered = tasks.map((task) => {
    const { rows, examples } = goldenRows(task);
    return { task, rows: [...requestsOf(task, rows, examples, shotsOf(task, shots))] };
  });
  const results = resultsOf(
    answered.map(({ task, rows }) => ({
      task,
      original: rows.length,
      rows: rows.map((row) => metricsOf(task, row, answer(task, row))),
    })),
    groups,
    { shots, bootstrap, mode: MODES.main },
  ) as unknown as Golden;

  test('has every figure of the harness', () => {
    expect(Object.keys(results.results).sort()).toEqual(Object.keys(expected.results).sort());
    for (const [name, figures] of Object.entries(expected.results)) {
      expect(Object.keys(results.results[name]!).sort(), name).toEqual(Object.keys(figures).sort());
      for (const [key, value] of Object.entries(figures))
        if (typeof value !== 'number') expect(results.results[name]![key], `${name} ${key}`).toEqual(value);
        else {
          const ours = results.results[name]![key] as number;
          expect(Math.abs(ours - value), `${name} ${key}: ${ours}, the harness ${value}`).toBeLessThan(
            1e-9 * Math.max(1, Math.abs(value)),
          );
        }
    }
    expect(Object.keys(results.groups).sort()).toEqual(Object.keys(expected.groups).sort());
  });

  test('names versions, shots and rows as the harness does', () => {
    const own = (record: Record<string, unknown>) =>
      Object.fromEntries(tasks.map(({ name }) => [name, record[name]]));
    expect(own(results.versions)).toEqual(own(expected.versions));
    expect(own(results['n-shot'])).toEqual(own(expected['n-shot']));
    expect(results['n-samples']).toEqual(expected['n-samples']);
    for (const { name } of groups)
      expect([...results.group_subtasks[name]!].sort()).toEqual([...expected.group_subtasks[name]!].sort());
  });

  test.each(answered)('hashes rows, prompts and targets alike: $task.name', ({ task, rows }) => {
    const ours = rows.map((row) => Object.values(hashesOf(row)));
    expect(
      Array.from({ length: task.generating?.filters.length ?? 1 }, () => ours)
        .flat()
        .sort(),
    ).toEqual([...expected.hashes[task.name]!].sort());
  });
});
