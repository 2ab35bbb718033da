import pc from 'picocolors';
import stringWidth from 'string-width';
import { expect, test } from 'vitest';
import { Progress } from '../../src/cli/progress.ts';

function terminal(isTTY: boolean, columns = 80) {
  const clock = { ms: 0 };
  const written: string[] = [];
  const progress = new Progress({
    terminal: { isTTY, columns, write: (text) => written.push(text) },
    paint: pc.createColors(false),
    now: () => clock.ms,
  });
  return { progress, written, clock, text: () => written.join('') };
}

test('off a terminal: a plain line every five seconds, no control characters', () => {
  const { progress, written, clock, text } = terminal(false);
  progress.onEvent({ kind: 'phase', name: 'training', detail: '32 keys' });
  for (let done = 1; done <= 20; done++) {
    clock.ms += 1000;
    progress.onEvent({ kind: 'progress', name: 'training', done, total: 20, note: 'loss 1.00' });
  }
  progress.onEvent({ kind: 'note', text: 'every cell holds' });
  progress.end();
  expect(written).toHaveLength(1 + 4 + 1 + 1);
  expect(written[2]).toBe('training 10/20, loss 1.00, 10 s, 10 s left\n');
  for (const control of ['\r', '\x1b']) expect(text()).not.toContain(control);
});

test('on a terminal: one redrawn line with a bar, never wider than the terminal; a mark for each phase', () => {
  const { progress, written, clock, text } = terminal(true, 60);
  progress.onEvent({
    kind: 'phase',
    name: 'training',
    detail: 'a detail that is by far too long to be shown on such a narrow terminal',
  });
  for (let done = 1; done <= 8; done++) {
    clock.ms += 500;
    progress.onEvent({ kind: 'progress', name: 'training', done, total: 8, note: '損失 '.repeat(20) });
  }
  progress.onEvent({ kind: 'note', text: 'noted' });
  progress.end();
  for (const line of written.flatMap((part) => part.replaceAll('\r\x1b[K', '').split('\n')))
    expect(stringWidth(line)).toBeLessThan(60);
  expect(text()).toContain('████████████░░░░░░░░░░░░'); // four of eight, 24 wide
  expect(text()).toContain('  noted\n');
  expect(written.at(-1)).toMatch(/^✓ training .*\n$/);
});

test('many events in a moment are drawn once', () => {
  const { progress, written } = terminal(true);
  progress.onEvent({ kind: 'phase', name: 'x' });
  const before = written.length;
  for (let done = 0; done < 1000; done++)
    progress.onEvent({ kind: 'progress', name: 'x', done, total: 5000 });
  expect(written.length - before).toBeLessThan(2);
  progress.end(true);
  expect(written.at(-1)).toMatch(/^✗ x/);
});

test('time left counts only what this run did', () => {
  const { progress, clock, text } = terminal(false);
  progress.onEvent({ kind: 'progress', name: 'training', done: 90, total: 100 });
  clock.ms += 10_000;
  progress.onEvent({ kind: 'progress', name: 'training', done: 95, total: 100 });
  expect(text()).toContain('95/100, 10 s, 10 s left');
  progress.end();
});

test.each([40, 80])('at %i columns the time left is there, with a bar, whatever the note', (columns) => {
  for (const note of [
    undefined,
    'alpaca 12/40, the loss is 0.123, every cell but two holds by now, going on',
  ]) {
    const { progress, written, clock } = terminal(true, columns);
    progress.onEvent({ kind: 'phase', name: 'measuring' });
    progress.onEvent({ kind: 'progress', name: 'measuring', done: 10, total: 1000 });
    clock.ms += 2000;
    progress.onEvent({ kind: 'progress', name: 'measuring', done: 20, total: 1000, ...(note && { note }) });
    expect(written.at(-1)).toContain('3 min 16 s left'); // 980 more at 10 in 2 s
    expect(written.at(-1)).toMatch(/[█▏▎▍▌▋▊▉]?░{4,}/);
    expect(stringWidth(written.at(-1)!.replace('\r\x1b[K', ''))).toBeLessThan(columns);
    progress.end();
  }
});

test('a phase that counts nothing gets a bar after three seconds', () => {
  const { progress, written, clock } = terminal(true, 80);
  progress.onEvent({ kind: 'phase', name: 'publishing', detail: 'run/published' });
  expect(written.at(-1)).not.toContain('░');
  clock.ms += 3100;
  progress.onEvent({ kind: 'note', text: 'noted' }); // draws again
  expect(written.at(-1)).toMatch(/░*█░*/);
  expect(written.at(-1)).toContain('3.1 s');
  progress.end();
});
