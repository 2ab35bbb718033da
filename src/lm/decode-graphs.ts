// The two graphs of decoding, for any strategy: the prompts' pass, and the loop that carries the caches.

import { Graph, type Value } from '../engine/graph.ts';
import { add, cast, equal, greaterEqual, max, sub } from '../engine/ops/arithmetic.ts';
import { gather } from '../engine/ops/gather.ts';
import { input, scalar } from '../engine/ops/leaves.ts';
import { loop } from '../engine/ops/loop.ts';
import { concat, iota, reduceSum, reshape, sumAll } from '../engine/ops/shape.ts';
import { type Cache, ropeInputs, stepAttention } from '../models/blocks/attention.ts';
import { frozenWeights, type Model, promptGraph } from '../models/encode.ts';
import { embed, headLogits, type OverlayShape, overlayInputs } from '../models/overlay.ts';
import type { Strategy } from './choose.ts';

/** Columns of the head's logits: those of an overlay's rows stand behind a tied head's own. */
export const headWidth = ({ decoder: { config } }: Model, shape: OverlayShape | undefined): number =>
  config.vocab_size + (config.tie_word_embeddings ? (shape?.rows ?? 0) : 0);

/** The token that a column of the head stands for. */
function tokenOf(column: Value, width: number, V: number, rowIds: Value | undefined): Value {
  if (!rowIds || width === V) return column;
  return gather(concat([iota(column, V), rowIds], 0), column); // column V + r is the token of row r
}

/** The prompts' pass: the first token of each continuation, and every prompt's keys and values. */
export function firstTokenGraph(model: Model, shape: OverlayShape | undefined, strategy: Strategy): Graph {
  const { decoder } = model;
  const width = headWidth(model, shape);
  const { graph, weights, overlay, hidden, cache } = promptGraph(
    `${decoder.model_type}_prompt_${strategy.name}`,
    model,
    shape,
  );
  const lastRow = input(graph, 'last_row', 'int32', ['N']); // each continuation's last prompt row
  const on = overlay && input(graph, 'sequence_rows_on', 'float32', ['N']);
  const rowIds = overlay && input(graph, 'row_ids', 'int32', [overlay.shape.rows]);
  const { start, choose } = strategy.build(graph, 'N', width);
  const logits = headLogits(decoder, weights, gather(hidden, lastRow), overlay, on);
  graph.output(
    'tokens',
    tokenOf(
      choose(logits, scalar(graph, 0, 'int32'), start).column,
      width,
      decoder.config.vocab_size,
      rowIds,
    ),
  );
  cache.forEach(([keys, values], layer) => {
    graph.output(`keys_${layer}`, keys);
    graph.output(`values_${layer}`, values);
  });
  return graph;
}

/** The loop: from each continuation's last token and its cache to the next `rounds` tokens. */
export function stepsGraph(model: Model, shape: OverlayShape | undefined, strategy: Strategy): Graph {
  const { decoder } = model;
  const width = headWidth(model, shape);
  const { config } = decoder;
  const { num_hidden_layers: layers, num_key_value_heads: K, head_dim: D } = config;
  const graph = new Graph(`${decoder.model_type}_steps_${strategy.name}`);
  const weights = frozenWeights(graph, model);
  const row = (name: string, dtype: 'int32' | 'float32') => input(graph, name, dtype, ['B']);
  const [token, last] = [row('token', 'int32'), row('last', 'int32')];
  const total = input(graph, 'total', 'int32', []);
  const rounds = input(graph, 'rounds', 'int32', []);
  const ends = input(graph, 'ends', 'int32', ['N']);
  const leaveAt = input(graph, 'leave_at', 'float32', []); // the loop ends when no more than this many run
  const rope = ropeInputs(graph, config);
  const overlay = shape && overlayInputs(graph, decoder, shape);
  const on = overlay && {
    rows: row('sequence_rows_on', 'float32'),
    adapter: row('sequence_adapter_on', 'float32'),
  };
  const rowIds = shape && input(graph, 'row_ids', 'int32', [shape.rows]);
  const buffer = { dtype: 'float32', shape: ['B', K, 'P', D] } as const;
  const caches = Array.from({ length: layers }, (_, layer) =>
    ['keys', 'values'].map((kind) => input(graph, `${kind}_${layer}`, 'float32', buffer.shape)),
  ).flat();
  const { start, types, choose } = strategy.build(graph, 'B', width);
  const ended = (next: Value): Value =>
    cast(greaterEqual(reduceSum(cast(equal(reshape(next, ['B', 1]), ends), 'float32'), [1]), 0.5), 'float32');
  const running = (done: Value): Value => greaterEqual(sub(sumAll(sub(1, done)), leaveAt), 0.5);
  const done = row('done', 'float32');
  const carriedTypes = [token, done, last, total, scalar(graph, 0, 'int32'), ...caches].map(
    ({ type }) => type,
  );
  const result = loop(
    rounds,
    running(done),
    [token, done, last, total, scalar(graph, 0, 'int32'), ...caches, ...start],
    [...carriedTypes, ...types],
    ([now, doneBefore, lastBefore, totalBefore, step, ...rest]) => {
      const [flat, state] = [rest.slice(0, 2 * layers), rest.slice(2 * layers)];
      const past: Cache = Array.from({ length: layers }, (_, i) => [flat[2 * i]!, flat[2 * i + 1]!]);
      const present: Cache = [];
      const lastNow = add(lastBefore!, 1);
      const totalNow = add(totalBefore!, 1);
      const x = embed(decoder, weights, now!, overlay, on);
      const h = decoder.hidden(
        weights,
        x,
        stepAttention(config, lastNow, rope, lastNow, totalNow, past, present),
      );
      const chosen = choose(headLogits(decoder, weights, h, overlay, on?.rows), step!, state);
      const next = tokenOf(chosen.column, width, decoder.config.vocab_size, rowIds);
      const doneNow = max(doneBefore!, ended(next));
      return {
        more: running(doneNow),
        carried: [next, doneNow, lastNow, totalNow, add(step!, 1), ...present.flat(), ...chosen.state],
        collected: [next],
      };
    },
  );
  graph.output('tokens', result.at(-1)!); // [rounds run, B]
  caches.forEach((_, i) =>
    graph.output(`${i % 2 === 0 ? 'new_keys' : 'new_values'}_${i >> 1}`, result[5 + i]!),
  );
  return graph;
}
