// From the start of `whorl generate` to its first token, in turn with transformers and, of a GGUF, llama.cpp: each time a process
// of its own, the files warm, our dequantised copy of a GGUF in the cache.
// npm run build, then: npx tsx bench/first-token.ts --model GGUF_OR_FOLDER … --python PYTHON [--repeats 5] [--threads 2] [--prompt TEXT]

import { spawn } from 'node:child_process';
import { basename, join } from 'node:path';
import { packageRoot } from '../src/base/package-root.ts';
import { flag, table } from './machines.ts';

const root = packageRoot();
const models = flag('model');
if (models.length === 0) throw new Error('give --model, as often as you like');
const python = flag('python')[0] ?? 'python3';
const repeats = Number(flag('repeats')[0] ?? 5);
const threads = flag('threads')[0] ?? '2';
const prompt = flag('prompt')[0] ?? 'The quick brown fox jumps over the lazy';

/** Seconds from a process's start to the token, which it prints at once, and the token. */
function timed(
  command: string,
  args: readonly string[],
  tokenOf: (out: string) => string,
): Promise<{ seconds: number; token: string }> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let [out, seconds] = ['', 0];
    child.stdout.on('data', (chunk: Buffer) => {
      seconds ||= (performance.now() - started) / 1e3;
      out += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0
        ? resolve({ seconds, token: tokenOf(out) })
        : reject(new Error(`${command} ${args.join(' ')} ended with ${code}`)),
    );
  });
}

const ours = (model: string) => () =>
  timed(
    process.execPath,
    [
      ...[join(root, 'dist/cli.js'), 'generate', '--model', model, '--prompt', prompt],
      ...['--max-new-tokens', '1', '--threads', threads, '--json'],
    ],
    (out) => (JSON.parse(out) as { generated: string }).generated,
  );
const theirs = (model: string, library: string) => () =>
  timed(
    python,
    [join(root, 'bench/torch/first_token.py'), model, prompt, '--with', library, '--threads', threads],
    (out) => out.replace(/\n$/, ''),
  );

const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[list.length >> 1]!;

const rows: string[][] = [['model', 'who', 'seconds: median', 'least', 'most', 'token', 'to ours']];
for (const model of models) {
  const sides = {
    whorl: ours(model),
    transformers: theirs(model, 'transformers'),
    ...(model.endsWith('.gguf') && { 'llama.cpp': theirs(model, 'llama-cpp') }),
  };
  const times = new Map(Object.keys(sides).map((name) => [name, [] as number[]]));
  const tokens = new Map<string, string>();
  for (
    let repeat = -1;
    repeat < repeats;
    repeat++ // the first round warms files and cache, and is not counted
  )
    for (const [name, side] of Object.entries(sides)) {
      const { seconds, token } = await side();
      tokens.set(name, token);
      if (repeat >= 0) times.get(name)!.push(seconds);
    }
  const own = median(times.get('whorl')!);
  for (const [name, list] of times)
    rows.push([
      basename(model),
      name,
      ...[median(list), Math.min(...list), Math.max(...list)].map((seconds) => seconds.toFixed(2)),
      JSON.stringify(tokens.get(name)!),
      `${(median(list) / own).toFixed(2)}x`,
    ]);
}
process.stdout.write(`${table(rows)}\n`);
