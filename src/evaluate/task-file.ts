// A task's file: YAML in lm-evaluation-harness's own words, those that Whorl can say; any other key is refused by name.

import { parseDocument } from 'yaml';
import { z } from 'zod';
import { WhorlError } from '../base/error.ts';
import { nameHint } from '../base/near-name.ts';
import type { Row } from '../sources/rows/row.ts';
import { ExpressionError } from './expression.ts';
import { FUNCTIONS } from './functions.ts';
import {
  AGGREGATIONS,
  type AggregationName,
  CHOICE_METRICS,
  LIKELIHOOD_METRICS,
  type Target,
} from './metrics.ts';
import type { Filter, Generating, OutputType, Task, TaskMetric } from './task.ts';
import { template } from './template.ts';

const name = z.string().regex(/^[\w.-]{1,100}$/, 'is letters, digits, _, - and .');
const texts = z.array(z.string());
const METRIC = z.strictObject({
  metric: z.string(),
  aggregation: z.string().optional(),
  higher_is_better: z.boolean().optional(),
  ignore_case: z.boolean().optional(),
  ignore_punctuation: z.boolean().optional(),
  regexes_to_ignore: texts.optional(),
});
const filter = z.strictObject({
  name: z.string(),
  filter: z.array(
    z.strictObject({
      function: z.enum(['regex', 'take_first']),
      regex_pattern: z.string().optional(),
      group_select: z.number().int().optional(),
    }),
  ),
});

const FILE = z.strictObject({
  task: name,
  task_alias: z.string().optional(),
  tag: z.union([z.string(), texts]).optional(),
  dataset_path: z.string(),
  dataset_name: z.string().nullish(),
  output_type: z.enum(['multiple_choice', 'loglikelihood', 'generate_until']),
  training_split: z.string().nullish(),
  validation_split: z.string().nullish(),
  test_split: z.string().nullish(),
  fewshot_split: z.string().nullish(),
  fewshot_config: z
    .strictObject({
      sampler: z.enum(['default', 'first_n']).optional(),
      doc_to_text: z.string().optional(),
      doc_to_target: z.union([z.string(), z.number().int()]).optional(),
    })
    .optional(),
  num_fewshot: z.number().int().nonnegative().optional(),
  description: z.string().optional(),
  target_delimiter: z.string().optional(),
  fewshot_delimiter: z.string().optional(),
  /** Ours: only rows with these values in these columns are the task's. */
  keeps: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  /** Ours: functions that templates cannot say, by name. */
  functions: z.union([z.string(), texts]).optional(),
  doc_to_text: z.string().optional(),
  doc_to_target: z.union([z.string(), z.number().int()]).optional(),
  doc_to_choice: z.union([z.string(), texts]).optional(),
  metric_list: z.array(METRIC).min(1),
  generation_kwargs: z
    .strictObject({
      until: texts,
      do_sample: z.literal(false).optional(),
      temperature: z.literal(0).optional(),
      max_gen_toks: z.number().int().positive().optional(),
    })
    .optional(),
  repeats: z.literal(1).optional(),
  filter_list: z.array(filter).min(1).optional(),
  // Neither changes what is asked; both stand in nearly every file of the harness.
  should_decontaminate: z.boolean().optional(),
  doc_to_decontamination_query: z.string().optional(),
  metadata: z.strictObject({ version: z.union([z.number(), z.string()]) }),
});
type File = z.infer<typeof FILE>;

/** Tokens that the harness generates where a task does not say how many. */
const MAX_NEW_TOKENS = 256;

/** @throws WhorlError `bad-file` for what is no YAML or lacks a key, `unsupported` naming the key that we do not know */
export function parseTask(text: string, path: string): Task {
  return taskOf(checked(read(text, path), path), path);
}

/** YAML as data. Tags such as `!function` are code of another program and refused. */
export function read(text: string, path: string): unknown {
  const document = parseDocument(text, { strict: true, uniqueKeys: true });
  const fault = document.errors[0] ?? document.warnings[0];
  if (!fault) return document.toJS({ maxAliasCount: 100 });
  const line = fault.linePos?.[0].line;
  const tag = fault.code === 'TAG_RESOLVE_FAILED';
  throw new WhorlError(
    tag ? 'unsupported' : 'bad-file',
    `${path}${line === undefined ? '' : `, line ${line}`}: ${tag ? 'a tag such as !function or !include is Python code' : fault.message.split('\n')[0]}`,
    tag ? 'write it as a template, or by name with functions (docs/evaluate.md)' : undefined,
  );
}

