// The size of a change goes by the size of the model's rows: sizes by numpy over the same folders (root mean square 0.1392,
// 0.0617), and a rows trainer whose change is that much larger.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { openModel } from '../../src/models/open-model.ts';
import { rowSize, sized, timesMetric } from '../../src/train/metric.ts';

test.each([
  ['assets/embedded/model', 1],
  ['test/fixtures/trained/qwen3', 1],
  ['test/fixtures/trained/gemma3_text', 0.5],
])('%s: %d', async (path, size) => {
  const { decoder, tensors } = await openModel(join(packageRoot(), path));
  expect(rowSize(tensors.get(decoder.embedding)!)).toBe(size);
});

test('with a metric or without one, a change is so many times as large; at the usual size nothing is there', () => {
  const rows = Float32Array.of(1, 2, 3, -4);
  const metric = Float32Array.of(2, 1, 0, 3);
  expect([...timesMetric(rows, sized(metric, 2, 0.25)!, 2)]).toEqual(
    [...timesMetric(rows, metric, 2)].map((x) => x / 4),
  );
  expect([...timesMetric(rows, sized(undefined, 2, 0.25)!, 2)]).toEqual([0.25, 0.5, 0.75, -1]);
  expect(sized(metric, 2, 1)).toBe(metric);
  expect(sized(undefined, 2, 1)).toBeUndefined();
});
