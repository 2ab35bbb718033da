// A training step of ours against torch + transformers, step by step in turn: time, peak RSS, ratio of medians.
// npx tsx bench/step.ts --model FOLDER [--python PYTHON] [--what embeddings,full] [--steps 5] [--threads 2]

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    python: { type: 'string' },
    what: { type: 'string', default: 'embeddings,full' },
    recompute: { type: 'string', default: 'nothing,elementwise,blocks' },
    steps: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    batch: { type: 'string', default: '8' },
    length: { type: 'string', default: '128' },
  },
});
if (!flags.model) throw new Error('--model FOLDER is needed');
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** A process that takes a step whenever it is told to, and says at the end what memory it needed. */
interface Peer {
  readonly name: string;
  readonly ms: number[];
  readonly losses: number[];
  step(): Promise<void>;
  end(): Promise<number>;
}

async function start(name: string, command: string, args: readonly string[]): Promise<Peer> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<Record<string, number>> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${name} ended`);
    return JSON.parse(value) as Record<string, number>;
  };
  await next();
  const peer: Peer = {
    name,
    ms: [],
    losses: [],
    async step() {
      child.stdin.write('step\n');
      const { ms, loss } = await next();
      peer.ms.push(ms!);
      peer.losses.push(loss!);
    },
    async end() {
      child.stdin.end();
      const { peak_rss_mb } = await next();
      await once(child, 'exit');
      return peak_rss_mb!;
    },
  };
  return peer;
}

const median = (list: readonly number[]): number =>
  [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]!;

const sizes = ['--threads', flags.threads, '--batch', flags.batch, '--length', flags.length];
for (const what of flags.what.split(',')) {
  const common = ['--model', flags.model, '--what', what, ...sizes];
  const peers: Peer[] = [];
  for (const recompute of flags.recompute.split(','))
    peers.push(
      await start(`whorl, recompute ${recompute}`, process.execPath, [
        '--import',
        'tsx',
        here('step-ours.ts'),
        ...common,
        '--recompute',
        recompute,
      ]),
    );
  if (flags.python)
    for (const logits of ['all', 'labels'])
      peers.push(
        await start(`torch, logits of ${logits}`, flags.python, [
          here('torch/step.py'),
          ...common,
          '--logits',
          logits,
        ]),
      );
  // The first two steps let allocators grow; they are not counted.
  for (let i = 0; i < 2 + Number(flags.steps); i++) for (const peer of peers) await peer.step();
  const torch = peers.find(({ name }) => name === 'torch, logits of all');
  const results = [];
  for (const peer of peers) {
    const ms = median(peer.ms.slice(2));
    results.push({
      what,
      who: peer.name,
      ms: Math.round(ms),
      ratio: torch && Number((median(torch.ms.slice(2)) / ms).toFixed(2)),
      peak_rss_mb: await peer.end(),
      losses: peer.losses.map((x) => Number(x.toFixed(4))),
    });
  }
  for (const result of results) console.log(JSON.stringify(result));
}
