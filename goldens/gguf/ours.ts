// npx tsx goldens/gguf/ours.ts FOLDER [name ...]: a random model of every family that `whorl convert` writes and all of which a GGUF can
// say, each as FOLDER/<name> and FOLDER/<name>.gguf: for make_llama_cpp.py.

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WhorlError } from '../../src/base/error.ts';
import { convertModel } from '../../src/models/convert-to-gguf.ts';
import { randomFolder } from '../../test/models/random-folder.ts';

/** Texts here are all on one side of the length that LongRoPE's divisors change at, and so is llama.cpp's context. */
const ONE_LIST = new Set(['phi3-short-factors', 'phi3-long-factors']);
const here = fileURLToPath(new URL('.', import.meta.url));
const [out, ...only] = process.argv.slice(2) as [string, ...string[]];
for (const file of readdirSync(join(here, 'families')).filter((name) => name.endsWith('.json'))) {
  const name = file.slice(0, -'.json'.length);
  if (only.length > 0 && !only.includes(name)) continue;
  const { config } = JSON.parse(readFileSync(join(here, 'families', file), 'utf8')) as { config: object };
  const gguf = join(out, `${name}.gguf`);
  const model = randomFolder(join(out, name), { ...config });
  try {
    const { lost } = await convertModel({ model, to: 'gguf', type: 'f32', out: gguf });
    if (lost.length === 0 || (ONE_LIST.has(name) && lost.every((text) => text.startsWith('long_factor')))) continue;
    console.log(`${name}: lost ${lost.join('; ')}`);
    rmSync(gguf);
  } catch (error) {
    if (!(error instanceof WhorlError)) throw error;
    console.log(`${name}: ${error.message}`);
  }
}
