// From a row's answers to its metrics, and to its line in samples_*.jsonl as lm-evaluation-harness writes it.

import { sha256Hex } from '../base/sha256.ts';
import type { Score } from '../lm/language-model.ts';
import { CHOICE_METRICS, goldOf, type Item, LIKELIHOOD_METRICS } from './metrics.ts';
import { dumped, floatText, truthText } from './python-text.ts';
import type { RowRequests } from './requests.ts';
import type { Filter, Generating, Task } from './task.ts';

/** What a model answered to a row: one score a request, or a text. */
export type Answer = { readonly scores: readonly Score[] } | { readonly generated: string };

/** A filter's name → metric → the row's contribution. Without filters of its own a task has one, `none`. */
export type RowMetrics = Readonly<Record<string, Readonly<Record<string, Item>>>>;

export function metricsOf(task: Task, row: RowRequests, answer: Answer): RowMetrics {
  if (!('scores' in answer))
    return task.grades
      ? { none: task.grades(row.row, answer.generated) }
      : generatedMetrics(task.generating!, row, answer.generated);
  return { none: scoredMetrics(task, row, answer.scores) };
}

function scoredMetrics(
  task: Task,
  row: RowRequests,
  scores: readonly Score[],
): Readonly<Record<string, Item>> {
  if (task.results) return task.results(row.row, scores);
  const names = task.metrics.map(({ metric }) => metric);
  if (task.output_type === 'loglikelihood')
    return Object.fromEntries(names.map((name) => [name, LIKELIHOOD_METRICS[name]!(scores[0]!)]));
  const choice = { choices: row.choices, scores, gold: row.gold ?? goldOf(row.target, row.choices) };
  return Object.fromEntries(names.map((name) => [name, CHOICE_METRICS[name]!(choice)]));
}

/** Python's `string.punctuation`. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** What a filter of the harness gives where nothing matches. */
const INVALID = '[invalid]';

function filtered({ pattern, select }: Filter, text: string): string {
  if (!pattern) return text;
  const found = [...text.matchAll(pattern)].at(select);
  if (!found) return INVALID;
  const [whole, ...groups] = found;
  const taken = groups.length === 0 ? whole : groups.find((group) => group !== undefined && group !== '');
  return taken === undefined ? INVALID : taken.trim();
}

function generatedMetrics(generating: Generating, { target }: RowRequests, text: string): RowMetrics {
  const plain = (value: string): string => {
    const kept = generating.ignored.reduce((rest, pattern) => rest.replace(pattern, ''), value);
    const cased = generating.ignoreCase ? kept.toLowerCase() : kept;
    return generating.ignorePunctuation ? cased.replace(PUNCTUATION, '') : cased;
  };
  const golds = typeof target === 'object' ? target : [String(target)];
  return Object.fromEntries(
    generating.filters.map((filter) => {
      const answer = plain(filtered(filter, text));
      return [filter.name, { exact_match: golds.some((gold) => plain(gold) === answer) ? 1 : 0 }];
    }),
  );
}

/** The hashes by which two runs of a row are told to be of the same row, prompt and target. */
export interface SampleHashes {
  readonly doc_hash: string;
  readonly prompt_hash: string;
  readonly target_hash: string;
}

export const hashesOf = ({ row, requests, target }: RowRequests): SampleHashes => ({
  doc_hash: sha256Hex(dumped(row)),
  prompt_hash: sha256Hex(requests[0]?.context ?? ''),
  target_hash: sha256Hex(targetText(target)),
});

const targetText = (target: RowRequests['target']): string =>
  typeof target === 'string' ? target : truthText(target);

/** One object a filter. */
export function samplesOf(task: Task, doc_id: number, row: RowRequests, answer: Answer): object[] {
  const resps = 'scores' in answer ? answer.scores.map((score) => [scoreTexts(score)]) : [[answer.generated]];
  const until = task.generating && {
    until: task.generating.until,
    max_gen_toks: task.generating.max_new_tokens,
  };
  return Object.entries(metricsOf(task, row, answer)).map(([filter, metrics]) => ({
    doc_id,
    doc: row.row,
    target: targetText(row.target),
    arguments: Object.fromEntries(
      row.requests.map(({ context, continuation }, i) => [
        `gen_args_${i}`,
        { arg_0: context, arg_1: until ?? continuation },
      ]),
    ),
    resps,
    filtered_resps:
      'scores' in answer
        ? answer.scores.map(scoreTexts)
        : [filtered(task.generating!.filters.find(({ name }) => name === filter)!, answer.generated)],
    filter,
    metrics: Object.keys(metrics),
    ...hashesOf(row),
    ...metrics,
  }));
}

const scoreTexts = ({ logprob, greedy }: Score): [string, string] => [
  floatText(logprob),
  greedy ? 'True' : 'False',
];
