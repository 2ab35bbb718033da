// Texts sampled from BOS against transformers' batched generate, in turn, every run in its own process: tokens a second,
// each side with each batch size, its best one counted.   npm run build, then:
// npx tsx bench/sample-bos.ts --model FOLDER --python PYTHON [--count 2000] [--tokens 128] [--batches 16,32,64] [--repeats 1] [--threads 2]

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { table } from './machines.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    count: { type: 'string', default: '2000' },
    tokens: { type: 'string', default: '128' },
    batches: { type: 'string', default: '16,32,64' },
    repeats: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
  },
});
if (!values.model) throw new Error('give --model FOLDER (a dequantised folder: both sides read it)');
const { model, python, count, tokens, threads } = values;
const root = new URL('..', import.meta.url).pathname;

interface Answer {
  seconds: number;
  tokens: number;
  texts: number;
  peak_rss_mb: number;
}

function ask(command: string, args: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.on('error', reject);
    child.on('exit', (code) =>
      code === 0 ? resolve(JSON.parse(out) as Answer) : reject(new Error(`${command} ended with ${code}`)),
    );
  });
}

const SIDES: Readonly<Record<string, (batch: string) => Promise<Answer>>> = {
  whorl: (batch) =>
    ask(process.execPath, [join(root, 'bench/sample-bos-child.mjs'), model, count, batch, tokens, threads]),
  transformers: (batch) =>
    ask(python, [
      join(root, 'bench/torch/sample_bos.py'),
      ...[model, count, batch, tokens, '--threads', threads],
    ]),
};

const lines: (string | number)[][] = [['side', 'batch', 'texts', 'tokens', 's', 'tokens/s', 'MB']];
const best: Record<string, number> = {};
for (let repeat = 0; repeat < Number(values.repeats); repeat++)
  for (const batch of values.batches.split(','))
    for (const [side, run] of Object.entries(SIDES)) {
      const { seconds, tokens: made, texts, peak_rss_mb } = await run(batch);
      const rate = made / seconds;
      best[side] = Math.max(best[side] ?? 0, rate);
      lines.push([side, batch, texts, made, seconds.toFixed(1), rate.toFixed(1), peak_rss_mb]);
      process.stderr.write(`${lines.at(-1)!.join('  ')}\n`);
    }
process.stdout.write(`${table(lines)}\n`);
const [ours, theirs] = [best.whorl!, best.transformers!];
process.stdout.write(
  `best against best: ${ours.toFixed(1)} and ${theirs.toFixed(1)} tokens/s, ${(ours / theirs).toFixed(2)}x\n`,
);
