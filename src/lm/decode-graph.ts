// The graph of decoding, for any strategy: the prompts' pass, then a loop that carries the key-value caches inside the
// session. Continuations of an earlier run may join the loop with the caches that run gave out.

import type { Graph, Type, Value } from '../engine/graph.ts';
import { add, cast, equal, greaterEqual, max, mul, sub } from '../engine/ops/arithmetic.ts';
import { gather } from '../engine/ops/gather.ts';
import { input, scalar } from '../engine/ops/leaves.ts';
import { loop } from '../engine/ops/loop.ts';
import { concat, iota, reduceSum, reshape, slice, sumAll } from '../engine/ops/shape.ts';
import { top } from '../engine/ops/sort.ts';
import { type Cache, stepAttention } from '../models/blocks/attention.ts';
import { crossStep } from '../models/blocks/source-attention.ts';
import { embed, headLogits } from '../models/embedding.ts';
import type { ModelWeights } from '../models/model.ts';
import { headRows, type OverlayShape } from '../models/overlay.ts';
import { promptGraph } from '../models/prompt.ts';
import { elements } from '../tensor/tensor.ts';
import type { Strategy } from './choose.ts';

/** Columns of the head's logits: those of an overlay's rows stand behind a tied head's own. */
export const headWidth = ({ decoder }: ModelWeights, shape: OverlayShape | undefined): number =>
  decoder.config.vocab_size + headRows(decoder, shape);

/** Names of the cache's tensors: layer by layer keys, then values. */
export const cacheNames = ({ decoder }: ModelWeights): string[] =>
  Array.from({ length: decoder.config.num_hidden_layers }, (_, layer) => [
    `keys_${layer}`,
    `values_${layer}`,
  ]).flat();

/**
 * Bytes of the float32 copies that a loop makes of half-precision weights: all that it multiplies by. A tied embedding is
 * the head; an untied one is only looked up in.
 */
export const copiedBytes = ({ decoder, tensors, quantised }: ModelWeights): number =>
  [...decoder.shapes.keys()].reduce((sum, name) => {
    if (quantised?.has(name)) return sum;
    const { dtype, shape } = tensors.get(name)!;
    const tables = [decoder.positionTable, decoder.scores?.relative?.table];
    const lookedUp = tables.includes(name) || (name === decoder.embedding && name !== decoder.head);
    const multiplied = shape.length === 2 && !lookedUp && !decoder.encoder?.ofSources(name);
    return dtype === 'float32' || !multiplied ? sum : sum + 4 * elements(shape);
  }, 0);

/**
 * Rows of the loop, R: first the N continuations that begin (prompts of this run, each as often as it has samples), then
 * the C that go on. Keys and values of sources are made once, before the loop. Outputs: `first` [N], `tokens` [rounds run, R],
 * and of the rows that have not ended and go on, `unfinished`, the caches after the last round,
 * `new_…`.
 * @param castsInLoop whether half-precision weights are cast in each round instead of copied before the first
 */
