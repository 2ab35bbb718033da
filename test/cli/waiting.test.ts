// What a person is told to type next is quoted: a folder with a space or a quote in its name is one word.

import { afterEach, expect, test, vi } from 'vitest';
import { showWaitingFleet } from '../../src/cli/fleet-flags.ts';
import { showWaiting } from '../../src/cli/launch-flags.ts';

let said = '';
const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
  said += String(text);
  return true;
});
afterEach(() => {
  said = '';
});

test('a job', () => {
  const result = { bytes: 1, states: 1 };
  const about = { kind: 'waiting', id: 'x', job: "/it's mine/job", done: 0 } as const;
  const job = { ...about, steps: 2, encrypted: false, result };
  showWaiting(job, false, 'again');
  expect(said).toContain(String.raw`sh '/it'\''s mine/job/run.sh'`);
});

test('a fleet', () => {
  showWaitingFleet({ kind: 'waiting', tasks: 2, done: 0, script: '/my fleet/run.sh' });
  expect(said).toContain("sh '/my fleet/run.sh'");
  expect(write).toHaveBeenCalled();
});
