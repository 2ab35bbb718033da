// A run whose cells do not hold at its last step goes on by itself, for so long as it is allowed, and can be taken up.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { ProgressEvent } from '../../src/base/events.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { fingerprint } from '../../src/fingerprint/fingerprint.ts';

const MODEL = join(packageRoot(), 'assets/embedded/model');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-goes-on-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** Eight keys in two steps: far too few for any of them to fire. */
const TWO_STEPS = {
  steps: '2',
  trained: '8',
  key_length: '4',
  contexts: '2',
  gate_contexts: '2',
  prefixes: '2',
};

async function failing(maxMinutes: number): Promise<{ error: Error & { fix?: string }; notes: string[] }> {
  const notes: string[] = [];
  const onEvent = (event: ProgressEvent) => {
    if (event.kind === 'note') notes.push(event.text);
  };
  const asked = {
    model: MODEL,
    out: join(scratch, 'run'),
    seed: 'goes on',
    settings: TWO_STEPS,
    maxMinutes,
    onEvent,
  };
  const error = await fingerprint(asked).then(
    () => new Error('it ended well'),
    (cause: Error) => cause,
  );
  return { error, notes };
}

test('at the last step it goes on, says so, and ends with what it lacks; the same command goes on from there', {
  timeout: 300_000,
}, async () => {
  const stopped = await failing(0);
  expect(stopped.error).toMatchObject({
    code: 'not-reached',
    message: expect.stringMatching(/^after 2 steps: /),
  });
  expect(stopped.notes.filter((note) => note.includes('going on'))).toEqual([]);

  const longer = await failing(0.1);
  expect(longer.notes).toContain('resuming at step 2');
  expect(longer.notes).toContain('nothing holds at step 2: going on to 4');
  expect(longer.error).toMatchObject({ code: 'not-reached' });
  const steps = Number(/after (\d+) steps/.exec(longer.error.message)![1]);
  expect(steps).toBeGreaterThanOrEqual(4);
  expect(steps % 2).toBe(0);
  expect(existsSync(join(scratch, 'run', 'published'))).toBe(false);
});
