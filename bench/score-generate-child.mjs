// One side of bench/score-generate.ts: does a task some times with the built library and says how long each took.
// node bench/score-generate-child.mjs MODEL TASK ROWS.json RUNS THREADS

import { readFileSync } from 'node:fs';
import { engineSessions, LocalModel, openModel } from '../dist/index.js';

const [path, task, rows, runs, threads] = process.argv.slice(2);
const device = { provider: 'cpu', threads: Number(threads) };
const model = await LocalModel.open(await openModel(path), { device });
const requests = JSON.parse(readFileSync(rows, 'utf8'));
const tasks = {
  generate: () => model.generate(requests.map((prompt) => ({ prompt, max_new_tokens: 40 }))),
  score: () => model.score(requests),
};
const seconds = [];
const cpu = [];
let answers = [];
for (let run = 0; run < Number(runs); run++) {
  const [started, used] = [performance.now(), process.cpuUsage()];
  answers = [];
  for await (const { index, score, generation } of tasks[task]())
    answers[index] = score ? score.logprob : generation.generated_token;
  seconds.push((performance.now() - started) / 1e3);
  const { user, system } = process.cpuUsage(used);
  cpu.push((user + system) / 1e6);
}
const peak_rss_mb = Math.round((process.resourceUsage().maxRSS / 1e3) * 1.024);
console.log(JSON.stringify({ seconds, cpu, peak_rss_mb, sessions: engineSessions(), answers }));
await model.release();
