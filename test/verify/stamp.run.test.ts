// The stamp's whole road on the embedded model: published, then what thieves and innocents make of a model, then who lies.

import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseClaim } from '../../src/claim/claim.ts';
import { openClaim } from '../../src/claim/open.ts';
import type { SecretContents } from '../../src/claim/secret-contents.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import { type DrawnStamp, drawStamp, type StampPlan } from '../../src/claim/stamp.ts';
import { type FingerprintReport, fingerprint, type VerifyReport, verify } from '../../src/index.ts';
import { openModel } from '../../src/models/open-model.ts';
import { writeReplacedFolder } from '../../src/sources/checkpoints/patched-folder.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';
import type { FloatDtype } from '../../src/tensor/tensor.ts';
import { readStamp } from '../../src/verify/stamp.ts';
import { tuned, VANILLA } from '../methods-fire/suspects.ts';

const LONG = 300_000;
/** The embedded model has 1.2 million numbers in its MLPs, and bfloat16 swallows half of a small stamp. */
const SETTINGS = { epsilon: '0.002' };
const scratch = mkdtempSync(join(tmpdir(), 'whorl-stamped-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Each matrix of the body through `change`, which sees its numbers and those of the other model. */
async function changed(
  model: string,
  name: string,
  change: (values: Float32Array, other: Float32Array) => Float32Array,
  other = VANILLA,
): Promise<string> {
  const [from, beside] = [await openModel(model), await openModel(other)];
  const out = join(scratch, name);
  const names = [...from.tensors].filter(
    ([tensor, { shape }]) => shape.length === 2 && /layers/.test(tensor),
  );
  await writeReplacedFolder(
    from,
    out,
    names.map(([tensor]) => tensor),
    (tensor, ref) =>
      fromFloat32(
        change(readTensor(ref).data, readTensor(beside.tensors.get(tensor)!).data),
        ref.dtype as FloatDtype,
      ),
  );
  return out;
}

/** Blocks of 32 with one scale each, as GGUF's Q8_0 (scale max/127) and Q4_0 (the largest becomes -8) have them. */
function quantised(levels: 'Q8_0' | 'Q4_0'): (values: Float32Array) => Float32Array {
  return (values) => {
    const out = new Float32Array(values.length);
    for (let at = 0; at < values.length; at += 32) {
      const block = values.subarray(at, at + 32);
      let largest = 0;
      for (const x of block) if (Math.abs(x) > Math.abs(largest)) largest = x;
      const scale = levels === 'Q8_0' ? Math.abs(largest) / 127 : largest / -8;
      block.forEach((x, i) => {
        const level = scale === 0 ? 0 : Math.round(x / scale);
        out[at + i] = scale * (levels === 'Q8_0' ? level : Math.min(7, level));
      });
    }
    return out;
  };
}
/** The smaller half of the numbers set to 0. */
function pruned(values: Float32Array): Float32Array {
  const middle = values.map(Math.abs).sort()[values.length >> 1]!;
  return values.map((x) => (Math.abs(x) < middle ? 0 : x));
}
const merged = (values: Float32Array, other: Float32Array): Float32Array =>
  values.map((x, i) => (x + other[i]!) / 2);

let made: FingerprintReport;
let contents: SecretContents;
let stamp: DrawnStamp;
beforeAll(async () => {
  made = await fingerprint({
    model: VANILLA,
    out: join(scratch, 'run'),
    method: 'stamp',
    seed: 'stamp',
    settings: SETTINGS,
  });
  contents = (await readSecret(made.secret)).reveal();
  stamp = openClaim(parseClaim(readFileSync(made.claim, 'utf8')), contents).stamp!;
}, LONG);
const ask = (suspect: string, vanilla?: string): Promise<VerifyReport> =>
  verify({ secret: made.secret, suspect, ...(vanilla !== undefined && { vanilla }) });

test(
  'what is published differs in the committed matrices only, and is recognised at the floor',
  async () => {
    const [vanilla, published] = [await openModel(VANILLA), await openModel(made.published)];
    const committed = new Set(stamp.plan.matrices.map(({ name }) => name));
    expect(committed.size).toBe(3 * Number(vanilla.config.num_hidden_layers));
    for (const [name, ref] of vanilla.tensors)
      expect([
        name,
        String(readTensor(ref).data) === String(readTensor(published.tensors.get(name)!).data),
      ]).toEqual([name, !committed.has(name)]);
    const report = await ask(made.published, VANILLA);
    expect(report).toMatchObject({ verdict: 'verified', exact: true, cells: {}, fsr: 0 });
    expect(report.log10_p).toBeCloseTo(-256 * Math.log10(2), 10);
    expect(report.channels).toMatchObject({ keys: null, stamp: { against_vanilla: true, not_read: [] } });
    expect(report.channels!.stamp!.z).toBeGreaterThan(100);
    expect(report.channels!.stamp!.matrices).toHaveLength(committed.size);
  },
  LONG,
);

const thefts: Record<string, () => Promise<string>> = {
  Q8_0: () => changed(made.published, 'q8', quantised('Q8_0')),
  Q4_0: () => changed(made.published, 'q4', quantised('Q4_0')),
  'half pruned': () => changed(made.published, 'pruned', pruned),
  'merged half with vanilla': () => changed(made.published, 'merged', merged),
  'half pruned, then Q8_0': async () =>
    changed(await changed(made.published, 'pruned-1', pruned), 'pruned-2', quantised('Q8_0')),
  'fine-tuned': () => tuned(made.published, join(scratch, 'stolen'), 42n, { max_length: '64' }),
};
test.each(Object.entries(thefts))(
  'a thief’s: %s',
  async (_, make) => {
    const report = await ask(await make(), VANILLA);
    expect(report).toMatchObject({ verdict: 'verified', exact: true });
    expect(report.channels!.stamp!.z).toBeGreaterThan(10);
  },
  LONG,
);

const innocents: Record<string, () => Promise<string>> = {
  vanilla: () => Promise.resolve(VANILLA),
  'vanilla quantised': () => changed(VANILLA, 'innocent-q4', quantised('Q4_0')),
  'fine-tuned, asked by other owners': () => Promise.resolve(join(scratch, 'stolen')),
};
test.each(Object.entries(innocents))(
  'innocent: %s; z is standard normal over other keys',
  async (name, make) => {
    const suspect = await make();
    if (!name.startsWith('fine'))
      for (const vanilla of [VANILLA, undefined]) {
        const report = await ask(suspect, vanilla);
        expect(report).toMatchObject({ verdict: 'not-verified', exact: true });
        expect(report.log10_p).toBeGreaterThan(-3);
      }
    const [model, vanilla] = [await openModel(suspect), await openModel(VANILLA)];
    const few = { ...stamp.plan, matrices: stamp.plan.matrices.slice(0, 1) };
    const z: number[] = [];
    for (let i = 0; i < 150; i++) {
      const other = drawStamp(few, contents.claim.root, i.toString(16).padStart(64, '0'), null);
      z.push((await readStamp(other, model, suspect === VANILLA ? undefined : vanilla)).z);
    }
    expect(kolmogorov(z.sort((a, b) => a - b))).toBeLessThan(1.63); // p = .01
  },
  LONG,
);

describe('who lies', () => {
  const claim = () => parseClaim(readFileSync(made.claim, 'utf8'));
  type Matrices = StampPlan['matrices'];
  const edits: Record<string, (plan: StampPlan) => StampPlan> = {
    'another epsilon': (plan) => ({ ...plan, epsilon: 0.5 }),
    'one matrix less': (plan) => ({ ...plan, matrices: plan.matrices.slice(1) }),
    'another order': (plan) => ({ ...plan, matrices: [...plan.matrices].reverse() }),
    'another vanilla matrix': (plan) => ({
      ...plan,
      matrices: first(plan.matrices, { sha256: '0'.repeat(64) }),
    }),
    'another scale': (plan) => ({ ...plan, matrices: first(plan.matrices, { scale: 9 }) }),
    'another name': (plan) => ({ ...plan, matrices: first(plan.matrices, { name: 'lm_head.weight' }) }),
  };
  const first = (matrices: Matrices, change: Partial<Matrices[number]>): Matrices =>
    matrices.map((matrix, i) => (i === 0 ? { ...matrix, ...change } : matrix));

  test.each(Object.entries(edits))('%s than committed is refused', (_, edit) => {
    const plan = { ...contents.plan, stamp: edit(contents.plan.stamp!) } as SecretContents['plan'];
    expect(() => openClaim(claim(), { ...contents, plan })).toThrow(/not what claim.json commits to/);
  });

  test('a direction chosen after the suspect is another root’s: the seed alone makes none', () => {
    const seed = contents.opening.owner_seed!;
    const { name } = stamp.plan.matrices[0]!;
    const key = (root: string, owner: string) =>
      Buffer.from(drawStamp(stamp.plan, root, owner, null).keyOf(name)).toString('hex');
    const own = key(contents.claim.root, seed);
    expect(Buffer.from(stamp.keyOf(name)).toString('hex')).toBe(own);
    expect(key('0'.repeat(64), seed)).not.toBe(own);
    expect(() =>
      openClaim(claim(), { ...contents, opening: { ...contents.opening, owner_seed: '0'.repeat(64) } }),
    ).toThrow(/owner's seed is not what claim.json commits to/);
  });

  test('a vanilla model that was made to fit is refused', async () => {
    const { matrices } = stamp.plan;
    const made_up = await changed(VANILLA, 'made-up', (values) =>
      values.map((x, i) => (i === 5 ? x + 1 : x)),
    );
    await expect(ask(VANILLA, made_up)).rejects.toThrow(
      `${matrices[0]!.name} is not the matrix that the claim`,
    );
  });

  test('without claim.json, or at another level, no p is given; what goes with keys is refused', async () => {
    const alone = join(scratch, 'alone.whorl');
    cpSync(made.secret, alone);
    const none = { verdict: 'not-verified', exact: false, p_value: null };
    expect(await verify({ secret: alone, suspect: made.published, vanilla: VANILLA })).toMatchObject(none);
    const level = await verify({
      secret: made.secret,
      suspect: made.published,
      vanilla: VANILLA,
      alpha: 0.01,
    });
    expect(level).toMatchObject(none);
    expect(level.channels).toMatchObject({ keys: null, stamp: null, log10_e: 0 });
    for (const keys of [{ wrapper: 'chat' }, { system: 'x' }, { body: VANILLA }])
      await expect(verify({ secret: made.secret, suspect: VANILLA, ...keys })).rejects.toThrow(
        /this claim has none/,
      );
  });

  test('a suspect of infinities and of huge numbers has a finite z', async () => {
    const suspect = await changed(VANILLA, 'hostile', (values) =>
      values.map((x, i) => (i % 3 === 0 ? Number.POSITIVE_INFINITY : i % 3 === 1 ? 3e38 : x)),
    );
    const { stamp: read } = (await ask(suspect, VANILLA)).channels!;
    expect(Math.abs(read!.z)).toBeLessThan(6);
    // Half of what is a number is beyond all measure: none of it is read, and the report says which.
    expect([read!.matrices, read!.left_out]).toEqual([[], 0]);
    expect(read!.not_read.length).toBeGreaterThan(0);
  });

  test('a stolen model whose every tenth weight is made infinite or huge still shows its stamp', async () => {
    const suspect = await changed(made.published, 'blown-up', (values) =>
      values.map((x, i) => (i % 20 === 0 ? Number.POSITIVE_INFINITY : i % 20 === 1 ? 3e38 : x)),
    );
    const { stamp: read } = (await ask(suspect, VANILLA)).channels!;
    expect(read!.z).toBeGreaterThan(10);
    expect(read!.not_read).toEqual([]);
    expect(read!.left_out).toBeGreaterThanOrEqual(Math.floor((read!.elements + read!.left_out) / 10));
  });

  test('keys, an answer or conversations do not go with it', async () => {
    const options = { model: VANILLA, out: join(scratch, 'refused'), method: 'stamp' };
    for (const more of [{ keys: 'paper' }, { decryption: 'x' }])
      await expect(fingerprint({ ...options, ...more })).rejects.toThrow(
        /goes with keys, and stamp has none/,
      );
    await expect(fingerprint({ ...options, settings: { part: '*.nothing' } })).rejects.toThrow(/nothing/);
  });
});

/** √n·D of sorted numbers against N(0, 1); Φ by the series of its density, good for what occurs here. */
function kolmogorov(sorted: readonly number[]): number {
  const n = sorted.length;
  const phi = (x: number): number => {
    let [term, sum] = [x, x];
    for (let i = 3; i < 200; i += 2) {
      term *= (x * x) / i;
      sum += term;
    }
    return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
  };
  const gaps = sorted.flatMap((x, i) => [Math.abs(phi(x) - i / n), Math.abs(phi(x) - (i + 1) / n)]);
  return Math.sqrt(n) * Math.max(...gaps);
}
