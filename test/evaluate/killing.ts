// `whorl eval` on the embedded model as a process of its own that is killed by SIGKILL after a while and called again: what
// its folders hold in the end. Used by kill.run.test.ts with few kills and by bench/kill-eval.ts with many.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';
import { seededRandom } from '../../src/base/random-source.ts';

const MODEL = join(packageRoot(), 'assets/embedded/model');
const WORDS = 'ferry lamp river stone orchard harbour kettle meadow window ladder'.split(' ');
const row = (i: number): string =>
  `${WORDS[i % 10]} and the ${WORDS[(i * 7 + 3) % 10]} of ${WORDS[(i * 3 + 1) % 10]}`;

/** Rows enough that a kill falls between two of them: answers are kept in groups of a few hundred requests. */
function writeRows(data: string, count: number): void {
  const write = (task: string, split: string, rows: readonly unknown[]): void => {
    mkdirSync(join(data, task), { recursive: true });
    writeFileSync(
      join(data, task, `${split}.jsonl`),
      rows.map((each) => `${JSON.stringify(each)}\n`).join(''),
    );
  };
  const all = Array.from({ length: count }, (_, i) => i);
  const question = (i: number) => ({
    question: `is the ${row(i)} new`,
    passage: `The ${row(i)}.`,
    label: i % 2,
  });
  const goal = (i: number) => ({
    goal: `To see the ${row(i)}`,
    sol1: `go to ${row(i + 1)}`,
    sol2: row(i + 2),
    label: i % 2,
  });
  for (const split of ['train', 'validation']) {
    write('boolq', split, all.map(question));
    write('piqa', split, all.map(goal));
  }
  write(
    'gsm8k',
    'test',
    all.slice(0, Math.ceil(count / 150)).map((i) => ({ question: row(i), answer: `#### ${i}` })),
  );
}

/** Runs to the end, or is killed: then the code is null. */
function run(
  program: readonly string[],
  folders: { readonly data: string; readonly out: string },
  kill?: number,
): Promise<{ code: number | null; ms: number; err: string }> {
  return new Promise((resolve) => {
    const started = Date.now();
    const args = ['eval', '--model', MODEL, '--tasks', 'boolq,piqa,gsm8k', '--shots', '0', '--json'];
    const [command, ...before] = program;
    const child = spawn(command!, [...before, ...args, '--data', folders.data, '--out', folders.out], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let err = '';
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    const timer = kill === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), kill);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ms: Date.now() - started, err });
    });
  });
}

/** SHA-256 of every file of an evaluation, by its name; what a kill left of a write is no file of it. */
function contents(out: string): string {
  const list = ['', '.samples'].flatMap((end) =>
    readdirSync(out + end, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !/^\..*\.tmp-/.test(entry.name))
      .map((entry) => {
        const path = join(entry.parentPath, entry.name);
        const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
        return [path.slice(out.length), digest] as const;
      }),
  );
  return JSON.stringify(list.sort());
}

export interface Killed {
  /** When, in milliseconds from the start. */
  readonly at: number;
  /** Answers that lay in the journals then. */
  readonly kept: number;
  readonly same: boolean;
}

const journalled = (out: string): number => {
  try {
    const folder = join(`${out}.samples`, 'work');
    return readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'utf8').split('\n').length - 2)
      .reduce((sum, lines) => sum + Math.max(0, lines), 0);
  } catch {
    return 0; // killed before the first one
  }
};

/**
 * @param program what runs `whorl`, before its arguments
 * @param kills how many runs are killed before their end
 */
export async function* killedEvaluations(
  program: readonly string[],
  kills: number,
  seed: string,
  rows: number,
): AsyncGenerator<Killed> {
  const work = mkdtempSync(join(tmpdir(), 'whorl-kill-eval-'));
  const data = join(work, 'data');
  writeRows(data, rows);
  try {
    const whole = join(work, 'whole');
    const full = await run(program, { data, out: whole });
    if (full.code !== 0)
      throw new Error(`the uninterrupted one ended with ${full.code}: ${full.err.slice(-500)}`);
    const expected = contents(whole);
    const random = seededRandom(seed);
    let span = full.ms;
    let done = 0;
    for (let draw = 0; done < kills; draw++) {
      if (draw > 20 * kills) throw new Error(`of ${draw} runs only ${done} were killed before their end`);
      const out = join(work, `killed-${draw}`);
      const at = random.int(Math.ceil(span));
      const { code, ms } = await run(program, { data, out }, at);
      if (code !== null) {
        // Faster than the one that was timed: what ended killed nothing, and another moment is drawn.
        span = Math.min(span, ms);
        continue;
      }
      const kept = journalled(out);
      const again = await run(program, { data, out });
      if (again.code !== 0)
        throw new Error(`the call after the kill ended with ${again.code}: ${again.err.slice(-500)}`);
      yield { at, kept, same: contents(out) === expected };
      done++;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
