// What is kept between runs: the same bytes with and without, and a damaged, foreign or unwritable cache is as good as none.

import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { ProgressEvent } from '../../src/base/events.ts';
import { cpu } from '../../src/engine/session.ts';
import { referenceStates } from '../../src/fingerprint/reference-positions.ts';
import { type Kept, SetUpCache, smallFiles } from '../../src/fingerprint/set-up-cache.ts';
import { bindModel } from '../../src/models/model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { tinyModel } from '../cli/tiny-model.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-set-up-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const VALUE: Kept = {
  arrays: { a: Float32Array.of(1, -0, 3e-40), b: new Float32Array(0) },
  extra: [{ text: 'é\ud800' }],
};

async function ask(
  folder: string,
  parts: readonly unknown[] = ['x'],
): Promise<{ value: Kept; made: number; notes: string[] }> {
  let made = 0;
  const notes: string[] = [];
  const onEvent = (event: ProgressEvent) => void (event.kind === 'note' && notes.push(event.text));
  const value = await new SetUpCache(folder, onEvent).of('thing', parts, () => {
    made++;
    return Promise.resolve(VALUE);
  });
  return { value, made, notes };
}

test('made once for the same parts, with the same bits; anew for others', async () => {
  const folder = join(scratch, 'once');
  expect((await ask(folder)).made).toBe(1);
  const again = await ask(folder);
  expect(again.made).toBe(0);
  expect(again.value).toEqual(VALUE);
  expect(Object.is(again.value.arrays.a![1], -0)).toBe(true);
  expect((await ask(folder, ['y'])).made).toBe(1);
  expect((await ask(folder, ['x', 'x'])).made).toBe(1);
});

test('every damage is found: cut, longer, one bit', async () => {
  const folder = join(scratch, 'damaged');
  await ask(folder);
  const path = join(folder, 'set-up', readdirSync(join(folder, 'set-up'))[0]!);
  const whole = readFileSync(path);
  for (let at = 0; at < whole.length; at++) {
    const bad = Buffer.from(whole);
    bad[at]! ^= 1;
    writeFileSync(path, bad);
    const { made, value } = await ask(folder);
    expect({ at, made, value }).toEqual({ at, made: 1, value: VALUE });
  }
  truncateSync(path, whole.length - 1);
  expect((await ask(folder)).made).toBe(1);
  writeFileSync(path, Buffer.concat([whole, Buffer.of(0)]));
  expect((await ask(folder)).made).toBe(1);
});

test('a cache that cannot be written costs a note, never the run', async () => {
  writeFileSync(join(scratch, 'file'), '');
  const { made, value, notes } = await ask(join(scratch, 'file'));
  expect({ made, value }).toEqual({ made: 1, value: VALUE });
  expect(notes.join()).toContain('is not kept for the next run');
});

test('only the newest files stay', async () => {
  const folder = join(scratch, 'many');
  for (let i = 0; i < 40; i++) await ask(folder, [i]);
  expect(readdirSync(join(folder, 'set-up')).length).toBe(16);
});

test('positions are the same bytes with and without it', async () => {
  const folder = await openModel(tinyModel(scratch));
  const [model, tokenizer] = [bindModel(folder), await openTokenizer(folder.folder)];
  const ids = Int32Array.of(90, 91, 92);
  const texts = [
    { language: 'English', texts: ['an ordinary sentence', 'and another one, longer than that'] },
    { language: 'Other', texts: ['something else altogether'] },
  ];
  let made = 0;
  const positions = (keep?: Parameters<typeof referenceStates>[7]) =>
    referenceStates(model, tokenizer, texts, ids, { primary: 40, other: 20 }, cpu, () => {}, keep);
  const keep = (make: () => Promise<Kept>) =>
    new SetUpCache(join(scratch, 'positions')).of('hidden-states', [smallFiles(folder.folder)], () => {
      made++;
      return make();
    });
  const [without, first, second] = [await positions(), await positions(keep), await positions(keep)];
  expect(made).toBe(1);
  expect(without.count).toBeGreaterThan(20);
  for (const kept of [first, second]) expect(kept).toEqual(without);
});
