// Writes listings/: the graphs of tiny models as text, so that a change to the engine shows what it changed in them.
// usage: npm run listings [-- --check]; with --check nothing is written, and a listing that differs fails.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../src/base/atomic.ts';
import type { Graph } from '../src/engine/graph.ts';
import { listing } from '../src/engine/listing.ts';
import { cpu } from '../src/engine/session.ts';
import { graphListeners } from '../src/engine/watch.ts';
import { Encoder } from '../src/models/encode.ts';
import type { Model } from '../src/models/model.ts';
import { bindModel } from '../src/models/model.ts';
import { openCheckpoint } from '../src/sources/checkpoints/checkpoint.ts';
import { readTensorRows } from '../src/sources/checkpoints/read.ts';
import { ADAMW } from '../src/train/optimiser.ts';
import { RowsTrainer } from '../src/train/rows.ts';
import { Trainer } from '../src/train/trainer.ts';
import { greedyDecoder } from '../test/lm/greedy.ts';

const ROOT = join(import.meta.dirname, '..');
const MODELS = ['llama-untied', 'llama-gqa-tied-bf16'];

function open(name: string): Model {
  return bindModel({ ...openCheckpoint(join(ROOT, 'goldens', 'models', name)), source: name });
}

/** Each compiles one kind of program, and what goes with it. */
const MAKERS: Readonly<Record<string, (model: Model) => Promise<void>>> = {
  async train(model) {
    await (await Trainer.compile(model, { settings: { ...ADAMW, clip: 1 } })).release();
  },
  async rows(model) {
    const ids = Int32Array.of(5, 9);
    const rows = readTensorRows(model.tensors.get(model.decoder.embedding)!, ids);
    const trainer = await RowsTrainer.compile(model, {
      overlay: { ids, rows },
      vanilla: rows,
      settings: ADAMW,
      device: cpu,
    });
    await trainer.release();
  },
  async score(model) {
    const encoder = new Encoder(model, undefined, cpu);
    await encoder.labels([{ tokens: [5, 6, 7], wanted: [2], labels: [8] }]);
    await encoder.release();
  },
  async decode(model) {
    const decoder = greedyDecoder(model, cpu);
    await decoder.decode([[5, 6, 7]], 2);
    await decoder.release();
  },
};

async function graphsOf(make: () => Promise<void>): Promise<Graph[]> {
  const graphs: Graph[] = [];
  const listen = (graph: Graph): void => void graphs.push(graph);
  graphListeners.add(listen);
  try {
    await make();
  } finally {
    graphListeners.delete(listen);
  }
  return graphs;
}

const check = process.argv.includes('--check');
const outdated: string[] = [];
for (const name of MODELS)
  for (const [what, make] of Object.entries(MAKERS)) {
    const path = join('listings', `${name}-${what}.txt`);
    const graphs = await graphsOf(() => make(open(name)));
    const text = graphs.map((graph) => listing(graph, { names: 'stable' })).join('\n');
    const before = existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), 'utf8') : '';
    if (before === text) continue;
    if (!check) writeFileAtomic(join(ROOT, path), text);
    outdated.push(path);
  }
for (const path of outdated) console.log(check ? `${path} differs: npm run listings` : `wrote ${path}`);
process.exitCode = check && outdated.length > 0 ? 1 : 0;
