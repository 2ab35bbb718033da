// AbortSignal for long calls: a call runs under its signal, and whatever is done for it, however deep, may ask whether to
// go on. Its work ends as after any failure, so that nothing half-written stays.

import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';
import { WhorlError } from './error.ts';
import { type OnEvent, silent } from './events.ts';

export interface Abortable {
  /** Ends the call at its next event, batch or file, with the error `aborted`, whose cause is the signal's reason. */
  readonly signal?: AbortSignal;
}

const under = new AsyncLocalStorage<AbortSignal>();

const abortedBy = (signal: AbortSignal): WhorlError =>
  new WhorlError('aborted', "stopped by the caller's signal", undefined, { cause: signal.reason });

/** The signal of the call that is under way, for what takes one itself (requests over a network). */
export const currentSignal = (): AbortSignal | undefined => under.getStore();

/** Between two pieces of work. @throws WhorlError `aborted` */
export function checkAborted(): void {
  const signal = under.getStore();
  if (signal?.aborted) throw abortedBy(signal);
}

/** Milliseconds for which work may hold the thread: Ctrl-C, a caller's signal and timers are heard between two pieces only. */
const LONGEST = 100;
let heard = performance.now();

/** Between two pieces of work that would else hold the thread to its end. @throws WhorlError `aborted` */
export async function breathe(): Promise<void> {
  if (performance.now() - heard >= LONGEST) {
    await setImmediate();
    heard = performance.now();
  }
  checkAborted();
}

/** For calls that are over before a signal could come: only one that has come already ends them. @throws WhorlError `aborted` */
export function checkSignal({ signal }: Abortable): void {
  if (signal?.aborted) throw abortedBy(signal);
}

/** The signal of a call within another one: either ends it. */
function joined(own: AbortSignal): AbortSignal {
  const outer = under.getStore();
  return outer === undefined || outer === own ? own : AbortSignal.any([outer, own]);
}

/** What `work` throws when the signal has ended it is ours, whatever library said it first. */
function translated(signal: AbortSignal, cause: unknown): unknown {
  if (!signal.aborted || (cause instanceof WhorlError && cause.code === 'aborted')) return cause;
  return cause === signal.reason || (cause as Error | undefined)?.name === 'AbortError'
    ? abortedBy(signal)
    : cause;
}

/** Does `work` under the call's signal: every event, and everything that asks `checkAborted`, ends it. */
export async function abortable<O extends Abortable & { readonly onEvent?: OnEvent | undefined }, R>(
  options: O,
  work: (options: O & { readonly onEvent: OnEvent }) => R | Promise<R>,
): Promise<R> {
  const { signal, onEvent = silent } = options;
  if (signal === undefined) return work({ ...options, onEvent });
  const both = joined(signal);
  try {
    return await under.run(both, async () => {
      checkAborted();
      return work({ ...options, onEvent: checking(onEvent) });
    });
  } catch (cause) {
    throw translated(both, cause);
  }
}

const checking =
  (onEvent: OnEvent): OnEvent =>
  (event) => {
    onEvent(event);
    checkAborted();
  };

/** The same for results one after the other. A generator's body runs where it is asked on, so each asking is put under the signal. */
export async function* abortableEach<O extends Abortable & { readonly onEvent?: OnEvent | undefined }, R>(
  options: O,
  results: (options: O) => AsyncGenerator<R, void>,
): AsyncGenerator<R, void> {
  const { signal, onEvent = silent } = options;
  if (signal === undefined) return yield* results(options);
  const both = joined(signal);
  const inner = results({ ...options, onEvent: checking(onEvent) });
  const within = <T>(act: () => Promise<T>): Promise<T> => under.run(both, act);
  try {
    for (;;) {
      const next = await within(async () => {
        checkAborted();
        return inner.next();
      });
      if (next.done) return;
      yield next.value;
    }
  } catch (cause) {
    throw translated(both, cause);
  } finally {
    await within(() => inner.return());
  }
}

/** Waits for `done`, but no longer than the call under way may go on. @throws WhorlError `aborted` */
export async function untilAborted<T>(done: Promise<T>): Promise<T> {
  const signal = under.getStore();
  if (signal === undefined) return done;
  checkAborted();
  let stop = (): void => {};
  const ended = new Promise<never>((_, reject) => {
    stop = () => reject(abortedBy(signal));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([done, ended]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
