// z of one matrix of an innocent suspect over many other keys: Kolmogorov-Smirnov against N(0, 1).
//   npx tsx bench/stamp-null.ts SUSPECT [VANILLA] [KEYS]    1,000,000 keys by default; VANILLA `-`: none

import { openModel } from '../src/models/open-model.ts';
import { matrixSums, zOf } from '../src/stamp/read-stamp.ts';
import { BYTES_PER_ELEMENT, elements, type TensorRef } from '../src/tensor/tensor.ts';

const [suspectPath, vanillaPath = '-', count = '1000000'] = process.argv.slice(2);
if (suspectPath === undefined) throw new Error('usage: stamp-null.ts SUSPECT [VANILLA] [KEYS]');
const suspect = await openModel(suspectPath);
const vanilla = vanillaPath === '-' ? undefined : await openModel(vanillaPath);
// The smallest matrix of an MLP: a million keys make a million directions of its size.
const { decoder } = suspect;
const [name] = [...decoder.shapes]
  .filter(
    ([tensor, shape]) => shape.length === 2 && decoder.modules.mlp.some((part) => tensor.includes(part)),
  )
  .sort(([, a], [, b]) => elements(a) - elements(b))[0]!;
/** Its first 4,096 numbers, so that a million keys take minutes. */
const beginning = (tensor: TensorRef): TensorRef => {
  const count = Math.min(4096, elements(tensor.shape));
  return { ...tensor, shape: [count], length: count * BYTES_PER_ELEMENT[tensor.dtype] };
};
const ref = beginning(suspect.tensors.get(name)!);
const own = vanilla && beginning(vanilla.tensors.get(name)!);
const keys = Number(count);
const z = new Float64Array(keys);
const key = Buffer.alloc(32);
for (let i = 0; i < keys; i++) {
  key.writeUInt32LE(i);
  z[i] = zOf(matrixSums(key, ref, own));
}
z.sort();
const cumulated = (x: number): number => {
  let [term, sum] = [x, x];
  for (let i = 3; Math.abs(term) > 1e-18; i += 2) {
    term *= (x * x) / i;
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
};
let gap = 0;
z.forEach((x, i) => {
  gap = Math.max(gap, Math.abs(cumulated(x) - i / keys), Math.abs(cumulated(x) - (i + 1) / keys));
});
const root = Math.sqrt(keys) * gap;
let p = 0;
for (let k = 1; k < 100; k++) p += 2 * (-1) ** (k - 1) * Math.exp(-2 * (k * root) ** 2);
const moment = (power: number): number => z.reduce((sum, x) => sum + x ** power, 0) / keys;
process.stdout.write(
  `${name}, ${keys} keys: mean ${moment(1).toFixed(4)}, square ${moment(2).toFixed(4)}, fourth ${moment(4).toFixed(3)}; D = ${gap.toExponential(2)}, p = ${p.toFixed(3)}\n`,
);
