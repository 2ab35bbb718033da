// Parts of a model that may train instead of all of it, in its family's own words.

import { WhorlError } from '../../base/error.ts';
import { nameHint } from '../../base/near-name.ts';
import type { Decoder } from '../../models/family.ts';
import type { Model } from '../../models/model.ts';
import type { Trains } from '../../train/trains.ts';

type Part = (decoder: Decoder) => readonly string[];

const upper =
  (share: number): Part =>
  ({ config, layer }) => {
    const first = Math.floor((1 - share) * config.num_hidden_layers);
    const wanted = Array.from({ length: config.num_hidden_layers - first }, (_, i) => first + i);
    return wanted.map((i) => `${layer(i)}*`);
  };

/** Every tensor of these modules, in all layers. */
const modulesOf =
  (part: 'attention' | 'mlp'): Part =>
  ({ config, layer, modules }) =>
    Array.from({ length: config.num_hidden_layers }, (_, i) =>
      modules[part].map((module) => `${layer(i)}${module}.*`),
    ).flat();

const PARTS: Readonly<Record<string, Part>> = {
  all: () => ['*'],
  mlp: modulesOf('mlp'),
  attention: modulesOf('attention'),
  'upper-half': upper(1 / 2),
  'upper-quarter': upper(1 / 4),
};

/**
 * @param setting that the name was given to
 * @throws WhorlError `usage` for a name that is no part and no tensor
 */
export function partNamed(name: string, { decoder }: Model, setting = 'part'): Trains {
  const known = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
  if (!known && !/[.*]/.test(name))
    throw new WhorlError(
      'usage',
      `${setting}=${name} is no part of a model`,
      nameHint(name, Object.keys(PARTS), { or: 'tensor names with * (model.layers.3.*)' }),
    );
  return { kind: 'tensors', names: known ? known(decoder) : name.split(',') };
}
