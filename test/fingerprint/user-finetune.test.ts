// A user's fine-tuning: what is learnt from, what is refused, and that a killed run goes on to the same bytes.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { type UserFinetuneOptions, userFinetune } from '../../src/fingerprint/user-finetune.ts';
import { openModel } from '../../src/models/open-model.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';

const MODEL = join(packageRoot(), 'assets/embedded/model');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-user-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const rows = Array.from({ length: 12 }, (_, i) => ({
  instruction: `Say ${i} in words.`,
  input: i % 2 === 0 ? '' : 'Be short.',
  output: `The number ${i} it is, and nothing else.`,
}));
const data = join(scratch, 'rows.json');
writeFileSync(data, JSON.stringify(rows));

const tune = (
  name: string,
  settings: UserFinetuneOptions['settings'] = {},
  more: Partial<UserFinetuneOptions> = {},
) =>
  userFinetune({
    model: MODEL,
    data,
    out: join(scratch, name),
    settings: { epochs: 2, batch: 4, lr: 1e-3, warmup_ratio: 0, ...settings },
    ...more,
  });
const weights = (name: string) => readFileSync(join(scratch, name, 'model.safetensors'));

test('the loss falls; the same command after a kill ends in the same bytes', async () => {
  const straight = await tune('straight');
  expect(straight).toMatchObject({ examples: 12, steps: 6 });
  expect(straight.last_loss).toBeLessThan(straight.first_loss);
  const killed = tune(
    'resumed',
    {},
    {
      checkpointSeconds: 0,
      onEvent: (event) => {
        if (event.kind === 'progress' && event.name === 'fine-tuning' && event.done === 4)
          throw new Error('killed');
      },
    },
  );
  await expect(killed).rejects.toThrow('killed');
  expect(existsSync(join(scratch, 'resumed'))).toBe(false);
  const notes: string[] = [];
  await tune(
    'resumed',
    {},
    {
      onEvent: (event) => {
        if (event.kind === 'note') notes.push(event.text);
      },
    },
  );
  expect(notes.join()).toMatch(/resuming at step [34]/);
  expect(weights('resumed').equals(weights('straight'))).toBe(true);
  expect(existsSync(join(scratch, 'resumed.training'))).toBe(false);
});

test('low-rank maps change the named layers only', async () => {
  await tune('lora', { trains: 'lora', rank: 4, modules: 'down_proj', batch: 12 });
  const [before, after] = [await openModel(MODEL), await openModel(join(scratch, 'lora'))];
  const changed = [...before.tensors].filter(([name, ref]) => {
    const own = readTensor(after.tensors.get(name)!).data;
    return readTensor(ref).data.some((x, i) => x !== own[i]);
  });
  const named = [...before.tensors.keys()].filter((name) => name.endsWith('down_proj.weight'));
  expect(changed.map(([name]) => name)).toEqual(named);
});

const bad = join(scratch, 'bad.json');
writeFileSync(bad, JSON.stringify([{ question: 1, reply: 2 }]));
test.each<[UserFinetuneOptions['settings'], Partial<UserFinetuneOptions>, RegExp]>([
  [{ epoch: 3 }, {}, /epoch=3: finetune has no setting epoch \(did you mean epochs\?\)/],
  [{ lr: 'fast' }, {}, /lr=fast is not a number/],
  [{ trains: 'half' }, {}, /trains=half is not known: full or lora/],
  [
    { accumulate: 3 },
    {},
    /a batch of 4 cannot be split into 3 equal parts: accumulate=N with N one of 1, 2, 4/,
  ],
  [{}, { data: bad }, /bad\.json: no known columns for instruction and output among question, reply/],
  [{}, { out: scratch }, /exists already: name another folder/],
  [{ max_length: 4 }, {}, /no example has a label within its first 4 tokens: raise max_length/],
])('refused in one line: %j', async (settings, more, message) => {
  await expect(tune('refused', settings, more)).rejects.toThrow(message);
  expect(existsSync(join(scratch, 'refused'))).toBe(false);
});
