// Ctrl-C and other signals that end the process: what is said, what is kept, and which exit code. Everything on disk is
// written atomically, so ending at any moment loses only what was not kept yet; training keeps its last step first.

import { discardUnfinished } from '../base/atomic.ts';
import type { OnEvent } from '../base/events.ts';
import { liveLine, tell } from './output.ts';

/** Exit codes as shells count them: 128 and the signal's number. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type EndingSignal = keyof typeof SIGNALS;

/** Thrown by `onEvent` at the first event after a signal, so that what is under way ends as after any failure. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  constructor(readonly signal: EndingSignal) {
    super(`stopped by ${signal}`);
  }
  get exitCode(): number {
    return SIGNALS[this.signal];
  }
}

let asked: EndingSignal | undefined;
let keeps = false;

/** Events pass through; after a signal that was to wait for a step's end, the next one ends the call. */
export const untilStopped =
  (onEvent: OnEvent): OnEvent =>
  (event) => {
    onEvent(event);
    if (asked !== undefined) throw new Stopped(asked);
    if (event.kind !== 'note') keeps = event.kind === 'progress' && event.keeps === true;
  };

/**
 * Takes the signals over. The first one waits for the step of training that runs and keeps it; a second one, or one that
 * comes when nothing is being trained, ends the process at once.
 * @param words what a person is told then
 */
export function endOnSignals(words: string): void {
  for (const signal of Object.keys(SIGNALS) as EndingSignal[])
    process.on(signal, () => {
      if (keeps && asked === undefined) {
        asked = signal;
        tell('stopping at the end of this step, which is kept; once more ends at once');
        return;
      }
      liveLine.clear();
      discardUnfinished();
      tell(words);
      process.exit(SIGNALS[signal]);
    });
}
