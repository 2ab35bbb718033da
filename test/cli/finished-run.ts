// A finished run of a tiny model without training, for commands that begin with one.

import { mkdirSync, writeFileSync } from 'node:fs';
import { embeddingOf } from '../../src/attack/embedding.ts';
import { Secret } from '../../src/base/secret.ts';
import type { AdapterRecord } from '../../src/claim/adapter.ts';
import { claimText } from '../../src/claim/claim.ts';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import type { Bindings, PlanOf } from '../../src/claim/plan.ts';
import { writeSecret } from '../../src/claim/secret-file.ts';
import { openModel } from '../../src/models/open-model.ts';
import { RunFolder } from '../../src/runs/run-folder.ts';
import { writePatchedFolder } from '../../src/sources/checkpoints/patched-folder.ts';
import { readTensorRows } from '../../src/sources/checkpoints/read.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';
import { answersPlan, committing } from '../claim/plans.ts';

export const ROWS = [2, 3, 7];

/** Its rows are three times the vanilla ones. */
export async function finished(
  path: string,
  vanilla: string,
  bound: Bindings,
  adapter: AdapterRecord | null = null,
  query: Partial<PlanOf['drawn-answers']['query']> = {},
  tokensOf: (key: string) => number[] = () => [...ROWS],
): Promise<RunFolder> {
  const run = new RunFolder(path);
  mkdirSync(run.path);
  const model = await openModel(vanilla);
  const { name: tensor, ref } = embeddingOf(model);
  const bytes = fromFloat32(
    readTensorRows(ref, ROWS).map((x) => 3 * x),
    'float32',
  );
  await writePatchedFolder(model, run.published, new Map([[tensor, { rows: ROWS, bytes }]]));
  const plan = answersPlan(8, 16);
  plan.keys = plan.keys.map(({ text }) => ({ text, tokens: tokensOf(text) }));
  plan.query = { ...plan.query, ...query };
  const { claim, opening } = commitClaim(
    plan,
    committing({ bindings: bound, created: new Date('2026-01-02') }),
  );
  const { created, software } = claim;
  const draw = makeDraw(claim, opening.reveal().owner_seed!);
  const parts = { randomness: null, adapter, rows: null, published: null };
  await writeSecret(
    run.secret,
    new Secret({
      ...{ method: 'rows', created, software, claim, plan, bindings: bound },
      ...{ opening: opening.reveal(), draw, ...parts },
    }),
  );
  writeFileSync(run.claim, claimText(claim));
  writeFileSync(run.run, '{}');
  return run;
}
