// Progress for people on stderr: one redrawn line on a terminal, a plain line every few seconds elsewhere.
// The engine blocks the event loop while it runs, so lines are drawn when events come, not by a timer alone.

import pc from 'picocolors';
import stringWidth from 'string-width';
import { debug, debugLevel, rssText } from '../base/debug.ts';
import type { OnEvent, ProgressEvent } from '../base/events.ts';
import { writtenOut } from '../base/unseen.ts';
import { countText, cut, durationText, liveLine, type Paint } from './output.ts';
import { untilStopped } from './stopping.ts';

/** What is needed of stderr; tests give their own. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  readonly terminal?: Terminal;
  readonly paint?: Paint;
  /** Milliseconds. */
  readonly now?: () => number;
}

interface Phase {
  readonly name: string;
  readonly detail: string | undefined;
  readonly started: number;
  /** When the first count of this phase came, and what it was: rates leave out what was done before. */
  counted?: { readonly at: number; readonly done: number };
  last?: Extract<ProgressEvent, { kind: 'progress' }>;
}

const REDRAW_MS = 80;
const PLAIN_MS = 5000;
const TICK_MS = 120;
const QUIET_MS = 300; // phases shorter than this leave no line unless they counted something
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/** Widths of the bar, the widest first that leaves room for the time. */
const BARS = [24, 12, 6];
const BAR_MS = 3000; // a phase that does not count gets a bar that only moves, once it has lasted this long
/** What stands right of the bar when there is little room: the time left before all else. */
const TIME_ROOM = 16;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const CLEAR = '\r\x1b[K';

interface Figures {
  count?: string;
  note?: string;
  elapsed: string;
  left?: string;
}

const ORDER = ['count', 'note', 'elapsed', 'left'] as const satisfies readonly (keyof Figures)[];
/** Who stays where not all have room. */
const FIRST = ['left', 'count', 'elapsed', 'note'] as const satisfies readonly (keyof Figures)[];
const BETWEEN = ' · ';
const SHORTEST_NOTE = 6;

const inOrder = (figures: Partial<Figures>): string[] => ORDER.flatMap((name) => figures[name] ?? []);

/** As many figures as have room, the time left first; a note is cut to what the others leave. */
function fitted(figures: Figures, room: number): string {
  const shown: Partial<Figures> = {};
  for (const name of FIRST) {
    const text = figures[name];
    if (text === undefined) continue;
    const taken = inOrder(shown).reduce((sum, part) => sum + stringWidth(part) + BETWEEN.length, 0);
    const space = room - taken;
    if (stringWidth(text) <= space) shown[name] = text;
    else if (name === 'note' && space >= SHORTEST_NOTE) shown.note = cut(text, space);
  }
  return inOrder(shown).join(BETWEEN);
}

/** Draws events until `end` is called. Nothing it writes goes to stdout. */
export class Progress {
  readonly #terminal: Terminal;
  readonly #paint: Paint;
  readonly #now: () => number;
  #phase: Phase | undefined;
  #drawn = Number.NEGATIVE_INFINITY;
  #frame = 0;
  #lineStands = false;
  #timer: NodeJS.Timeout | undefined;

  constructor({ terminal = process.stderr, paint, now = () => performance.now() }: ProgressOptions = {}) {
    this.#terminal = terminal;
    this.#paint = paint ?? pc.createColors(Boolean(terminal.isTTY) && !process.env.NO_COLOR);
    this.#now = now;
    if (terminal === process.stderr) liveLine.clear = () => this.#clear();
  }

  /** Give this to a library call. */
  readonly onEvent: OnEvent = (event) => {
    if (event.kind === 'phase') this.#begin(event.name, event.detail && writtenOut(event.detail));
    else if (event.kind === 'note') {
      const text = writtenOut(event.text);
      this.#permanent(`  ${this.#paint.dim(text)}`, `  ${text}`);
    } else this.#count(event.note ? { ...event, note: writtenOut(event.note) } : event);
  };

  /** Ends the phase that runs; `failed` leaves it marked so. */
  end(failed = false): void {
    this.#finish(failed);
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #begin(name: string, detail: string | undefined): void {
    this.#finish(false);
    this.#phase = { name, detail, started: this.#now() };
    this.#drawn = Number.NEGATIVE_INFINITY;
    if (this.#terminal.isTTY) {
      this.#draw();
      this.#timer ??= setInterval(() => this.#draw(), TICK_MS).unref();
    } else {
      this.#terminal.write(`${name}${detail === undefined ? '' : `: ${detail}`}\n`);
      this.#drawn = this.#now();
    }
  }

