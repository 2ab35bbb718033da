// What is asked about each row, to the letter of lm-evaluation-harness: description, examples, the row's text, and each
// choice behind its delimiter. Examples are drawn once a row, in order, from one generator a task.

import { CPythonRandom } from '../base/cpython-random.ts';
import { WhorlError } from '../base/error.ts';
import type { ScoreRequest } from '../lm/language-model.ts';
import type { Row } from '../sources/rows/row.ts';
import { type Framing, framed, PLAIN, systemTurn, type Turn } from './chat.ts';
import { ExpressionError } from './expression.ts';
import type { Target } from './metrics.ts';
import { dropsOwn, evaluated, pool, type SamplerName, type Task } from './task.ts';
import { ofRow } from './template.ts';

/** A row with the place it came from, prepared as its task wants it. */
export interface TaskRow {
  readonly row: Row;
  /** File and line, for messages. */
  readonly where: string;
}

export interface RowRequests {
  readonly row: Row;
  readonly where: string;
  readonly target: Target;
  /** Of a choice; empty otherwise. */
  readonly choices: readonly string[];
  /** One a choice; of a generated answer the continuation is empty. */
  readonly requests: readonly ScoreRequest[];
  /** Where each choice is a context of its own, the place of the right one. */
  readonly gold?: number;
}

/** The seed of the harness's generator of examples. */
const SEED = 1234n;

/** The number of examples a task is asked with where `shots` are asked for. */
export const shotsOf = (task: Task, shots: number): number => task.num_fewshot ?? shots;

/** The splits that are read: the rows', and that of the examples where there are any. */
export const splitsOf = (task: Task, shots: readonly number[]): string[] => [
  evaluated(task),
  ...(shots.some((each) => shotsOf(task, each) > 0) ? [pool(task)] : []),
];

/**
 * Every row's requests, in order. What a row gets depends on the rows before it, because each draws examples.
 * @param examples the pool; read only where `shots` is above 0
 * @throws WhorlError `bad-file` for a pool with too few rows, and naming the row for one that lacks what the task needs
 */
export function* requestsOf(
  task: Task,
  rows: readonly TaskRow[],
  examples: readonly TaskRow[],
  shots: number,
  framing: Framing = PLAIN,
): Generator<RowRequests> {
  const draw = SAMPLERS[task.sampler](examples, shots, task);
  // The harness puts no delimiter behind a template, which ends where the answer begins.
  const asked = framing.template ? { ...task, target_delimiter: '' } : task;
  for (const row of rows)
    yield ofRow(row.where, task.name, () => {
      const before = [
        ...systemTurn(framing.system, task.description, task.fewshot_delimiter),
        ...draw(row).flatMap((example) =>
          ofRow(example.where, task.name, () => exampleTurns(task, example.row)),
        ),
      ];
      const contextOf = (question: string): string =>
        framed(framing, [...before, { role: 'user', content: question, after: '' }]);
      return rowRequests(asked, row, contextOf);
    });
}

function rowRequests(
  task: Task,
  { row, where }: TaskRow,
  contextOf: (question: string) => string,
): RowRequests {
  const [text, target] = [task.text(row), task.target(row)];
  const choices = task.choices?.(row) ?? [];
  const same = { row, where, target, choices };
  if (typeof text === 'number') {
    const continuation = task.target_delimiter + answerText(target, choices);
    return {
      ...same,
      gold: text,
      requests: choices.map((choice) => ({ context: contextOf(choice), continuation })),
    };
  }
  const context = contextOf(text);
  return {
    ...same,
    requests: CONTINUATIONS[task.output_type](task, same).map((continuation) => ({ context, continuation })),
  };
}

const CONTINUATIONS: Readonly<
  Record<Task['output_type'], (task: Task, row: Pick<RowRequests, 'target' | 'choices'>) => readonly string[]>
> = {
  multiple_choice: ({ target_delimiter }, { choices }) => choices.map((choice) => target_delimiter + choice),
  loglikelihood: (_, { target }) => [answerText(target, [])],
  generate_until: () => [''],
};

/** An example with its answer. Without an answer the harness puts no delimiter at all. */
function exampleTurns(task: Task, row: Row): Turn[] {
  const choices = task.choices?.(row) ?? [];
  const given = (task.exampleText ?? task.text)(row);
  const isPartial = typeof given === 'number';
  const question = isPartial ? choice(choices, given) : given;
  const target = (task.exampleTarget ?? task.target)(row);
  const answer = answerText(target, isPartial ? [] : choices);
  if (target === '') return [{ role: 'user', content: question, after: '' }];
  return [
    { role: 'user', content: question, after: task.target_delimiter },
    { role: 'assistant', content: answer, after: task.fewshot_delimiter },
  ];
}

/** A place among the choices counts from the end where it is negative, as in Python. */
function choice(choices: readonly string[], at: number): string {
  const found = choices.at(at);
  if (found === undefined || at < -choices.length)
    throw new ExpressionError(`has its answer at place ${at} of ${choices.length} choices`);
  return found;
}

function answerText(target: Target, choices: readonly string[]): string {
  if (typeof target === 'string') return target;
  if (typeof target === 'number') return choice(choices, target);
  const [first] = target;
  if (first === undefined) throw new ExpressionError('has an empty list of answers');
  return first;
}

type Draw = (row: TaskRow) => readonly TaskRow[];

const SAMPLERS: Readonly<Record<SamplerName, (pool: readonly TaskRow[], shots: number, task: Task) => Draw>> =
  {
    default(pool, shots, task) {
      if (shots === 0) return () => [];
      const dice = new CPythonRandom(SEED);
      const places = pool.map((_, i) => i);
      if (!dropsOwn(task)) {
        enough(pool, shots, shots, task);
        return () => dice.sample(places, shots).map((i) => pool[i]!);
      }
      enough(pool, shots + 1, shots, task);
      const keys = pool.map(({ row }) => rowKey(row));
      return ({ row }) => {
        const own = rowKey(row);
        const isOther = (i: number): boolean => keys[i] !== own;
        const drawn = dice
          .sample(places, shots + 1)
          .filter(isOther)
          .slice(0, shots);
        if (drawn.length === shots) return drawn.map((i) => pool[i]!);
        // Several copies of the row were drawn: the harness draws anew from what is left without them.
        const others = places.filter(isOther);
        enough(others, shots, shots, task);
        return dice.sample(others, shots).map((i) => pool[i]!);
      };
    },
    first_n(pool, shots, task) {
      enough(pool, shots, shots, task);
      const first = pool.slice(0, shots);
      return () => first;
    },
  };

function enough(pool: readonly unknown[], least: number, shots: number, task: Task): void {
  if (pool.length >= least) return;
  throw new WhorlError(
    'bad-file',
    `${task.name} at ${shots} shots draws from ${least} rows or more, here are ${pool.length}`,
    'give more rows to draw examples from, or fewer shots',
  );
}

/** Equal for rows that Python's `==` finds equal: the order of columns does not count, nor does 1 against 1.0 or True. */
function rowKey(value: unknown): string {
  if (typeof value === 'boolean') return String(Number(value));
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(rowKey).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}:${rowKey(each)}`);
  return `{${entries.sort().join()}}`;
}
