// What templates cannot say: the functions of the few tasks that need one. A task's file names them with `functions:`.

import { strip, words } from '../base/python-space.ts';
import type { Score } from '../lm/language-model.ts';
import type { Row } from '../sources/rows/row.ts';
import { ExpressionError, MissingColumn } from './expression.ts';
import { checkedRow, ifevalResults } from './ifeval.ts';
import { argmax } from './metrics.ts';
import { unescaped } from './python-text.ts';
import { squadExact, squadF1 } from './squad.ts';
import type { Task } from './task.ts';

export type TaskFunctions = Partial<
  Pick<Task, 'prepare' | 'text' | 'target' | 'exampleTarget' | 'results' | 'grades'>
> & {
  choices?(row: Row): readonly string[];
};

function column<T>(row: Row, name: string, is: (value: unknown) => value is T, what: string): T {
  const value = Object.hasOwn(row, name) ? row[name] : undefined;
  if (value === undefined) throw new MissingColumn(name);
  if (is(value)) return value;
  throw new ExpressionError(`wants ${what} as ${JSON.stringify(name)}, not ${JSON.stringify(value)}`);
}

const text = (row: Row, name: string): string =>
  column(row, name, (value): value is string => typeof value === 'string', 'a text');
const texts = (row: Row, name: string): readonly string[] =>
  column(
    row,
    name,
    (value): value is string[] => Array.isArray(value) && value.every((each) => typeof each === 'string'),
    'a list of texts',
  );
const whole = (row: Row, name: string): number =>
  column(row, name, (value): value is number => Number.isSafeInteger(value), 'a whole number');

/** `str.capitalize` of Python: the first character in its title case, all others in lower case. */
function capitalized(value: string): string {
  const [first = '', ...rest] = value;
  return titleCase(first) + lowered(rest.join(''), first);
}

/** Of the ligatures and digraphs, whose title case is not their upper case, and of sharp s: `ß` → `Ss`. */
const titleCase = (char: string): string => {
  const upper = DIGRAPHS[char] ?? char.toUpperCase();
  return upper.length > char.length && [...upper].length > 1
    ? [...upper][0]! + [...upper].slice(1).join('').toLowerCase()
    : upper;
};
const DIGRAPHS: Readonly<Record<string, string>> = Object.fromEntries(
  ['Ǆǅǆ', 'Ǉǈǉ', 'Ǌǋǌ', 'Ǳǲǳ'].flatMap(([upper, title, lower]) => [
    [upper!, title!],
    [lower!, title!],
  ]),
);

/** Lower case that knows what stands before it: a final sigma is one after a letter only. */
const lowered = (value: string, before: string): string =>
  (before + value).toLowerCase().slice(before.toLowerCase().length);

const cleaned = (value: string): string =>
  strip(value)
    .replaceAll(' [title]', '. ')
    .replace(/\[[^\n]*?\]/g, '')
    .replaceAll('  ', ' ');

const firstLowered = (value: string): string => {
  const [first, ...rest] = value;
  if (first === undefined) throw new ExpressionError('wants a choice that is not empty');
  return first.toLowerCase() + rest.join('');
};

function blank(row: Row): { before: string; after: string } {
  const sentence = text(row, 'sentence');
  const at = sentence.indexOf('_');
  if (at < 0) throw new ExpressionError('wants a "_" in the sentence');
  return { before: sentence.slice(0, at), after: sentence.slice(at + 1) };
}

const CONNECTORS: Readonly<Record<string, string>> = { cause: 'because', effect: 'therefore' };

function oneOf<T>(record: Readonly<Record<string, T>>, row: Row, name: string): T {
  const key = text(row, name);
  if (Object.hasOwn(record, key)) return record[key]!;
  throw new ExpressionError(
    `wants ${Object.keys(record).join(' or ')} as ${JSON.stringify(name)}, not ${JSON.stringify(key)}`,
  );
}

const copaChoices = (row: Row): readonly string[] =>
  ['choice1', 'choice2'].map((name) => ` ${firstLowered(text(row, name))}`);

