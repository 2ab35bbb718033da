// Which metric speaks for a task, and which tasks are one row of a table: as the paper reports them.

/** The paper's metric of each of its tasks (report_eval.py). */
export const PAPER_METRICS: Readonly<Record<string, string>> = {
  anli_r1: 'acc',
  anli_r2: 'acc',
  anli_r3: 'acc',
  arc_challenge: 'acc_norm',
  arc_easy: 'acc_norm',
  boolq: 'acc',
  cb: 'acc',
  cola: 'mcc',
  copa: 'acc',
  headqa_en: 'acc_norm',
  headqa_es: 'acc_norm',
  hellaswag: 'acc_norm',
  lambada_openai: 'acc',
  lambada_standard: 'acc',
  logiqa: 'acc_norm',
  mmlu: 'acc',
  multirc: 'acc',
  openbookqa: 'acc_norm',
  piqa: 'acc_norm',
  record: 'f1',
  rte: 'acc',
  sciq: 'acc_norm',
  wic: 'acc',
  winogrande: 'acc',
  wsc: 'acc',
};

/** Of tasks that the paper has not got, the first of these that there is. */
const PREFERRED = ['acc_norm', 'acc', 'exact_match', 'mcc', 'f1'];

/** @param there metrics of the task */
export function metricFor(task: string, there: readonly string[]): string | undefined {
  const paper = Object.hasOwn(PAPER_METRICS, task) ? [PAPER_METRICS[task]!] : [];
  return [...paper, ...PREFERRED].find((metric) => there.includes(metric)) ?? there[0];
}

/** Subjects of mmlu are one row. */
export const tableRow = (task: string): string => (task.startsWith('mmlu_') ? 'mmlu' : task);
