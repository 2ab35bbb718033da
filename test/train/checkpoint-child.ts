// Writes checkpoints of training and safetensors files over one another until it is killed; step n holds n everywhere.

import { join } from 'node:path';
import { writeSafetensors } from '../../src/sources/checkpoints/write-safetensors.ts';
import { saveCheckpoint } from '../../src/train/checkpoint.ts';

const folder = process.argv[2]!;
const elements = Number(process.argv[3]);
const shape = [elements / 64, 64];

process.stdout.write('go\n');
for (let step = Number(process.argv[4]); ; step++) {
  const filled = (): Float32Array => new Float32Array(elements).fill(step);
  const slots = new Map([['rows', { shape, value: filled(), m: filled(), v: filled() }]]);
  saveCheckpoint(join(folder, 'state.bin'), { step, slots }, { step });
  const entries = [{ name: 'rows', dtype: 'float32', shape } as const];
  const bytes = new Uint8Array(filled().buffer);
  await writeSafetensors(
    join(folder, 'model.safetensors'),
    entries,
    function* () {
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
    },
    { step: String(step) },
  );
}
