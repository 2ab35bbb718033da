// Training behind a cached prefix is training on the whole text, wherever positions come from: turned, learnt, slopes.

import { expect, test } from 'vitest';
import { Graph } from '../../src/engine/graph.ts';
import { Program } from '../../src/engine/program.ts';
import { cpu } from '../../src/engine/session.ts';
import { Encoder } from '../../src/models/encode.ts';
import type { Example } from '../../src/models/example.ts';
import type { Model } from '../../src/models/model.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { frozenWeights } from '../../src/models/prompt.ts';
import { batchFeeds, labelLogprobs } from '../../src/train/forward.ts';
import { openGolden } from '../models/golden-models.ts';

async function logprobs(model: Model, batch: readonly Example[], withPrefix: boolean): Promise<Float32Array> {
  const graph = new Graph('prefix');
  graph.output('out', labelLogprobs(graph, model, frozenWeights(graph, model), undefined, { withPrefix }));
  const program = await Program.compile(graph, model.weightsFolder);
  const feeds = batchFeeds(model, batch, undefined, withPrefix);
  const asked = new Set(graph.inputs.map(({ name }) => name));
  const out = await program.run(
    Object.fromEntries(Object.entries(feeds).filter(([name]) => asked.has(name))),
  );
  await program.release();
  return out.out!.data as Float32Array;
}

test.each([
  'llama-gqa',
  'gpt2-bare-names-by-layer',
  'opt',
  'gptj',
  'bloom',
  'falcon-rw',
  'falcon-multi-query-alibi',
])('%s', async (name) => {
  const model = openGolden(name);
  const text = [5, 9, 40, 17, 33, 12, 3, 60, 2, 44];
  const labels = (rows: readonly number[]) =>
    rows.map((row) => ({ row, token: 7 + row, kind: 'fire' as const, weight: 1 }));
  const other: Example = { tokens: [1, 2, 3], labels: labels([2]), variant: VANILLA };
  const whole = await logprobs(
    model,
    [{ tokens: text, labels: labels([6, 9]), variant: VANILLA }, other],
    false,
  );
  const encoder = new Encoder(model, undefined, cpu);
  const [layers] = await encoder.caches([text.slice(0, 6)]);
  await encoder.release();
  const behind: Example = {
    tokens: text.slice(6),
    labels: labels([6, 9]).map((label) => ({ ...label, row: label.row - 6 })),
    variant: VANILLA,
    prefix: { length: 6, tokens: text.slice(0, 6), layers: layers! },
  };
  const after = await logprobs(model, [behind, other], true);
  expect(after).toHaveLength(3);
  after.forEach((value, i) => expect(value).toBeCloseTo(whole[i]!, 4));
});
