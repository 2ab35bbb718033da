// Options of the device reach every session that a call makes: none falls back to a constant.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Device, Session } from '../../src/engine/session.ts';
import { fingerprint } from '../../src/fingerprint/fingerprint.ts';
import { showBatch } from '../../src/fingerprint/show-batch.ts';
import { generate, score } from '../../src/lm/calls.ts';
import { verify } from '../../src/verify/verify.ts';

const MODEL = new URL('../../assets/embedded/model', import.meta.url).pathname;
const COMPUTE = { device: 'cpu', threads: 1, precision: 'stored' } as const;
const QUICK = {
  reference_positions: '2',
  primary_positions: '4',
  kl_target: '1000',
  noise: '0',
  bare_slack: '0',
};
/** Few keys and one step: it does not reach its goal and says so. */
const ONE_STEP = {
  ...QUICK,
  trained: '2',
  candidates: '8',
  steps: '1',
  first_check: '1',
  check_below: '1000000',
};

let folder: string;
let devices: (Device | undefined)[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'whorl-device-'));
  devices = [];
  const create = Session.create.bind(Session);
  vi.spyOn(Session, 'create').mockImplementation((model, weights, device, profile) => {
    devices.push(device);
    return create(model, weights, device, profile);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const everywhere = (): void => {
  expect(devices.length).toBeGreaterThan(0);
  for (const device of devices) expect(device).toEqual({ provider: 'cpu', threads: 1, precision: 'stored' });
};

test('generate and score', async () => {
  for await (const _ of generate({ model: MODEL, prompts: ['a'], max_new_tokens: 2, ...COMPUTE }));
  for await (const _ of score({ model: MODEL, rows: [{ context: 'a', continuation: ' b' }], ...COMPUTE }));
  expect(devices.length).toBe(2);
  everywhere();
});

test('fingerprint trains and measures, verify asks', async () => {
  const out = join(folder, 'run');
  const made = fingerprint({
    model: MODEL,
    out,
    seed: '1',
    settings: ONE_STEP,
    maxMinutes: 0,
    maxHarm: Number.POSITIVE_INFINITY,
    ...COMPUTE,
  });
  await expect(made).rejects.toMatchObject({ code: 'not-reached' });
  expect(devices.length).toBeGreaterThan(3); // references, candidates, training, the gate
  everywhere();
  devices = [];
  await verify({ secret: join(out, 'secret.whorl'), suspect: MODEL, ...COMPUTE });
  everywhere();
});

test('show-batch', async () => {
  await showBatch({ model: MODEL, settings: ONE_STEP, ...COMPUTE });
  everywhere();
});
