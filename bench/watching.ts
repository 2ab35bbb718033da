// What WHORL_DEBUG and WHORL_CHECK cost: nodes and bytes of programs with and without them, and, unset, the time of the
// code that asks for them. Run: npx tsx bench/watching.ts [--model FOLDER]

import type { Graph } from '../src/engine/graph.ts';
import { Emitter, type Inspection } from '../src/engine/onnx.ts';
import { graphListeners, watchProgram } from '../src/engine/watch.ts';
import { GREEDY } from '../src/lm/choose.ts';
import { decodeGraph } from '../src/lm/decode-graph.ts';
import { openModel } from '../src/models/open-model.ts';
import { ADAMW } from '../src/train/optimiser.ts';
import { Trainer } from '../src/train/trainer.ts';
import { flag } from './machines.ts';

for (const name of ['WHORL_DEBUG', 'WHORL_CHECK']) delete process.env[name];
const [path = 'assets/embedded/model'] = flag('model');
const model = await openModel(path);

/** Microseconds of a call: the least of several rounds, what is left when nothing else runs. */
function microseconds(calls: number, call: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 7; round++) {
    const started = performance.now();
    for (let i = 0; i < calls; i++) call();
    least = Math.min(least, (1000 * (performance.now() - started)) / calls);
  }
  return Number(least.toPrecision(3));
}

const graphs: Graph[] = [decodeGraph(model, undefined, GREEDY)];
const listen = (graph: Graph) => graphs.push(graph);
graphListeners.add(listen);
await (await Trainer.compile(model, { settings: ADAMW })).release();
graphListeners.delete(listen);

for (const graph of graphs) {
  const emitted = (inspection?: Inspection) => Emitter.model(graph, model.weightsFolder, inspection);
  const plain = emitted(watchProgram(graph)?.inspection); // as Program.compile does it
  const never = emitted();
  const checked = emitted({ origins: new Map(), probed: [] });
  const report = {
    graph: graph.name,
    unset: { nodes: plain.nodeCount, bytes: plain.bytes.length, watched: watchProgram(graph) !== undefined },
    same_bytes_as_never_asked: Buffer.from(plain.bytes).equals(never.bytes),
    check: { nodes: checked.nodeCount, bytes: checked.bytes.length },
    asking_us: microseconds(20_000, () => watchProgram(graph)),
    emitting_us: microseconds(3, () => emitted()),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
