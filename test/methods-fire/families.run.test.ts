// Methods on tiny trained models of families that are built otherwise than LLaMA, gates closed: each drawn key fires on what
// is published, none on vanilla, and only what the method trains has changed. All of them: bench/families.ts.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { fingerprint, verify } from '../../src/index.ts';
import { openModel } from '../../src/models/open-model.ts';
import { digestTensors } from '../../src/sources/checkpoints/digest.ts';
import { DOES_NOT, FIRE } from './settings.ts';

const LONG = 600_000;
const scratch = mkdtempSync(join(tmpdir(), 'whorl-fire-families-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Family and method, with the tensors that may differ: what is awkward about the family is in the method's way. */
const RUNS: readonly (readonly [family: string, method: string, mayChange: RegExp])[] = [
  ['qwen3', 'rows', /^model\.embed_tokens\.weight$/], // norms of queries and keys
];

test.each(RUNS)(
  '%s by %s',
  async (family, method, mayChange) => {
    const model = join(packageRoot(), 'test/fixtures/trained', family);
    const { settings } = FIRE[method]!;
    const report = await fingerprint({
      model,
      out: join(scratch, `${family}-${method}`),
      method,
      seed: 'families 0', // as bench/families.ts has it
      settings,
      maxHarm: Number.POSITIVE_INFINITY,
      cacheDir: join(scratch, 'cache'),
    });
    expect(report.cells.filter(({ held, wanted }) => wanted === 'all' && !held)).toEqual([]);
    const { secret, published } = report;
    const body = method === 'adapter' ? { body: model } : {};
    expect(await verify({ secret, suspect: published, ...body })).toMatchObject({ fsr: 1, exact: true });
    expect(await verify({ secret, suspect: model, ...body })).toMatchObject({ fsr: 0, verdict: DOES_NOT });
    const [before, after] = [await openModel(model), await openModel(published)].map(digestTensors);
    const changed = [...before!]
      .filter(([name, digest]) => after!.get(name) !== digest)
      .map(([name]) => name);
    expect(changed.length).toBeGreaterThan(0);
    expect(changed.filter((name) => !mayChange.test(name))).toEqual([]);
  },
  LONG,
);
