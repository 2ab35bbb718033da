// OLMo 3 (Team OLMo 2025): OLMo 2 of which three layers in four see a window; scaled positions are those of the others.

import { decoderOf } from '../blocks/blueprint.ts';
import { type ConfigJson, readConfig } from '../config.ts';
import type { Decoder } from '../family.ts';
import { ropeByKind } from './line.ts';
import { olmoBlocks } from './olmo2.ts';

export function olmo3(json: ConfigJson, where: string): Decoder {
  const read = readConfig(json, where);
  const blocks = olmoBlocks(read, 'olmo3');
  const { config } = blocks;
  const window = read.window('sliding_window', 4096);
  const kinds = read.layerTypes(config.num_hidden_layers, (i) => (i + 1) % 4 !== 0);
  const plan = {
    ...blocks,
    ropes: (['full_attention', 'sliding_attention'] as const).map((kind) =>
      read.rope({ ...config, rope_theta: 500_000, kind }),
    ),
    layers: ropeByKind(kinds, window),
  };
  read.done();
  return decoderOf(plan);
}
