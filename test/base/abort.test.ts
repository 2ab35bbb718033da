// A call under an AbortSignal: what ends it, what its error is, and that calls beside it go on.

import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { abortable, abortableEach, checkAborted, untilAborted } from '../../src/base/abort.ts';
import { writeFolderAtomic } from '../../src/base/atomic.ts';
import type { WhorlError } from '../../src/base/error.ts';
import type { OnEvent } from '../../src/base/events.ts';
import { writeGguf } from '../../src/sources/checkpoints/write-gguf.ts';
import { writeSafetensors } from '../../src/sources/checkpoints/write-safetensors.ts';

const tick = () => new Promise((resolve) => setTimeout(resolve, 1));
const thrown = async (call: Promise<unknown>): Promise<WhorlError> =>
  call.then(
    () => expect.unreachable(),
    (error: WhorlError) => error,
  );

test('an aborted signal ends the call before it begins, and names its reason as the cause', async () => {
  const reason = new Error('enough');
  let began = false;
  const error = await thrown(
    abortable({ signal: AbortSignal.abort(reason) }, () => {
      began = true;
    }),
  );
  expect(error).toMatchObject({ name: 'WhorlError', code: 'aborted', cause: reason });
  expect(began).toBe(false);
});

test('each event, and each question in between, ends it; a call beside it goes on', async () => {
  const control = new AbortController();
  const rounds = async (): Promise<string> => {
    for (let i = 0; i < 20; i++) {
      checkAborted();
      await tick();
    }
    return 'done';
  };
  const events = async ({ onEvent }: { onEvent: OnEvent }): Promise<void> => {
    for (let i = 0; i < 1000; i++) {
      onEvent({ kind: 'note', text: String(i) });
      await tick();
    }
  };
  const calls = [
    thrown(abortable({ signal: control.signal }, rounds)),
    thrown(abortable({ signal: control.signal }, events)),
  ];
  const other = abortable({ signal: new AbortController().signal }, rounds);
  await tick();
  control.abort();
  for (const call of calls) expect((await call).code).toBe('aborted');
  expect(await other).toBe('done');
});

test('a call within a call is ended by either signal', async () => {
  for (const which of ['outer', 'inner'] as const) {
    const signals = { outer: new AbortController(), inner: new AbortController() };
    const call = thrown(
      abortable({ signal: signals.outer.signal }, () =>
        abortable({ signal: signals.inner.signal }, () => untilAborted(new Promise(() => {}))),
      ),
    );
    await tick();
    signals[which].abort();
    expect((await call).code).toBe('aborted');
  }
});

test('a folder that was being written does not appear, and nothing is left beside it', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'whorl-abort-'));
  const control = new AbortController();
  const call = abortable({ signal: control.signal }, () =>
    writeFolderAtomic(join(scratch, 'out'), () => control.abort()),
  );
  expect((await thrown(call)).code).toBe('aborted');
  expect(readdirSync(scratch)).toEqual([]);
});

test('results one after the other: the next one is not made, and what they were made of is let go of', async () => {
  const control = new AbortController();
  let released = false;
  async function* numbers(): AsyncGenerator<number, void> {
    try {
      for (let i = 0; ; i++) {
        checkAborted();
        yield i;
      }
    } finally {
      released = true;
    }
  }
  const seen: number[] = [];
  const call = (async () => {
    for await (const n of abortableEach({ signal: control.signal }, numbers)) {
      seen.push(n);
      if (n === 2) control.abort();
    }
  })();
  expect((await thrown(call)).code).toBe('aborted');
  expect(seen).toEqual([0, 1, 2]);
  expect(released).toBe(true);
});

const matrix = { name: 'w', dtype: 'float32', type: 'F32', shape: [600, 1] } as const;
test.each<[string, (path: string, parts: () => Iterable<Uint8Array>) => Promise<void>]>([
  ['safetensors', (path, parts) => writeSafetensors(path, [matrix], parts)],
  ['GGUF', (path, parts) => writeGguf(path, new Map(), [matrix], parts)],
])('a signal that comes while a long %s file is written is heard before its end', async (_, write) => {
  const folder = mkdtempSync(join(tmpdir(), 'whorl-abort-'));
  const control = new AbortController();
  let parts = 0;
  const slow = function* () {
    for (; parts < 600; parts++) {
      const until = performance.now() + 10;
      while (performance.now() < until); // work that holds the thread
      yield new Uint8Array(4);
    }
  };
  setTimeout(() => control.abort(), 1);
  const error = await thrown(abortable({ signal: control.signal }, () => write(join(folder, 'file'), slow)));
  expect(error).toMatchObject({ code: 'aborted' });
  expect(parts).toBeLessThan(600);
  expect(readdirSync(folder)).toEqual([]);
});