const detokenized = (value: string): string =>
  value
    .replaceAll(" n't", "n't")
    .replaceAll(' )', ')')
    .replaceAll('( ', '(')
    .replaceAll('" ', '"')
    .replaceAll(' "', '"')
    .replace(/ (['.,])/g, '$1');

/** Python's order of strings is that of their code points; JavaScript's that of UTF-16. */
const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

const sortedSet = (values: readonly string[]): string[] => [...new Set(values)].sort(byCodePoint);

const highlight = (row: Row, entity: string): string =>
  `  - ${text(row, 'query')}`.replaceAll('@placeholder', () => entity);

const LETTERS = ['A', 'B', 'C', 'D'] as const;
const TEN_LETTERS = [...'ABCDEFGHIJ'];

function multircChoices(row: Row): readonly string[] {
  const answer = text(row, 'answer');
  const read = answer.includes("'''") ? undefined : unescaped(answer.replace(/\r\n?/g, '\n'));
  if (read === undefined)
    throw new ExpressionError(
      "has an answer that the harness cannot read: it stands in a Python literal, as '''answer'''; multirc_true takes answers as they are",
    );
  return ['yes', 'no'].map((word) => `${read}\nIs the answer correct? ${word}`);
}

export const FUNCTIONS: Readonly<Record<string, TaskFunctions>> = {
  hellaswag: {
    prepare(row) {
      const context = `${text(row, 'ctx_a')} ${capitalized(text(row, 'ctx_b'))}`;
      const gold = Number(text(row, 'label'));
      return {
        ...row,
        query: cleaned(`${text(row, 'activity_label')}: ${context}`),
        choices: texts(row, 'endings').map(cleaned),
        gold,
      };
    },
  },
  winogrande: {
    text: (row) => oneOf({ '1': 0, '2': 1 }, row, 'answer'),
    choices: (row) => ['option1', 'option2'].map((name) => blank(row).before + text(row, name)),
    target: (row) => strip(blank(row).after),
  },
  logiqa: {
    text: (row) =>
      `Passage: ${text(row, 'context')}\nQuestion: ${text(row, 'question')}\nChoices:\n${texts(row, 'options')
        .slice(0, LETTERS.length)
        .map((option, i) => `${LETTERS[i]}. ${option}\n`)
        .join('')}Answer:`,
    target(row) {
      const at = LETTERS.findIndex((letter) => letter.toLowerCase() === strip(text(row, 'label')));
      if (at < 0)
        throw new ExpressionError(`wants a, b, c or d as "label", not ${JSON.stringify(row.label)}`);
      return at;
    },
  },
  copa: {
    text: (row) =>
      `${[...strip(text(row, 'premise'))].slice(0, -1).join('')} ${oneOf(CONNECTORS, row, 'question')}`,
    choices: copaChoices,
    target: (row) => copaChoices(row)[whole(row, 'label') === 0 ? 0 : 1]!,
  },
  wsc: {
    text(row) {
      const [raw, noun, pronoun] = [text(row, 'text'), text(row, 'span1_text'), text(row, 'span2_text')];
      const before = words(raw).slice(0, whole(row, 'span2_index')).join(' ');
      const after = [...raw].slice([...before].length + [...pronoun].length + 1).join('');
      const passage = detokenized(`${before} *${pronoun}*${after}`);
      return `Passage: ${passage}\nQuestion: In the passage above, does the pronoun "*${pronoun}*" refer to "*${noun}*"?\nAnswer:`;
    },
  },
  multirc: { choices: multircChoices },
  record: {
    prepare: (row) => ({
      ...row,
      entities: sortedSet(texts(row, 'entities')),
      answers: sortedSet(texts(row, 'answers')),
    }),
    text(row) {
      const [initial = '', ...highlights] = strip(text(row, 'passage')).split('\n@highlight\n');
      return `${initial}\n\n${highlights.map((line) => `  - ${line}.\n`).join('')}`;
    },
    choices: (row) => texts(row, 'entities').map((entity) => highlight(row, entity)),
    target: (row) => highlight(row, texts(row, 'answers')[0] ?? ''),
    results: recordResults,
  },
  // v0.4.0's regression: the bare entities are the choices, in the data set's order, and the answers the target.
  record_bare: {
    prepare: (row) => row,
    choices: (row) => texts(row, 'entities'),
    target: (row) => texts(row, 'answers'),
  },
  ifeval: { prepare: checkedRow, grades: ifevalResults },
  mmlu_pro: {
    text: (row) =>
      `Question:\n${text(row, 'question')}\nOptions:\n${texts(row, 'options')
        .slice(0, TEN_LETTERS.length)
        .map((option, i) => `${TEN_LETTERS[i]}. ${strip(option)}\n`)
        .join('')}Answer: Let's think step by step.`,
    exampleTarget: (row) => text(row, 'cot_content').replaceAll("A: Let's think step by step. ", ''),
  },
  truthfulqa_mc2: {
    results(row, scores) {
      const targets = column(
        row,
        'mc2_targets',
        (value): value is Row => typeof value === 'object' && value !== null,
        'an object',
      );
      const labels = column(targets, 'labels', (value): value is number[] => Array.isArray(value), 'a list');
      const masses = scores.map(({ logprob }) => Math.exp(logprob));
      const all = masses.reduce((a, b) => a + b, 0);
      return { acc: masses.reduce((sum, mass, i) => (labels[i] === 1 ? sum + mass / all : sum), 0) };
    },
  },
};

function recordResults(row: Row, scores: readonly Score[]): Readonly<Record<string, number>> {
  const entity = texts(row, 'entities')[argmax(scores.map(({ logprob }) => logprob))]!;
  const best = (of: (prediction: string, answer: string) => number) =>
    Math.max(...texts(row, 'answers').map((answer) => of(entity, answer)));
  return { f1: best(squadF1), em: best(squadExact) };
}
