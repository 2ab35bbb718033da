// What is asked, to the letter of lm-evaluation-harness's own task objects: goldens/evaluate.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { catalogue } from '../../src/evaluate/catalogue.ts';
import { requestsOf, shotsOf } from '../../src/evaluate/requests.ts';
import { goldenRows } from './golden-rows.ts';

interface Asked {
  readonly context: string | string[];
  readonly continuations: string[];
}

const { requests } = JSON.parse(
  readFileSync(new URL('../../goldens/evaluate/requests.json', import.meta.url), 'utf8'),
) as { requests: Record<string, Record<string, Asked[]>> };
const { tasks } = catalogue();

describe.each(Object.keys(requests))('%s', (name) => {
  const task = tasks.get(name)!;
  test.each([0, 1, 5])('asks what the harness asks, at %i shots', (shots) => {
    const { rows, examples } = goldenRows(task);
    const asked = [...requestsOf(task, rows, examples, shotsOf(task, shots))].map(({ requests: each }) => {
      const contexts = each.map(({ context }) => context);
      return {
        context: new Set(contexts).size === 1 ? contexts[0] : contexts,
        continuations:
          task.output_type === 'generate_until' ? undefined : each.map(({ continuation }) => continuation),
      };
    });
    const golden = requests[name]![shots]!.map(({ context, continuations }) => ({
      context,
      continuations: task.output_type === 'generate_until' ? undefined : continuations,
    }));
    expect(asked).toEqual(golden);
  });
});
