// Our side of bench/step.ts: reads "step" lines, takes a step for each, prints what it took. WHORL_DEBUG=4 profiles it.

import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { gradients } from '../src/engine/autodiff.ts';
import { Graph, type Value } from '../src/engine/graph.ts';
import { mul, neg } from '../src/engine/ops/arithmetic.ts';
import { input } from '../src/engine/ops/leaves.ts';
import { sumAll } from '../src/engine/ops/shape.ts';
import { Program } from '../src/engine/program.ts';
import type { Recompute } from '../src/engine/recompute.ts';
import type { Device } from '../src/engine/session.ts';
import type { Example } from '../src/models/example.ts';
import { openModel } from '../src/models/open-model.ts';
import { VANILLA } from '../src/models/overlay.ts';
import { frozenWeights } from '../src/models/prompt.ts';
import { batchFeeds, labelLogprobs } from '../src/train/forward.ts';
import { ADAMW } from '../src/train/optimiser.ts';
import { Trainer } from '../src/train/trainer.ts';
import { EVERYTHING, lowRankEverywhere } from '../src/train/trains.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    what: { type: 'string', default: 'full' },
    recompute: { type: 'string', default: 'nothing' },
    threads: { type: 'string', default: '2' },
    batch: { type: 'string', default: '8' },
    length: { type: 'string', default: '128' },
    device: { type: 'string', default: 'cpu' },
  },
});
const model = await openModel(flags.model!);
const device: Device = {
  provider: flags.device as Device['provider'],
  threads: Number(flags.threads),
};
const recompute = flags.recompute as Recompute;
const [B, S] = [Number(flags.batch), Number(flags.length)];
/** The last six rows of each sequence have a label: 48 with eight sequences. Ids as torch/step.py draws them. */
const LABELS = 6;
const id = (b: number, s: number): number => (b * 7919 + s * 104729 + 17) % model.decoder.config.vocab_size;
const batch: Example[] = Array.from({ length: B }, (_, b) => ({
  tokens: Array.from({ length: S }, (_, s) => id(b, s)),
  variant: VANILLA,
  labels: Array.from({ length: LABELS }, (_, i) => ({
    row: S - 1 - LABELS + i,
    token: id(b, S - LABELS + i),
    kind: 'fire' as const,
    weight: 1 / (B * LABELS),
  })),
}));

type Step = () => Promise<number>;
const STEPS: Readonly<Record<string, () => Promise<Step>>> = {
  async embeddings() {
    const graph = new Graph('embeddings');
    let rows: Value | undefined;
    const logprobs = labelLogprobs(graph, model, frozenWeights(graph, model), undefined, {
      embedded: (x) => (rows = x),
    });
    const loss = neg(sumAll(mul(logprobs, input(graph, 'fire', 'float32', ['L']))));
    graph.output('loss', loss);
    graph.output('gradient', gradients(loss, [rows!], recompute)[0]!);
    const program = await Program.compile(graph, model.weightsFolder, device);
    return async () => {
      const out = await program.run(batchFeeds(model, batch, undefined, false));
      return out.loss!.data[0] as number;
    };
  },
  full: () => training(EVERYTHING),
  lora: () => training(lowRankEverywhere(8, 16)),
};

async function training(trains: Parameters<typeof Trainer.compile>[1]['trains']): Promise<Step> {
  const trainer = await Trainer.compile(model, {
    settings: { ...ADAMW, weight_decay: 0.01 },
    trains: trains!,
    device,
    recompute,
  });
  let state = trainer.start();
  return async () => {
    const result = await trainer.step(state, batch, 1e-5);
    state = result.state;
    return result.loss;
  };
}

const step = await STEPS[flags.what]!();
const say = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`);
say({ ready: true });
for await (const _ of createInterface({ input: process.stdin })) {
  const started = performance.now();
  const loss = await step();
  say({ ms: performance.now() - started, loss });
}
say({ peak_rss_mb: Math.round((process.resourceUsage().maxRSS * 1024) / 1e6) });
