// Our training steps against the same steps in torch: same model, keys, batches, labels, reference positions and rates.
// Run: npx tsx bench/steps.ts --model FOLDER --method rows|adapter --python PYTHON [--steps 12] [--rounds 2] [key=value …]

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Claim } from '../src/claim/claim.ts';
import { keyRoles, openClaim } from '../src/claim/open.ts';
import { cpu } from '../src/engine/session.ts';
import { begin, isRowsSetting, randomOf } from '../src/fingerprint/begin.ts';
import { commit } from '../src/fingerprint/commit.ts';
import type { TrainContext } from '../src/fingerprint/methods/method.ts';
import { PrefixCache, type Prefixes } from '../src/fingerprint/prefix-cache.ts';
import { trainingMetric } from '../src/train/metric.ts';
import { ADAMW, clipLimit } from '../src/train/optimiser.ts';
import { RowsTrainer } from '../src/train/rows.ts';
import { flag } from './machines.ts';

const [model, method, python] = [flag('model')[0], flag('method')[0] ?? 'rows', flag('python')[0]];
if (!model) throw new Error('npx tsx bench/steps.ts --model FOLDER --method rows|adapter --python PYTHON');
const steps = Number(flag('steps')[0] ?? 12);
const rounds = Number(flag('rounds')[0] ?? 2);
const settings = Object.fromEntries(
  process.argv.filter((word) => /^\w+=/.test(word)).map((word) => word.split('=') as [string, string]),
);
const folder = mkdtempSync(join(tmpdir(), 'whorl-steps-'));
let recorded: (readonly number[])[] = [];
const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
try {
  const setting = await begin({ model, out: join(folder, 'run'), method, seed: 'bench steps', settings });
  if (!isRowsSetting(setting))
    throw new Error(`${method} trains no rows: bench/step.ts has steps of weights`);
  const { secret, overlay, reference } = await commit(setting);
  const contents = secret.reveal();
  const prefixes = new PrefixCache(setting.model, cpu);
  const context: TrainContext = {
    model: setting.model,
    tokenizer: setting.tokenizer,
    plan: contents.plan,
    roles: keyRoles(openClaim(contents.claim as Claim, contents)),
    prefixes,
    random: randomOf(setting.start),
  };
  const E = setting.model.decoder.config.hidden_size;
  const s = setting.settings;
  const groups = s.common ? setting.method.groups(context, overlay.ids) : undefined;
  const metric = reference && (await trainingMetric(reference, E, s.metric_floor, cpu));
  const trainer = await RowsTrainer.compile(setting.model, {
    overlay,
    vanilla: overlay.rows,
    ...(reference && { reference }),
    ...(groups && { groups }),
    ...(metric && { metric }),
    settings: { ...ADAMW, beta2: s.beta2, clip: clipLimit(s.clip) },
    device: cpu,
  });
  const raw = (name: string, data: Float32Array | Int32Array) =>
    writeFileSync(join(folder, name), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const dump: unknown[] = [];
  const ours = async (): Promise<{ seconds: number[]; tokens: number; losses: number[] }> => {
    let state = trainer.start();
    const [seconds, losses] = [[] as number[], [] as number[]];
    let tokens = 0;
    for (let step = 0; step < steps; step++) {
      const started = performance.now();
      const batch = await setting.method.batch(context, s, step);
      const result = await trainer.step(
        state,
        batch,
        s.lr,
        { focus: s.focus, kl: s.kl_weight, margin: s.kl_margin, spread: s.spread_weight },
        new Float32Array(overlay.rows.length),
      );
      seconds.push((performance.now() - started) / 1000);
      state = result.state;
      losses.push(result.loss);
      tokens += batch.reduce((sum, { tokens: own }) => sum + own.length, 0);
    }
    return { seconds, tokens, losses };
  };
  // What torch gets: whole sequences' ids, cut into prefix and rest as ours are.
  for (let step = 0; step < steps; step++) {
    const batch = await setting.method.batch({ ...context, prefixes: recorder(prefixes) }, s, step);
    dump.push(batch.map((example, i) => ({ ...example, prefix: recorded[i] ?? [] })));
  }
  raw('rows.bin', overlay.rows);
  if (reference) {
    raw('hidden.bin', reference.hidden);
    raw('probability.bin', reference.probability);
    raw('weight.bin', reference.weight);
  }
  if (metric) raw('metric.bin', metric);
  if (groups) raw('groups.bin', groups.of);
  if (overlay.adapter) {
    raw('A.bin', overlay.adapter.A);
    raw('B.bin', overlay.adapter.B);
  }
  writeFileSync(
    join(folder, 'steps.json'),
    JSON.stringify({ settings: s, ids: [...overlay.ids], scale: overlay.adapter?.scale ?? 0, batches: dump }),
  );
  const results: { ours: number[]; torch: number[] } = { ours: [], torch: [] };
  let peer: Record<string, unknown> = {};
  let last: Awaited<ReturnType<typeof ours>> | undefined;
  for (let round = 0; round < rounds; round++) {
    last = await ours();
    results.ours.push(...last.seconds.slice(1));
    if (!python) continue;
    const run = spawnSync(
      python,
      [join(import.meta.dirname, 'torch/steps.py'), '--model', model, '--dump', folder],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    if (run.status !== 0) throw new Error(`steps.py ended with ${run.status}`);
    peer = JSON.parse(run.stdout.trim().split('\n').at(-1)!) as Record<string, unknown>;
    results.torch.push(...(peer.seconds as number[]).slice(1));
  }
  process.stdout.write(
    `${JSON.stringify({
      method,
      steps,
      rounds,
      tokens_a_step: Math.round(last!.tokens / steps),
      ours_median_s: median(results.ours),
      ours_peak_rss_mb: Math.round((process.resourceUsage().maxRSS * 1024) / 1e6),
      last_loss: last!.losses.at(-1),
      ...(python && {
        torch_median_s: median(results.torch),
        torch_peak_rss_mb: peer.peak_rss_mb,
        torch_last_loss: peer.last_loss,
        ratio: median(results.torch) / median(results.ours),
      }),
    })}\n`,
  );
  await trainer.release();
  await prefixes.release();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Takes down the prefixes of a batch on their way to the cache. */
function recorder(inner: Prefixes): Prefixes {
  const of = async (prefixes: readonly (readonly number[])[]) => {
    recorded = [...prefixes];
    return inner.of(prefixes);
  };
  return { of };
}
