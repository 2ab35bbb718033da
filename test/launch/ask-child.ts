// Stands for `python ask.py` where there is no torch: answers what the job's folder asks, and nothing else, by our own engine, and
// leaves what ask.py leaves.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Decrypter } from 'age-encryption';
import { sha256Hex } from '../../src/base/sha256.ts';
import { generateAll } from '../../src/lm/ask.ts';
import { LocalModel } from '../../src/lm/local-model.ts';
import { openModel } from '../../src/models/open-model.ts';
import type { Overlay } from '../../src/models/overlay.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';

const home = process.cwd();
const result = join(home, 'result');
const job = JSON.parse(readFileSync(join(home, 'ask.json'), 'utf8')) as {
  readonly ends: readonly number[];
  readonly dtype: string;
  readonly overlay: { readonly scale: number | null } | null;
};

async function arrays(name: string): Promise<Record<string, Int32Array | Float32Array>> {
  let path = join(home, name);
  if (existsSync(`${path}.age`)) {
    const decrypter = new Decrypter();
    decrypter.addIdentity(readFileSync(process.env.AGE_IDENTITY!, 'utf8').trim());
    const opened = await decrypter.decrypt(readFileSync(`${path}.age`));
    path = join(process.env.STAND_IN_SCRATCH!, name); // ask.py never writes it; the test's own folder may have it
    writeFileSync(path, opened);
  }
  const bytes = readFileSync(path);
  return Object.fromEntries(
    [...readSafetensorsHeader(path).tensors].map(([key, { dtype, offset, length }]) => {
      const own = Uint8Array.from(bytes.subarray(offset, offset + length)).buffer;
      return [key, dtype === 'int32' ? new Int32Array(own) : new Float32Array(own)];
    }),
  );
}

async function laid(): Promise<Overlay | undefined> {
  if (!job.overlay) return undefined;
  const { ids, rows, adapter_A: A, adapter_B: B } = await arrays('overlay.safetensors');
  const E = rows!.length / ids!.length;
  const { scale } = job.overlay;
  return {
    ids: ids as Int32Array,
    rows: rows as Float32Array,
    ...(scale !== null && {
      adapter: { rank: A!.length / E, scale, A: A as Float32Array, B: B as Float32Array },
    }),
  };
}

mkdirSync(result, { recursive: true });
const lines: object[] = [];
const say = (line: object): void => {
  lines.push(line);
  writeFileSync(join(result, 'progress.jsonl'), lines.map((each) => `${JSON.stringify(each)}\n`).join(''));
};
const { tokens, prompts, limits } = await arrays('prompts.safetensors');
const overlay = await laid();
const model = await LocalModel.open(await openModel(process.env.MODEL!), {
  ...(overlay && { overlay, variant: { rows: true, adapter: overlay.adapter !== undefined } }),
});
if (String(job.ends) !== String(model.tokenizer.eosIds)) throw new Error('other ends than the tokenizer has');
say({ kind: 'asked', done: 0, of: limits!.length });
const answers = await generateAll(
  model,
  Array.from(limits!, (max_new_tokens, i) => ({
    ...{ prompt: '', max_new_tokens },
    tokens: Array.from(tokens!.subarray(prompts![i]!, prompts![i + 1]!)),
  })),
);
await model.release();
const text = JSON.stringify({ answers: answers.map(({ generated_token }) => generated_token) });
writeFileSync(join(result, 'answers.json'), text);
say({ kind: 'asked', done: answers.length, of: answers.length });
writeFileSync(
  join(result, 'result.json'),
  JSON.stringify({
    ...{ format: 'whorl-ask-result', version: 1, sha256: sha256Hex(text) },
    job: sha256Hex(readFileSync(join(home, 'manifest.json'))),
    ...{ torch: process.env.STAND_IN_TORCH ?? '2.11.0+cpu', transformers: '5.24.0', device: 'stand-in' },
  }),
);
say({ kind: 'done', step: answers.length });
