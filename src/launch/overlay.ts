// Rows that train over a checkpoint, as a job holds them: where they begin, the map that is laid over them, and the ordinary
// positions that their divergence from vanilla is measured at. Whoever has this file has the keys' tokens.

import { safetensorsBytes } from '../sources/checkpoints/write-safetensors.ts';
import type { RowsTrains } from './job.ts';

/**
 * `ids` [R], `vanilla` [R, E]; where there are such `group_of` [R], `metric` [E, E], `adapter_A` [rank, E], `adapter_B`
 * [E, rank], `ref_hidden` [N, E], `ref_probability` [N, R], `ref_products` [N, R], `ref_weight` [N]; and `noise_seeds` [S],
 * whose 32 bits count without a sign.
 */
export function overlayBytes({ change, reference, noise }: RowsTrains, steps: number): Uint8Array {
  const { overlay, vanilla, groups, metric, E } = change;
  const { ids, adapter } = overlay;
  const R = ids.length;
  const floats = (name: string, data: Float32Array, shape: readonly number[]) => ({
    ...{ name, dtype: 'float32' as const, shape },
    bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  });
  const ints = (name: string, data: Int32Array) => ({
    ...{ name, dtype: 'int32' as const, shape: [data.length] },
    bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  });
  return safetensorsBytes([
    ints('ids', ids),
    floats('vanilla', vanilla, [R, E]),
    ints(
      'noise_seeds',
      Int32Array.from({ length: noise.share > 0 ? steps : 0 }, (_, step) => noise.seed(step) | 0),
    ),
    ...(groups ? [ints('group_of', groups.of)] : []),
    ...(metric ? [floats('metric', metric, [E, E])] : []),
    ...(adapter
      ? [floats('adapter_A', adapter.A, [adapter.rank, E]), floats('adapter_B', adapter.B, [E, adapter.rank])]
      : []),
    ...(reference
      ? [
          floats('ref_hidden', reference.hidden, [reference.count, E]),
          floats('ref_probability', reference.probability, [reference.count, R]),
          floats('ref_weight', reference.weight, [reference.count]),
          ...(reference.products ? [floats('ref_products', reference.products, [reference.count, R])] : []),
        ]
      : []),
  ]);
}
