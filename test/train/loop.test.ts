// The one training loop over a made-up trainer: what it asks in which order, what it keeps, what ends it.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { type ProgressEvent, silent } from '../../src/base/events.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { loadCheckpoint } from '../../src/train/checkpoint.ts';
import { type LoopOptions, type Stepped, type StoppingRule, trainLoop } from '../../src/train/loop.ts';
import { SCHEDULES } from '../../src/train/schedule.ts';
import { freshState, type TrainState } from '../../src/train/step.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-loop-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const file = (name: string) => join(scratch, `${name}.ckpt`);

const example = { tokens: [1, 2, 3], labels: [], variant: VANILLA };
const start = (): TrainState => freshState(new Map([['w', { shape: [1], data: Float32Array.of(0) }]]));

/** Each step adds 1 to the only weight, in place; its loss is what is left to 10. */
function made(record: { steps: number[]; rates: number[] } = { steps: [], rates: [] }) {
  const options: LoopOptions<Stepped> = {
    name: 'made up',
    steps: 4,
    rate: { lr: 2, schedule: 'linear', warmup: 1 },
    start,
    batch(step) {
      record.steps.push(step);
      return [example, example];
    },
    step(state, _batch, rate) {
      record.rates.push(rate);
      const slot = state.slots.get('w')!;
      slot.value[0]! += 1;
      return Promise.resolve({
        state: { step: state.step + 1, slots: state.slots },
        loss: 10 - slot.value[0]!,
      });
    },
    onEvent: silent,
  };
  return { options, record };
}

/** Holds at the first measured state from `at` on. */
const holdsFrom = (at: number, due: (step: number) => boolean, asked: number[] = []) =>
  ({
    due: ({ state }) => due(state.step),
    measure({ step }) {
      asked.push(step);
      return Promise.resolve({ held: step >= at, step });
    },
    failed: ({ step }) => new WhorlError('not-reached', `nothing after ${step}`, 'more'),
  }) satisfies StoppingRule<Stepped, { held: boolean; step: number }>;

test('without a rule every step is taken at the rate of the schedule', async () => {
  const { options, record } = made();
  const events: ProgressEvent[] = [];
  const end = await trainLoop({ ...options, onEvent: (event) => events.push(event) });
  expect(record.steps).toEqual([0, 1, 2, 3]);
  expect(record.rates).toEqual([0, 1, 2, 3].map((step) => 2 * SCHEDULES.linear(step, 4, 1)));
  expect(end.losses).toEqual([9, 8, 7, 6]);
  expect(end.tokens).toBe(4 * 6);
  expect(events).toEqual(
    [9, 8, 7, 6].map((loss, i) => ({
      kind: 'progress',
      name: 'made up',
      done: i + 1,
      total: 4,
      note: `loss ${loss}.000`,
      keeps: true,
    })),
  );
});

describe('the rule', () => {
  test('ends training at the first due state that holds; the last step is always due', async () => {
    const asked: number[] = [];
    const { options, record } = made();
    const early = await trainLoop({ ...options, rule: holdsFrom(2, (step) => step % 2 === 0, asked) });
    expect([early.state.step, early.found.step, asked]).toEqual([2, 2, [2]]);
    expect(record.steps).toEqual([0, 1]);
    const late = await trainLoop({ ...made().options, rule: holdsFrom(4, () => false) });
    expect(late.found).toEqual({ held: true, step: 4 });
  });

  test('that never holds is the failure which it names', async () => {
    const failing = trainLoop({ ...made().options, rule: holdsFrom(5, () => false) });
    await expect(failing).rejects.toMatchObject({ code: 'not-reached', message: /nothing after 4/ });
  });

  test('a stretched run goes on over the last step, its schedule laid out anew, until it holds', async () => {
    const { options, record } = made();
    const end = await trainLoop({
      ...options,
      rule: holdsFrom(10, (step) => step === 10),
      stretch: { minutes: 10 },
    });
    expect(end.state.step).toBe(10);
    const total = (step: number) => (step < 4 ? 4 : step < 8 ? 8 : 16);
    expect(record.rates).toEqual(
      Array.from({ length: 10 }, (_, step) => 2 * SCHEDULES.linear(step, total(step), 1)),
    );
  });

  test('a stretched run fails when its minutes are over', async () => {
    const failing = trainLoop({
      ...made().options,
      rule: holdsFrom(10, () => false),
      stretch: { minutes: 0 },
    });
    await expect(failing).rejects.toMatchObject({ code: 'not-reached', message: /nothing after 4/ });
  });
});

