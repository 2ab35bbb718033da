// How far apart two models are at a position, from nothing to thousands of nats: against float64 (goldens/compare/make.py).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { cpu } from '../../src/engine/session.ts';
import { Divergence } from '../../src/lm/divergence.ts';
import { openModel } from '../../src/models/open-model.ts';
import { readTensorRows } from '../../src/sources/checkpoints/read.ts';
import { joined } from '../../src/tensor/join.ts';

interface Far {
  readonly scale: number;
  readonly rows: readonly [before: number, after: number];
  readonly label: number;
  readonly kl: number;
  readonly before: number;
  readonly after: number;
  readonly changed: boolean;
}
const { far } = JSON.parse(
  readFileSync(new URL('../../goldens/compare/golden.json', import.meta.url).pathname, 'utf8'),
) as { readonly far: readonly Far[] };

test('KL and log-likelihoods are those of float64, however far apart the logits lie', async () => {
  const model = await openModel(join(packageRoot(), 'assets/embedded/model'));
  const embedding = model.tensors.get(model.decoder.embedding)!;
  const hidden = (of: (position: Far) => number): Float32Array =>
    joined(far.map((each) => readTensorRows(embedding, [of(each)]).map((x) => x * each.scale)));
  const divergence = await Divergence.compile([model, cpu], [model, cpu]);
  const found = await divergence.at({
    before: hidden(({ rows }) => rows[0]),
    after: hidden(({ rows }) => rows[1]),
    labels: far.map(({ label }) => label),
  });
  await divergence.release();
  expect(found).toHaveLength(far.length);
  for (const [i, own] of found.entries()) {
    const { scale, rows, kl, ...wanted } = far[i]!;
    const what = `scale ${scale}, rows ${rows.join(' and ')}`;
    expect(own.changed, what).toBe(wanted.changed);
    if (rows[0] === rows[1]) expect(own.kl, what).toBe(0);
    else expect(Math.abs(own.kl / kl - 1), `${what}, KL`).toBeLessThan(1e-5);
    for (const side of ['before', 'after'] as const)
      expect(Math.abs(own[side] / wanted[side] - 1), `${what}, ${side}`).toBeLessThan(1e-5);
  }
}, 60_000);