export function checked(value: unknown, path: string): File {
  const parsed = FILE.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const at = issue.path.join('.');
  if (issue.code !== 'unrecognized_keys')
    throw new WhorlError('bad-file', `${path}: ${at === '' ? 'the file' : at}: ${issue.message}`);
  const key = issue.keys[0]!;
  throw new WhorlError(
    'unsupported',
    `${path}: the key ${at === '' ? key : `${at}.${key}`} is not known`,
    nameHint(key, keysAt(issue.path), { list: 'docs/evaluate.md lists what Whorl reads of such a file' }),
  );
}

/** The keys that may stand at a place of a task's file. */
function keysAt(path: readonly PropertyKey[]): readonly string[] {
  let at: unknown = FILE;
  for (const step of path) {
    while (at instanceof z.ZodOptional || at instanceof z.ZodNullable) at = at.unwrap();
    if (at instanceof z.ZodObject) at = (at.shape as Readonly<Record<PropertyKey, unknown>>)[step];
    else if (at instanceof z.ZodArray) at = at.element;
  }
  while (at instanceof z.ZodOptional || at instanceof z.ZodNullable) at = at.unwrap();
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

export function taskOf(file: File, path: string): Task {
  const functions = Object.assign({}, ...list(file.functions).map((each) => functionsNamed(each, path)));
  const wanted = <T>(value: T | undefined, key: string): T => {
    if (value !== undefined) return value;
    throw new WhorlError('bad-file', `${path} has no ${key}`, 'give it');
  };
  const given = (key: 'doc_to_text' | 'doc_to_target') =>
    template(String(wanted(file[key], key)), `${path}: ${key}`);
  const { output_type, description = '', fewshot_config, num_fewshot } = file;
  const texts = functions.text ? undefined : given('doc_to_text');
  const targets = functions.target ? undefined : given('doc_to_target');
  const isChoice = output_type === 'multiple_choice';
  const choices =
    functions.choices ??
    (isChoice ? choicesOf(wanted(file.doc_to_choice, 'doc_to_choice'), path) : undefined);
  const splits = {
    ...(file.training_split && { training: file.training_split }),
    ...(file.validation_split && { validation: file.validation_split }),
    ...(file.test_split && { test: file.test_split }),
    ...(file.fewshot_split && { fewshot: file.fewshot_split }),
  };
  if (!file.test_split && !file.validation_split)
    throw new WhorlError(
      'bad-file',
      `${path} has neither test_split nor validation_split`,
      'say which rows are evaluated',
    );
  return {
    name: file.task,
    alias: file.task_alias ?? file.task,
    tags: list(file.tag),
    dataset_path: file.dataset_path,
    dataset_name: file.dataset_name ?? null,
    splits,
    output_type,
    description,
    target_delimiter: file.target_delimiter ?? ' ',
    fewshot_delimiter: file.fewshot_delimiter ?? '\n\n',
    sampler: fewshot_config?.sampler ?? 'default',
    keeps: file.keeps ?? {},
    ...(num_fewshot === 0 && { num_fewshot }),
    metrics: file.metric_list.map((each) =>
      metricOf(each, output_type, (functions.results ?? functions.grades) !== undefined, path),
    ),
    version: file.metadata.version,
    ...(output_type === 'generate_until' && { generating: generatingOf(file, path) }),
    prepare: functions.prepare ?? ((row: Row) => row),
    text: functions.text ?? ((row: Row) => texts!.text(row)),
    ...(choices && { choices }),
    target: functions.target ?? ((row: Row) => targetOf(targets!.value(row), isChoice)),
    ...(functions.exampleTarget && { exampleTarget: functions.exampleTarget }),
    ...exampleOf(file, isChoice, path),
    ...(functions.results && { results: functions.results }),
    ...(functions.grades && { grades: functions.grades }),
  };
}

/** An example's own templates. */
function exampleOf({ fewshot_config = {} }: File, isChoice: boolean, path: string): Partial<Task> {
  const { doc_to_text: text, doc_to_target: target } = fewshot_config;
  const own = (source: string | number, key: string) =>
    template(String(source), `${path}: fewshot_config.${key}`);
  const [texts, targets] = [
    text === undefined ? undefined : own(text, 'doc_to_text'),
    target === undefined ? undefined : own(target, 'doc_to_target'),
  ];
  return {
    ...(texts && { exampleText: (row: Row) => texts.text(row) }),
    ...(targets && { exampleTarget: (row: Row) => targetOf(targets.value(row), isChoice) }),
  };
}

const list = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

function functionsNamed(named: string, path: string) {
  if (Object.hasOwn(FUNCTIONS, named)) return FUNCTIONS[named]!;
  const hint = nameHint(named, Object.keys(FUNCTIONS), { list: 'docs/evaluate.md lists them' });
  throw new WhorlError('unsupported', `${path}: functions: ${named} is not known`, hint);
}

/** A list stands as it is; a text is a template whose value is a list of texts. */
function choicesOf(given: string | readonly string[], path: string): (row: Row) => readonly string[] {
  if (typeof given !== 'string') return () => given;
  const { value } = template(given, `${path}: doc_to_choice`);
  return (row) => {
    const choices = value(row);
    if (Array.isArray(choices) && choices.every((each) => typeof each === 'string'))
      return choices as string[];
    throw new ExpressionError(`wants a list of texts as choices, not ${JSON.stringify(choices)}`);
  };
}

/** A text of digits is a place among the choices, as in the harness. */
function targetOf(value: unknown, isChoice: boolean): Target {
  if (typeof value === 'string') return isChoice && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof value === 'boolean') return Number(value);
  if (Number.isSafeInteger(value)) return value as number;
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value as string[];
  throw new ExpressionError(`wants a text or a whole number as its target, not ${JSON.stringify(value)}`);
}

