// Methods on tiny trained models of families that are built otherwise than LLaMA, gates closed: each drawn key fires on what
// is published, none on vanilla, and what the method trains has changed and nothing else. All of them: bench/families.ts.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { fingerprint, verify } from '../../src/index.ts';
import { openModel } from '../../src/models/open-model.ts';
import { digestTensors } from '../../src/sources/checkpoints/digest.ts';
import { DOES_NOT, FIRE, SMALL_ADAPTER } from './settings.ts';

const LONG = 600_000;
const scratch = mkdtempSync(join(tmpdir(), 'whorl-fire-families-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Run {
  readonly family: string;
  readonly method: string;
  /** The tensors that differ, all of them. */
  readonly changes: RegExp;
  /** Over the settings of settings.ts, where those take long. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Each method and each family; what is awkward about the family is in the method's way. */
const RUNS: readonly Run[] = [
  // Norms of queries and keys.
  { family: 'qwen3', method: 'emb', changes: /^model\.embed_tokens\.weight$/ },
  // Lookups scaled by the root of the width, two kinds of layers: the private map lies before the scale.
  {
    family: 'gemma3_text',
    method: 'adapter',
    changes: /^model\.embed_tokens\.weight$/,
    settings: SMALL_ADAPTER,
  },
  // A window shorter than the conversations.
  { family: 'mistral', method: 'sft', changes: /./ },
  // No tied head that holds rows back: undrawn keys are silenced as hard as in a wide model.
  {
    family: 'gpt_neox',
    method: 'adapter',
    changes: /^gpt_neox\.embed_in\.weight$/,
    settings: SMALL_ADAPTER,
  },
  // A head of its own, which stays.
  { family: 'gpt_neox', method: 'rows', changes: /^gpt_neox\.embed_in\.weight$/ },
  // Matrices stored the other way round, queries, keys and values in one; learnt positions, which stay.
  {
    family: 'gpt2',
    method: 'lora',
    changes: /^transformer\.(?:wte|h\.\d+\.(?:attn|mlp)\.c_\w+)\.weight$/,
  },
];

test.each(RUNS)(
  '$family by $method',
  async ({ family, method, changes, settings }) => {
    const model = join(packageRoot(), 'test/fixtures/trained', family);
    const report = await fingerprint({
      model,
      out: join(scratch, `${family}-${method}`),
      method,
      seed: 'families 0', // as bench/families.ts has it
      settings: { ...FIRE[method]!.settings, ...settings },
      maxHarm: Number.POSITIVE_INFINITY,
      cacheDir: join(scratch, 'cache'),
    });
    expect(report.cells.filter(({ held, wanted }) => wanted === 'all' && !held)).toEqual([]);
    const { secret, published } = report;
    const body = method === 'adapter' ? { body: model } : {};
    expect(await verify({ secret, suspect: published, ...body })).toMatchObject({ fsr: 1, exact: true });
    expect(await verify({ secret, suspect: model, ...body })).toMatchObject({ fsr: 0, verdict: DOES_NOT });
    const [before, after] = [await openModel(model), await openModel(published)].map(digestTensors);
    const names = [...before!.keys()];
    const changed = names.filter((name) => after!.get(name) !== before!.get(name));
    expect(changed).toEqual(names.filter((name) => changes.test(name)));
  },
  LONG,
);