  #count(event: Extract<ProgressEvent, { kind: 'progress' }>): void {
    if (this.#phase?.name !== event.name) this.#begin(event.name, undefined);
    const phase = this.#phase!;
    const now = this.#now();
    phase.counted ??= { at: now, done: event.done };
    phase.last = event;
    if (this.#terminal.isTTY) {
      if (now - this.#drawn >= REDRAW_MS || event.done >= event.total) this.#draw();
    } else if (now - this.#drawn >= PLAIN_MS) {
      this.#drawn = now;
      this.#terminal.write(`${event.name} ${inOrder(this.#figures(phase)).join(', ')}\n`);
    }
  }

  #draw(): void {
    const phase = this.#phase;
    if (!phase) return;
    this.#drawn = this.#now();
    const paint = this.#paint;
    const spin = SPINNER[this.#frame++ % SPINNER.length]!;
    const columns = Math.max(20, (this.#terminal.columns || 80) - 1);
    const { last } = phase;
    const share = last && last.total > 0 ? Math.min(1, last.done / last.total) : undefined;
    const lasts = this.#now() - phase.started >= BAR_MS;
    const name = cut(` ${phase.name} `, columns - 1);
    const free = columns - 1 - stringWidth(name);
    const width = share === undefined && !lasts ? 0 : (BARS.find((bar) => free - bar - 1 >= TIME_ROOM) ?? 0);
    const bar = width === 0 ? '' : `${share === undefined ? this.#sweep(width) : this.#bar(share, width)} `;
    const room = free - (width === 0 ? 0 : width + 1);
    const line = paint.cyan(spin) + paint.bold(name) + bar + paint.dim(fitted(this.#figures(phase), room));
    this.#terminal.write(CLEAR + line);
    this.#lineStands = true;
  }

  /** Something is being done, nobody knows how much of it. */
  #sweep(width: number): string {
    const at = this.#frame % width;
    return (
      this.#paint.dim('░'.repeat(at)) + this.#paint.cyan('█') + this.#paint.dim('░'.repeat(width - at - 1))
    );
  }

  #bar(share: number, width: number): string {
    const eighths = Math.round(share * width * 8);
    const full = Math.floor(eighths / 8);
    const part = full < width ? EIGHTHS[eighths % 8]! : '';
    const empty = width - full - (part === '' ? 0 : 1);
    return this.#paint.cyan('█'.repeat(full) + part) + this.#paint.dim('░'.repeat(empty));
  }

  /** In the order in which they are read. */
  #figures(phase: Phase): Figures {
    const now = this.#now();
    const { last, counted, detail } = phase;
    const parts: Figures = { elapsed: durationText((now - phase.started) / 1000) };
    if (last) {
      const percent =
        last.total > 0 ? ` ${Math.floor((100 * Math.min(last.done, last.total)) / last.total)} %` : '';
      parts.count = last.total > 1000 ? percent.trim() : `${countText(last.done)}/${countText(last.total)}`;
      if (last.note) parts.note = last.note;
    } else if (detail !== undefined) parts.note = detail;
    if (last && counted && last.done > counted.done && last.done < last.total) {
      const left = ((now - counted.at) * (last.total - last.done)) / (last.done - counted.done) / 1000;
      parts.left = `${durationText(left)} left`;
    }
    return parts;
  }

  #finish(failed: boolean): void {
    const phase = this.#phase;
    this.#phase = undefined;
    if (!phase) return;
    const seconds = (this.#now() - phase.started) / 1000;
    if (!this.#terminal.isTTY) {
      if (phase.last && !failed)
        this.#terminal.write(`${phase.name} done: ${this.#summary(phase, seconds)}\n`);
      return;
    }
    this.#clear();
    if (!failed && !phase.last && seconds * 1000 < QUIET_MS) return;
    const mark = failed ? this.#paint.red('✗') : this.#paint.green('✓');
    const columns = Math.max(20, (this.#terminal.columns || 80) - 1);
    this.#terminal.write(
      `${mark} ${phase.name} ${this.#paint.dim(cut(this.#summary(phase, seconds), columns - phase.name.length - 3))}\n`,
    );
  }

  #summary({ detail, last }: Phase, seconds: number): string {
    return [detail, last?.note, durationText(seconds)].filter((part) => part !== undefined).join(' · ');
  }

  /** A line that stays; the redrawn one comes back below it. */
  #permanent(painted: string, plain: string): void {
    this.#clear();
    this.#terminal.write(`${this.#terminal.isTTY ? painted : plain}\n`);
    if (this.#terminal.isTTY) this.#draw();
  }

  #clear(): void {
    if (this.#lineStands) this.#terminal.write(CLEAR);
    this.#lineStands = false;
  }
}

/** `--quiet`: nothing is drawn, errors and results stay. */
export const drawing = { quiet: false };

const NOWHERE: Terminal = { write: () => {} };

/** Runs a call under a progress line that always ends. */
export async function withProgress<T>(call: (onEvent: OnEvent) => Promise<T>): Promise<T> {
  const progress = new Progress(drawing.quiet ? { terminal: NOWHERE } : {});
  const timer = debugLevel() > 0 ? new PhaseTimer() : undefined;
  let failed = true;
  try {
    const result = await call(untilStopped(timer ? timer.before(progress.onEvent) : progress.onEvent));
    failed = false;
    return result;
  } finally {
    progress.end(failed);
    timer?.end();
  }
}

/** WHORL_DEBUG=1: a line for each phase that ended, with its milliseconds and the memory then. */
class PhaseTimer {
  #name = '';
  #started = 0;

  before(onEvent: OnEvent): OnEvent {
    return (event) => {
      // A count under another name is a phase that nobody announced; that is how Progress sees it too.
      if (event.kind === 'phase' || (event.kind === 'progress' && event.name !== this.#name)) {
        this.end();
        [this.#name, this.#started] = [event.name, performance.now()];
      }
      onEvent(event);
    };
  }

  end(): void {
    if (this.#name !== '')
      debug(`phase ${this.#name}: ${(performance.now() - this.#started).toFixed(0)} ms, ${rssText()}`);
    this.#name = '';
  }
}
