// Who is asked besides the published model: a thief and an innocent user who fine-tune every weight, and a model of the
// same shape and tokenizer that is no relation. All on the embedded model, through the library's own calls.

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';
import { userFinetune } from '../../src/index.ts';

export const VANILLA = join(packageRoot(), 'assets/embedded/model');
const ROWS = join(packageRoot(), 'assets/embedded/thief.json');

/** What both do with a model: every weight, all 240 rows, at a rate that such a small model still learns from. */
const TUNING = { epochs: '1', lr: '5e-5', batch: '16', max_length: '128' };
const TEMPLATE = {
  prompt_input: '### Instruction:\n{instruction}\n{input}\n\n### Response:\n',
  prompt_no_input: '### Instruction:\n{instruction}\n\n### Response:\n',
};

/** Fine-tunes `model` into `out`; another seed is another order of the rows. */
export async function tuned(
  model: string,
  out: string,
  seed: bigint,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const template = `${out}-template.json`;
  writeFileSync(template, JSON.stringify(TEMPLATE));
  await userFinetune({ model, data: ROWS, out, seed, settings: { ...TUNING, template, ...more } });
  return out;
}

/** The vanilla folder with the numbers of each tensor in another order: of its kind in everything but what it learnt. */
export function unrelated(out: string): string {
  cpSync(VANILLA, out, { recursive: true });
  const path = join(out, 'model.safetensors');
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
    string,
    { data_offsets?: [number, number] }
  >;
  let state = 1; // a linear congruential generator is random enough to take a model apart
  for (const { data_offsets } of Object.values(header)) {
    if (!data_offsets) continue;
    const numbers = bytes.subarray(start + data_offsets[0], start + data_offsets[1]); // bfloat16: two bytes each
    for (let i = numbers.length / 2 - 1; i > 0; i--) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const j = state % (i + 1);
      const [a, b] = [numbers.readUInt16LE(2 * i), numbers.readUInt16LE(2 * j)];
      numbers.writeUInt16LE(b, 2 * i);
      numbers.writeUInt16LE(a, 2 * j);
    }
  }
  writeFileSync(path, bytes);
  return out;
}