export function decodeGraph(
  model: ModelWeights,
  shape: OverlayShape | undefined,
  strategy: Strategy,
  castsInLoop = false,
): Graph {
  const { decoder } = model;
  const { config } = decoder;
  const { num_key_value_heads: K, head_dim: D, vocab_size: V } = config;
  const width = headWidth(model, shape);
  const { graph, weights, overlay, rope, hidden, cache, source } = promptGraph(
    `${decoder.model_type}_${strategy.name}`,
    model,
    shape,
  );
  graph.castsInLoops = castsInLoop;
  const sampleOf = input(graph, 'sample_of', 'int32', ['N']); // each beginning continuation's prompt
  const lastRow = input(graph, 'last_row', 'int32', ['N']); // and that prompt's last packed row
  const going = input(graph, 'going', 'int32', ['C']); // the last token of each that goes on
  const idle = input(graph, 'idle', 'float32', ['R']); // 1: filler
  const last = input(graph, 'step_last', 'int32', ['R']);
  const capacity = input(graph, 'capacity', 'int32', []); // positions that the caches have from the first round on
  const rounds = input(graph, 'rounds', 'int32', []);
  const final = input(graph, 'final', 'int32', []); // the round after which no other run comes
  const ends = input(graph, 'ends', 'int32', ['ends']);
  const leaveAt = input(graph, 'leave_at', 'float32', []); // the loop ends when no more than this many run
  const room = input(graph, 'room', 'float32', [1, 1, 'X', 1]); // zeros: what prompts are shorter than those that go on
  const on = overlay && {
    rows: input(graph, 'sequence_rows_on', 'float32', ['R']),
    adapter: input(graph, 'sequence_adapter_on', 'float32', ['R']),
  };
  const firstOn = overlay && input(graph, 'first_rows_on', 'float32', ['N']);
  const rowIds = overlay && input(graph, 'row_ids', 'int32', [overlay.shape.rows]);
  const names = cacheNames(model);
  const before = names.map((name) => input(graph, name, 'float32', ['C', K, 'P', D]));

  // Column V + r is the token of the overlay's row r.
  const tokenOf = (column: Value): Value =>
    rowIds && width !== V ? gather(concat([iota(column, V), rowIds], 0), column) : column;
  const ended = (next: Value): Value =>
    cast(greaterEqual(reduceSum(cast(equal(reshape(next, ['R', 1]), ends), 'float32'), [1]), 0.5), 'float32');
  const running = (done: Value): Value => greaterEqual(sub(sumAll(sub(1, done)), leaveAt), 0.5);

  const zero = scalar(graph, 0, 'int32');
  const beginning = strategy.build(graph, 'N', width, 'first_');
  const logits = headLogits(decoder, weights, gather(hidden, lastRow), overlay, firstOn);
  const { column } = beginning.choose(logits, zero, beginning.start);
  const first = tokenOf(column);
  graph.output('first', first);

  const caches = cache.flat().map((prompts, i) => {
    const own = gather(prompts, sampleOf); // [N, K, S, D]
    const wide = concat([own, mul(slice(own, 2, 0, 1), room)], 2, 'P');
    return concat([wide, before[i]!], 0, 'R');
  });
  const attendSource = source && crossStep(decoder, source, input(graph, 'step_source_of', 'int32', ['R']));
  const token = concat([first, going], 0, 'R');
  const { start, types, choose, note } = strategy.build(graph, 'R', width);
  const done = max(idle, ended(token));
  // Those that go on have been noted already: a second time changes nothing.
  const noted = note(start, concat([column, going], 0, 'R'));
  const carried = [token, done, last, zero, ...caches, ...noted];
  // A cache is as long as what was read until the first round, which gives it room for all: made wide before the loop, it
  // would be held beside those of two rounds for as long as the loop runs.
  const grown = (cache: Value): Type => ({ ...cache.type, shape: ['R', K, 'past', D] });
  const result = loop(
    rounds,
    running(done),
    carried,
    [...carried.slice(0, 4).map(({ type }) => type), ...caches.map(grown), ...types],
    ([now, doneBefore, lastBefore, step, ...rest]) => {
      const [flat, state] = [rest.slice(0, caches.length), rest.slice(caches.length)];
      const past: Cache = cache.map((_, i) => [flat[2 * i]!, flat[2 * i + 1]!]);
      const present: Cache = [];
      const lastNow = add(lastBefore!, 1);
      const x = embed(decoder, weights, now!, overlay, on);
      const attention = stepAttention(decoder, lastNow, rope, lastNow, capacity, past, present, attendSource);
      const h = decoder.hidden(weights, x, attention);
      const chosen = choose(headLogits(decoder, weights, h, overlay, on?.rows), step!, state);
      const next = tokenOf(chosen.column);
      const doneNow = max(doneBefore!, ended(next));
      return {
        more: running(doneNow),
        carried: [next, doneNow, lastNow, add(step!, 1), ...present.flat(), ...chosen.state],
        collected: [next],
      };
    },
  );
  graph.output('tokens', result.at(-1)!);
  // Of those that still run alone, and of none where nothing comes after: what leaves the session is copied.
  const left = sub(1, result[1]!);
  const goesOn = cast(greaterEqual(sub(cast(sub(final, result[3]!), 'float32'), 0.5), 0), 'float32');
  const { columns } = top(reshape(left, [1, 'R']), cast(mul(sumAll(left), goesOn), 'int32'), 'left');
  const unfinished = reshape(columns, ['left']);
  graph.output('unfinished', unfinished);
  names.forEach((name, i) => graph.output(`new_${name}`, gather(result[4 + i]!, unfinished)));
  return graph;
}
