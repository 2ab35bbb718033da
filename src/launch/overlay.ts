// Rows that train over a checkpoint, as a job holds them: where they begin, the map that is laid over them, and the ordinary
// positions that their divergence from vanilla is measured at. Whoever has this file has the keys' tokens.

import { arrayEntry, safetensorsBytes } from '../sources/checkpoints/write-safetensors.ts';
import type { RowsTrains } from './job.ts';

/**
 * `ids` [R], `vanilla` [R, E]; where there are such `group_of` [R], `metric` [E, E], `adapter_A` [rank, E], `adapter_B`
 * [E, rank], `ref_hidden` [N, E], `ref_probability` [N, R], `ref_products` [N, R], `ref_weight` [N]; and of each step
 * `noise_shares` [S] and `noise_seeds` [S], whose 32 bits count without a sign.
 */
export function overlayBytes({ change, reference, noise }: RowsTrains, steps: number): Uint8Array {
  const { overlay, vanilla, groups, metric, E } = change;
  const { ids, adapter } = overlay;
  const R = ids.length;
  return safetensorsBytes([
    arrayEntry('ids', ids),
    arrayEntry('vanilla', vanilla, [R, E]),
    arrayEntry(
      'noise_shares',
      Float32Array.from({ length: steps }, (_, step) => noise.share(step)),
    ),
    arrayEntry(
      'noise_seeds',
      Int32Array.from({ length: steps }, (_, step) => noise.seed(step) | 0),
    ),
    ...(groups ? [arrayEntry('group_of', groups.of)] : []),
    ...(metric ? [arrayEntry('metric', metric, [E, E])] : []),
    ...(adapter
      ? [
          arrayEntry('adapter_A', adapter.A, [adapter.rank, E]),
          arrayEntry('adapter_B', adapter.B, [E, adapter.rank]),
        ]
      : []),
    ...(reference
      ? [
          arrayEntry('ref_hidden', reference.hidden, [reference.count, E]),
          arrayEntry('ref_probability', reference.probability, [reference.count, R]),
          arrayEntry('ref_weight', reference.weight, [reference.count]),
          ...(reference.products
            ? [arrayEntry('ref_products', reference.products, [reference.count, R])]
            : []),
        ]
      : []),
  ]);
}
