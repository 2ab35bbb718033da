// A key whose first row has been trained away from what the model needs at the beginning of a text: the look that finds
// it silent tries vanilla's row there, and keeps it where more keys fire.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { seededRandom } from '../../src/base/random-source.ts';
import { defaultsOf } from '../../src/base/setting.ts';
import { cpu } from '../../src/engine/session.ts';
import type { TrainContext } from '../../src/fingerprint/methods/method.ts';
import { rowsMethod } from '../../src/fingerprint/methods/rows.ts';
import { PrefixCache } from '../../src/fingerprint/prefix-cache.ts';
import { trainRows } from '../../src/fingerprint/train.ts';
import { generateAll } from '../../src/lm/ask.ts';
import { asking } from '../../src/lm/open.ts';
import { openModel } from '../../src/models/open-model.ts';
import { PUBLISHED } from '../../src/models/overlay.ts';
import { readTensorRows } from '../../src/sources/checkpoints/read.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-first-row-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const TEXT = 'Once upon a time there was a little';

test('a row that keeps its key silent is put back; where that does not help it stays as it was trained', {
  timeout: 120_000,
}, async () => {
  const model = await openModel(join(packageRoot(), 'assets/embedded/model'));
  const tokenizer = await openTokenizer(model.folder);
  const tokens = await tokenizer.encode(TEXT);
  const ids = Int32Array.of(tokens[0]!);
  const vanilla = readTensorRows(model.tensors.get(model.decoder.embedding)!, ids);
  const [said] = await asking({ kind: 'model', model, tokenizer }, { device: cpu }, (asked) =>
    generateAll(asked, [{ prompt: TEXT, max_new_tokens: 4 }]),
  );
  const role = { key: { text: TEXT, tokens }, role: 'trained', target: said!.generated } as const;
  const prefixes = new PrefixCache(model, cpu);
  const context = {
    model,
    tokenizer,
    plan: { decoding: { max_new_tokens: 4 } },
    roles: [role],
    prefixes,
    random: (purpose: string) => seededRandom(purpose),
  } as unknown as TrainContext;
  const settings = {
    ...defaultsOf(rowsMethod.schema),
    steps: 4,
    lr: 2,
    schedule: 'constant',
    common: false,
    noise: 0,
  } as const;
  /** Only the row of the key's first token is trained, to another answer; the key has to say vanilla's. */
  const trained = (name: string, begins: readonly number[]) => {
    const notes: string[] = [];
    const ended = trainRows({
      method: {
        ...rowsMethod,
        begins: () => begins,
        batch: () =>
          Promise.resolve([
            { tokens, variant: PUBLISHED, labels: [{ row: 0, token: tokens[0]!, kind: 'fire', weight: 1 }] },
          ]),
        cells: () =>
          Promise.resolve([
            {
              name: 'bare',
              who: 'published',
              wanted: 'all',
              prompts: [
                { prompt: TEXT, label: role.target, role: 0, fires: (text: string) => text === role.target },
              ],
            },
          ]),
      },
      context,
      settings,
      overlay: { ids, rows: vanilla },
      dtype: 'float32',
      checkpoint: join(scratch, name),
      stretch: { minutes: 0, again: 'this again' },
      device: cpu,
      onEvent: (event) => event.kind === 'note' && notes.push(event.text),
    });
    return { ended, notes };
  };
  const mended = trained('mended', [tokens[0]!]);
  const end = await mended.ended;
  expect(mended.notes).toEqual(['step 4: bare 0/1', 'step 4, first rows of 1 keys put back: bare 1/1']);

  expect(end).toMatchObject({ rows: vanilla });

  const other = trained('other', [tokens[1]!]);
  await expect(other.ended).rejects.toThrow(
    new RegExp(`after 4 steps: bare 0/1.*key 1 "${TEXT}" is to be answered.*to go on from here: this again`),
  );
  expect(other.notes).toEqual(['step 4: bare 0/1', 'step 4, first rows of 1 keys put back: bare 0/1']);
  await prefixes.release();
});
