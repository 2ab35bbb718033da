// Suspects that wait for a scheduler which is not asked from here have no verdict, and no verdict's exit code.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bindings } from '../claim/plans.ts';
import { finished } from './finished-run.ts';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));

test.each([[[]], [['--json']]])('verify --suspects --launch skypilot: 5 %j', async (flags) => {
  const model = tinyModel(folder);
  const run = await finished(join(folder, `run${flags.length}`), model, bindings);
  const list = join(folder, 'suspects.txt');
  writeFileSync(list, `${model}\n`);
  const out = join(folder, `fleet${flags.length}`);
  const asked = ['--secret', run.secret, '--suspects', list, '--out', out, '--launch', 'skypilot'];
  const { code, out: said } = await whorl('verify', ...asked, ...flags);
  expect(code).toBe(5);
  expect(said).toContain('waiting');
});
