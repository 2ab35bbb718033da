// Scoring, generation and process start against torch + transformers, interleaved, every run in its own process.
// npm run build, then: npx tsx bench/score-generate.ts --model FOLDER --python PYTHON [--repeats 3] [--runs 2] [--threads 2]

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { choose, seededRandom } from '../src/base/random-source.ts';
import { table } from './machines.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    repeats: { type: 'string', default: '3' },
    runs: { type: 'string', default: '2' },
    threads: { type: 'string', default: '2' },
    only: { type: 'string' },
  },
});
if (!values.model) throw new Error('give --model FOLDER (a dequantised folder: both sides read it)');
const { model, python, runs, threads } = values;
const root = new URL('..', import.meta.url).pathname;
const work = mkdtempSync(join(tmpdir(), 'whorl-bench-'));

interface Answer {
  seconds: number[];
  cpu: number[];
  peak_rss_mb: number;
  sessions?: number;
  answers: (number | number[])[];
}
interface Task {
  readonly name: string;
  readonly rows: readonly unknown[];
  readonly ours: string;
  /** Peers by what they are called in the table. */
  readonly theirs: Readonly<Record<string, string>>;
}

const golden = JSON.parse(readFileSync(join(root, 'goldens/smollm2/golden.json'), 'utf8')) as {
  texts: { text: string }[];
  prompts: { prompt: string }[];
};
const random = seededRandom('score-generate');
const words = golden.texts.flatMap(({ text }) => text.split(' '));
/** `count` words of the golden texts, from some place on. */
const prose = (count: number): string => {
  const at = random.int(words.length);
  return Array.from({ length: count }, (_, i) => words[(at + i) % words.length]!).join(' ');
};
const SCORERS = { 'all logits': 'score', 'label rows only': 'score-rows' };
const TASKS: readonly Task[] = [
  {
    name: 'generate 20 × 40',
    rows: golden.prompts.map(({ prompt }) => prompt),
    ours: 'generate',
    theirs: { 'left-padded': 'generate' },
  },
  {
    name: 'score 200, own contexts',
    rows: Array.from({ length: 200 }, () => ({
      context: prose(choose(random, [4, 8, 16, 24, 40, 64, 90])),
      continuation: ` ${prose(choose(random, [1, 2, 4, 8, 16]))}`,
    })),
    ours: 'score',
    theirs: SCORERS,
  },
  {
    name: 'score 200, 50 contexts × 4',
    rows: Array.from({ length: 50 }, () => prose(choose(random, [4, 8, 16, 24, 40, 64, 90]))).flatMap(
      (context) => [1, 2, 4, 8].map((count) => ({ context, continuation: ` ${prose(count)}` })),
    ),
    ours: 'score',
    theirs: SCORERS,
  },
];

/** Runs a process; gives its output and the seconds from its start to its first output. */
function run(command: string, args: readonly string[]): Promise<{ out: string; first: number }> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let out = '';
    let first = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      first ||= (performance.now() - started) / 1e3;
      out += chunk.toString();
    });
    child.on('error', reject);
    child.on('exit', (code) =>
      code === 0
        ? resolve({ out, first })
        : reject(new Error(`${command} ${args.join(' ')} ended with ${code}`)),
    );
  });
}

const peer = (task: string, rows: string, count: string) => [
  join(root, 'bench/torch/score_generate.py'),
  model,
  task,
  rows,
  count,
  '--threads',
  threads,
];
const ask = async (command: string, args: readonly string[]): Promise<Answer> =>
  JSON.parse((await run(command, args)).out) as Answer;

const median = (list: readonly number[]): number => {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};
const seconds = (answers: readonly Answer[]) => median(answers.flatMap((answer) => answer.seconds));
const cpuSeconds = (answers: readonly Answer[]) => median(answers.flatMap((answer) => answer.cpu));
const peak = (answers: readonly Answer[]) => median(answers.map(({ peak_rss_mb }) => peak_rss_mb));

/** Rows on which both agree: the same tokens, or log-probabilities within 1e-3 and 1e-4 of their size. */
const agreement = (a: Answer, b: Answer): number =>
  a.answers.filter((x, i) => {
    const y = b.answers[i]!;
    return typeof x === 'number' && typeof y === 'number'
      ? Math.abs(x - y) < 1e-3 + 1e-4 * Math.abs(y)
      : String(x) === String(y);
  }).length;

const lines: (string | number)[][] = [
  [
    'task',
    'peer',
    'whorl s',
    'torch s',
    'ratio',
    'cpu ratio',
    'whorl MB',
    'torch MB',
    'ratio',
    'agree',
    'sessions',
  ],
];
try {
  for (const task of TASKS.filter(({ name }) => !values.only || name.startsWith(values.only))) {
    const rows = join(work, 'rows.json');
    writeFileSync(rows, JSON.stringify(task.rows));
    const ours: Answer[] = [];
    const theirs = new Map<string, Answer[]>(Object.keys(task.theirs).map((name) => [name, []]));
    for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
      ours.push(
        await ask(process.execPath, [
          join(root, 'bench/score-generate-child.mjs'),
          model,
          task.ours,
          rows,
          runs,
          threads,
        ]),
      );
      for (const [name, list] of theirs) list.push(await ask(python, peer(task.theirs[name]!, rows, runs)));
    }
    for (const [name, list] of theirs)
      lines.push([
        task.name,
        name,
        seconds(ours).toFixed(2),
        seconds(list).toFixed(2),
        `${(seconds(list) / seconds(ours)).toFixed(2)}x`,
        `${(cpuSeconds(list) / cpuSeconds(ours)).toFixed(2)}x`,
        peak(ours),
        peak(list),
        `${(peak(ours) / peak(list)).toFixed(2)}x`,
        `${agreement(ours[0]!, list[0]!)}/${task.rows.length}`,
        ours[0]!.sessions ?? '',
      ]);
  }
  if (!values.only || 'start'.startsWith(values.only)) {
    const prompts = golden.prompts.slice(0, 1).map(({ prompt }) => prompt);
    const rows = join(work, 'rows.json');
    writeFileSync(rows, JSON.stringify(prompts));
    const [ours, theirs]: [number[], number[]] = [[], []];
    const command = [
      join(root, 'dist/cli.js'),
      'generate',
      '--model',
      model,
      '--max-new-tokens',
      '1',
      '--json',
    ];
    for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
      ours.push((await run(process.execPath, [...command, '--prompt', prompts[0]!])).first);
      theirs.push((await run(python, peer('first', rows, '1'))).first);
    }
    const [a, b] = [median(ours), median(theirs)];
    lines.push(['start to first token', '', a.toFixed(2), b.toFixed(2), `${(b / a).toFixed(2)}x`]);
  }
  process.stdout.write(`${table(lines)}\n`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