describe('what is kept', () => {
  test('a run stopped by its listener goes on after the step that it had taken, to the same end', async () => {
    const checkpoint = { path: file('stopped'), seconds: 1e6 };
    const stopping = trainLoop({
      ...made().options,
      checkpoint,
      onEvent(event) {
        if (event.kind === 'progress' && event.done === 3) throw new Error('enough');
      },
    });
    await expect(stopping).rejects.toThrow('enough');
    const { options, record } = made();
    const notes: string[] = [];
    const end = await trainLoop({
      ...options,
      checkpoint,
      onEvent: (event) => event.kind === 'note' && notes.push(event.text),
    });
    expect(notes).toEqual(['resuming at step 3']);
    expect(record.steps).toEqual([3]);
    expect(end.losses).toEqual([9, 8, 7, 6]);
    expect(end.tokens).toBe(24);
  });

  test('a step that failed half-way leaves no checkpoint of what it changed', async () => {
    const checkpoint = { path: file('half'), seconds: 1e6 };
    const { options } = made();
    const failing = trainLoop({
      ...options,
      checkpoint,
      step(state, batch, rate) {
        if (state.step < 2) return options.step(state, batch, rate);
        state.slots.get('w')!.value[0] = 99;
        throw new Error('half of it');
      },
    });
    await expect(failing).rejects.toThrow('half of it');
    expect(existsSync(checkpoint.path)).toBe(false);
  });

  test('measuring that was cut off is done again before any further step', async () => {
    const checkpoint = { path: file('measuring'), seconds: 1e6 };
    const rule = holdsFrom(2, (step) => step === 2);
    const cut = { ...rule, measure: () => Promise.reject(new Error('cut off')) };
    await expect(trainLoop({ ...made().options, checkpoint, rule: cut })).rejects.toThrow('cut off');
    const { options, record } = made();
    const end = await trainLoop({ ...options, checkpoint, rule });
    expect([end.state.step, record.steps]).toEqual([2, []]);
    // And a run that holds is kept with that: what comes after it may be killed too.
    const again = made();
    await trainLoop({ ...again.options, checkpoint, rule });
    expect(again.record.steps).toEqual([]);
  });

  test('a failed run says its failure again; with a stretch it goes on from there', async () => {
    const checkpoint = { path: file('failed'), seconds: 1e6 };
    const rule = holdsFrom(6, (step) => step === 6);
    for (const steps of [[0, 1, 2, 3], []]) {
      const { options, record } = made();
      await expect(trainLoop({ ...options, checkpoint, rule })).rejects.toThrow('nothing after 4');
      expect(record.steps).toEqual(steps);
    }
    const { options, record } = made();
    const end = await trainLoop({ ...options, checkpoint, rule, stretch: { minutes: 10 } });
    expect([end.state.step, record.steps]).toEqual([6, [4, 5]]);
    expect(record.rates).toEqual([4, 5].map((step) => 2 * SCHEDULES.linear(step, 8, 1)));
  });

  test('a state that a look mends takes its place', async () => {
    const mended = (step: number): TrainState => ({ ...start(), step });
    const rule = {
      ...holdsFrom(3, () => true),
      measure: ({ step }: TrainState) => Promise.resolve({ held: step >= 3, step, mended: mended(step) }),
    };
    const path = file('mended');
    const end = await trainLoop({ ...made().options, checkpoint: { path, seconds: 1e6 }, rule });
    expect(end.losses).toEqual([9, 9, 9]);
    expect(end.state.slots.get('w')!.value[0]).toBe(0);
    expect(loadCheckpoint(path).state.slots.get('w')!.value[0]).toBe(0);
  });

  test('the clock writes checkpoints; one of another run is refused', async () => {
    const path = file('clock');
    const seen: number[] = [];
    await trainLoop({
      ...made().options,
      checkpoint: { path, seconds: 0, run: 'this one' },
      batch(step) {
        if (existsSync(path)) seen.push(loadCheckpoint(path).state.step);
        expect(step).toBeLessThan(4);
        return [example];
      },
    });
    expect(seen).toEqual([1, 2, 3]);
    const other = trainLoop({ ...made().options, checkpoint: { path, seconds: 0, run: 'another' } });
    await expect(other).rejects.toMatchObject({ code: 'mismatch' });
  });
});

test('a loss that is not finite ends the run, and the rate is named', async () => {
  const { options } = made();
  const failing = trainLoop({
    ...options,
    step: async (state, batch, rate) => ({ ...(await options.step(state, batch, rate)), loss: Number.NaN }),
  });
  await expect(failing).rejects.toMatchObject({ code: 'not-reached', message: /NaN/, fix: /lr=1/ });
});
