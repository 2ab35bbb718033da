// Parts of a model that may train instead of all of it: what of a fingerprint's cost each leaves, README has measured.

import { WhorlError } from '../../base/error.ts';
import type { Model } from '../../models/model.ts';
import type { Trains } from '../../train/trains.ts';

type Part = (layers: readonly string[]) => readonly string[];

const LAYER = /^(.*\.layers\.)(\d+)\./;
const upper =
  (share: number): Part =>
  (layers) =>
    layers.slice(Math.floor((1 - share) * layers.length)).map((layer) => `${layer}*`);

/** By name; what they are given are the layers' names up to the dot, in order. */
const PARTS: Readonly<Record<string, Part>> = {
  all: () => ['*'],
  mlp: () => ['*.mlp.*'],
  attention: () => ['*.self_attn.*'],
  'upper-half': upper(1 / 2),
  'upper-quarter': upper(1 / 4),
};

/** @throws WhorlError `usage` for a name that is no part and no tensor */
export function partNamed(name: string, { decoder }: Model): Trains {
  const known = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
  if (!known && !/[.*]/.test(name))
    throw new WhorlError(
      'usage',
      `part=${name} is no part of a model`,
      `${Object.keys(PARTS).join(', ')}, or tensor names with * (model.layers.3.*)`,
    );
  const layers = new Map<number, string>();
  for (const tensor of decoder.shapes.keys()) {
    const [, before, number] = LAYER.exec(tensor) ?? [];
    if (before !== undefined) layers.set(Number(number), `${before}${number}.`);
  }
  const sorted = [...layers].sort(([a], [b]) => a - b).map(([, layer]) => layer);
  return { kind: 'tensors', names: known ? known(sorted) : name.split(',') };
}
