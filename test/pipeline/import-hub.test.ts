// Output folders of a data set of the hub, on loopback, imported as local ones are.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { importFromHub } from '../../src/pipeline/import/hub.ts';
import { DATASET, parseHubId } from '../../src/sources/hub/hub-id.ts';
import { COMMIT, FakeHub } from '../sources/hub/server.ts';
import { scratch, settingsFor } from '../sources/hub/settings.ts';

let hub: FakeHub;
beforeEach(async () => {
  hub = await FakeHub.start({});
  hub.kind = 'datasets';
});
afterEach(() => hub.stop());

const id = parseHubId('org/tiny', DATASET)!;
const RUN = 'output_barebone_adapter/org/model/llama_fingerprint_mix_epoch_30_lr_2e-2_bsz_48_d_16';

test('answers and adapter come, nothing else', async () => {
  const row = '{"generated":"x","label":"y","prompt":"p"}\n';
  hub.put(`${RUN}/vanilla.jsonl`, Buffer.from(row));
  hub.put(`results/${RUN.replace('model', 'other')}/publish.jsonl`, Buffer.from(row + row));
  hub.put(`${RUN}/pytorch_model.bin`, Buffer.from('never'));
  const pt = new URL('../../goldens/torch/paper-f32.pt', import.meta.url);
  hub.put(`${RUN}/instruction_emb.pt`, readFileSync(pt));
  const out = scratch();
  const { runs, adapters } = await importFromHub(id, out, { settings: settingsFor(hub) });
  expect(runs.map(({ model, files }) => [model, files.map(({ rows }) => rows)])).toEqual([
    ['org/model', [1]],
    ['org/other', [2]],
  ]);
  expect(readFileSync(join(out, RUN, 'vanilla.jsonl'), 'utf8')).toBe(row);
  expect(JSON.parse(readFileSync(join(out, RUN, 'run.json'), 'utf8'))).toMatchObject({
    source: `org/tiny@${COMMIT}`,
  });
  expect(adapters).toMatchObject([{ out: join(out, RUN, 'adapter'), constant: true }]);
  expect(hub.fetched.some((path) => path.endsWith('.bin'))).toBe(false);
});

test('a set without output folders says so', async () => {
  hub.put('data.jsonl', Buffer.from('{}\n'));
  await expect(importFromHub(id, scratch(), { settings: settingsFor(hub) })).rejects.toThrow(
    /^org\/tiny holds no output_/,
  );
});
