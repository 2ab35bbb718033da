// Tables of rotary positions, computed in float32 as transformers does, so that long positions agree with it.

import type { Feed } from '../../engine/session.ts';
import type { DecoderConfig } from '../family.ts';

const round = Math.fround;
const tables = new Map<string, { cos: Feed; sin: Feed }>();

/** cos and sin of position · theta^(−2i/D): each [count, D/2]. `count` is rounded up so that few tables are made. */
export function ropeTables({ rope_theta, head_dim }: DecoderConfig, count: number): { cos: Feed; sin: Feed } {
  const rows = Math.max(64, 2 ** Math.ceil(Math.log2(count)));
  const key = `${rope_theta}/${head_dim}/${rows}`;
  const known = tables.get(key);
  if (known) return known;
  const half = head_dim / 2;
  const frequencies = Array.from({ length: half }, (_, i) =>
    round(1 / round(rope_theta ** round((2 * i) / head_dim))),
  );
  const fill = (f: (angle: number) => number): Feed => {
    const data = new Float32Array(rows * half);
    for (let p = 0; p < rows; p++)
      for (let i = 0; i < half; i++) data[p * half + i] = f(round(p * frequencies[i]!));
    return { data, shape: [rows, half] };
  };
  const made = { cos: fill(Math.cos), sin: fill(Math.sin) };
  tables.set(key, made);
  return made;
}