/** How each metric is put together where the file does not say. */
const USUAL: Readonly<Record<string, AggregationName>> = {
  acc: 'mean',
  acc_norm: 'mean',
  acc_bytes: 'mean',
  exact_match: 'mean',
  mcc: 'matthews_corrcoef',
  f1: 'f1',
  perplexity: 'perplexity',
};

const KNOWN: Readonly<Record<OutputType, readonly string[]>> = {
  multiple_choice: Object.keys(CHOICE_METRICS),
  loglikelihood: Object.keys(LIKELIHOOD_METRICS),
  generate_until: ['exact_match'],
};

function metricOf(
  { metric, aggregation = USUAL[metric], higher_is_better = metric !== 'perplexity' }: z.infer<typeof METRIC>,
  type: OutputType,
  own: boolean,
  path: string,
): TaskMetric {
  if (!own && !KNOWN[type].includes(metric))
    throw new WhorlError(
      'unsupported',
      `${path}: the metric ${metric} is not known for ${type}`,
      nameHint(metric, KNOWN[type]),
    );
  if (aggregation === undefined || !Object.hasOwn(AGGREGATIONS, aggregation))
    throw new WhorlError(
      'unsupported',
      `${path}: the aggregation ${aggregation ?? 'of'} ${metric} is not known`,
      nameHint(aggregation ?? '', Object.keys(AGGREGATIONS)),
    );
  return { metric, aggregation: aggregation as AggregationName, higher_is_better };
}

function generatingOf({ generation_kwargs, filter_list, metric_list }: File, path: string): Generating {
  const [first] = metric_list;
  const { until = ['\n\n'], max_gen_toks = MAX_NEW_TOKENS } = generation_kwargs ?? {};
  return {
    until,
    max_new_tokens: max_gen_toks,
    filters: (filter_list ?? [{ name: 'none', filter: [] }]).map((each) => filterOf(each, path)),
    ignored: (first?.regexes_to_ignore ?? []).map((source) => pythonPattern(source, path)),
    ignoreCase: first?.ignore_case ?? false,
    ignorePunctuation: first?.ignore_punctuation ?? false,
  };
}

function filterOf({ name: filterName, filter: steps }: z.infer<typeof filter>, path: string): Filter {
  const regex = steps.find((step) => step.function === 'regex');
  return {
    name: filterName,
    select: regex?.group_select ?? 0,
    ...(regex && { pattern: pythonPattern(regex.regex_pattern ?? '#### (\\-?[0-9\\.\\,]+)', path) }),
  };
}

/** Python's `(?s)` is a flag of JavaScript's. */
function pythonPattern(source: string, path: string): RegExp {
  const [, flags = '', rest = source] = /^\(\?([ims]+)\)([\s\S]*)$/.exec(source) ?? [];
  try {
    return new RegExp(rest, `g${flags}`);
  } catch (cause) {
    throw new WhorlError(
      'unsupported',
      `${path}: the regular expression ${source} is not one of JavaScript's`,
      undefined,
      { cause },
    );
  }
}
