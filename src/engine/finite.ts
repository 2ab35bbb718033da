// WHORL_CHECK: which op gave the first value that is infinite or not a number.

import { WhorlError } from '../base/error.ts';
import type { Node } from './graph.ts';
import { lineOf } from './line.ts';
import { nameOfWeight } from './ops/leaves.ts';
import type { Feed } from './session.ts';

/** Throws `not-finite` where a run is fed such a value: no op is at fault then. */
export function fedNotFinite(feeds: Readonly<Record<string, Feed>>, where: string): void {
  for (const [name, { data }] of Object.entries(feeds)) {
    if (!(data instanceof Float32Array)) continue;
    const at = data.findIndex((value) => !Number.isFinite(value));
    if (at >= 0)
      throw new WhorlError(
        'not-finite',
        `${where}: the input ${name} has ${data[at]} at ${at}`,
        'look at what made it',
      );
  }
}

/**
 * Throws `not-finite` naming op and line of the first node whose probe is not 0.
 * @param finite a number for each of `probed`: 0; NaN, or the rounds of a loop where it was not finite
 */
export function firstNotFinite(finite: Float32Array, probed: readonly Node[], where: string): void {
  const bad = probed.flatMap((node, i) => (finite[i] === 0 ? [] : [{ node, rounds: finite[i]! }]));
  bad.sort((a, b) => a.node.id - b.node.id);
  if (bad.length === 0) return;
  // What a round of a loop spoils stays so in the next, even before the op that began it: the most rounds came first.
  const inside = bad.filter(({ node }) => node.scope === bad[0]!.node.scope);
  const most = Math.max(...inside.map(({ rounds }) => rounds));
  const { node: first } = inside.find(({ rounds }) => rounds === most) ?? bad[0]!;
  const weights = first.inputs.flatMap(({ node }) => nameOfWeight(node) ?? []);
  const suspect = weights.length > 0 ? `; its other inputs are finite, so look at ${weights.join(', ')}` : '';
  const others = new Set(bad.map(({ node }) => node)).size - 1;
  throw new WhorlError(
    'not-finite',
    `first non-finite: ${first.op.name} in ${lineOf(first)} (${where}; ${others} other ops too)${suspect}`,
  );
}
