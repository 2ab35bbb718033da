// `whorl eval` against lm-evaluation-harness over the same rows of LogiQA, or made-up ones of another task of harmless-rows.ts, in turn, each in
// its own process: wall time, peak RSS, tokens that went through the layers, metrics.
// npm run build, then: npx tsx bench/evaluate.ts --model FOLDER --python PYTHON --text logiqa_test.txt [--task logiqa] [--rows 200] [--shots 0,5] [--batch 16] [--threads 2]

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeHarmlessRows } from './harmless-rows.ts';
import { table } from './machines.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    text: { type: 'string' },
    task: { type: 'string', default: 'logiqa' },
    rows: { type: 'string', default: '200' },
    shots: { type: 'string', default: '0,5' },
    batch: { type: 'string', default: '16' },
    threads: { type: 'string', default: '2' },
  },
});
const { model, text, task } = values;
if (!model || !text) throw new Error('give --model FOLDER (both sides read it) and --text logiqa_test.txt');
const root = new URL('..', import.meta.url).pathname;
const work = mkdtempSync(join(tmpdir(), 'whorl-bench-eval-'));

writeHarmlessRows(work, Number(values.rows), 'evaluate', text);

interface Side {
  readonly seconds: number;
  readonly peak_rss_mb: number;
  readonly tokens: number;
  readonly acc: number;
  readonly acc_norm: number;
}

function run(command: string, args: readonly string[]) {
  const started = performance.now();
  const { stdout, stderr, status } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
    env: { ...process.env, WHORL_DEBUG: '2', HF_HUB_OFFLINE: '1' },
  });
  if (status !== 0) throw new Error(`${command} ${args[0]} ended with ${status}: ${stderr.slice(-800)}`);
  return { stdout, stderr, seconds: (performance.now() - started) / 1e3 };
}

function ours(shots: string): Side {
  const out = join(work, `ours-${shots}`);
  const args = ['eval', '--model', model!, '--tasks', task, '--shots', shots, '--data', work, '--out', out];
  const { stdout, stderr, seconds } = run(process.execPath, [
    join(root, 'dist/cli.js'),
    ...args,
    ...['--threads', values.threads, '--json'],
  ]);
  const found = (JSON.parse(stdout) as Record<string, Record<string, Record<string, number>>>)[shots]![task]!;
  return {
    seconds,
    peak_rss_mb: Number(/peak RSS ([\d.]+) MB/.exec(stderr)?.[1]),
    tokens: [...stderr.matchAll(/run \d+ of \w+_labels: T=(\d+)/g)].reduce(
      (sum, found) => sum + Number(found[1]),
      0,
    ),
    acc: found['acc,none']!,
    acc_norm: found['acc_norm,none']!,
  };
}

function theirs(shots: string): Side {
  const script = join(root, 'bench/torch/lm_eval_rows.py');
  const args = [script, model!, join(work, task), task, shots, values.batch, values.threads];
  const { stdout, seconds } = run(values.python, args);
  return { ...(JSON.parse(stdout.trim().split('\n').at(-1)!) as Side), seconds };
}

const lines: (string | number)[][] = [
  ['shots', 'side', 'seconds', 'peak RSS MB', 'tokens', 'acc', 'acc_norm', 'load'],
];
for (const shots of values.shots.split(','))
  for (const [side, measure] of [
    ['whorl', ours],
    ['lm-eval', theirs],
  ] as const) {
    const { seconds, peak_rss_mb, tokens, acc, acc_norm } = measure(shots);
    const load = loadavg()[0]!.toFixed(1);
    lines.push([
      shots,
      side,
      seconds.toFixed(1),
      Math.round(peak_rss_mb),
      tokens,
      acc.toFixed(4),
      acc_norm.toFixed(4),
      load,
    ]);
    console.error(lines.at(-1)!.join(' '));
  }
console.log(table(lines));
rmSync(work, { recursive: true, force: true });
