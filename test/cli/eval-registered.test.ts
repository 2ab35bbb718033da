// `whorl eval --mode`: the paper's folders over runs made by hand, skipping what stands, and what it says of what is missing.

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { catalogue } from '../../src/evaluate/catalogue.ts';
import { splitsOf } from '../evaluate/golden-rows.ts';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

const root = scratch();
const data = join(root, 'data');
const vanilla = tinyModel(root);
const RUN = 'mix_epoch_1_lr_1e-2_bsz_8_d_16';
const NAME = vanilla.split('/').at(-1)!;
const run = join(root, 'output_barebone_adapter', NAME, RUN);
const results = join(root, 'harmlessness_eval');
const LONG = 400_000;

beforeAll(() => {
  for (const name of ['piqa', 'cola'])
    for (const [split, rows] of Object.entries(splitsOf(catalogue().tasks.get(name)!))) {
      mkdirSync(join(data, name), { recursive: true });
      const text = JSON.stringify(rows)
        .replace(/[^ -~]/g, 'x')
        .replace(/\\n/g, ' ');
      writeFileSync(join(data, name, `${split}.json`), text);
    }
  mkdirSync(run, { recursive: true });
  cpSync(vanilla, join(run, 'published'), { recursive: true });
});

const evaluate = (...more: string[]) =>
  whorl('eval', '--mode', 'adapter', '--root', root, '--data', data, '--model', vanilla, ...more);

interface Result {
  readonly kind: string;
  readonly shots: number;
  readonly state: string;
  readonly path: string;
}
const resultsOf = (out: string): Result[] => (JSON.parse(out) as { results: Result[] }).results;

test(
  'evaluates vanilla and published into the folders that the report reads, and skips what stands',
  async () => {
    const args = ['--tasks', 'piqa,cola', '--shots', '0,1', '--limit', '2', '--json'];
    const plan = await evaluate(...args, '--dry-run');
    expect(plan.code, plan.err).toBe(0);
    expect((JSON.parse(plan.out) as { writes: unknown[] }).writes).toHaveLength(4);
    expect(existsSync(results)).toBe(false);

    const first = await evaluate(...args);
    expect(first.code, first.err).toBe(0);
    expect(resultsOf(first.out).map(({ kind, shots, state }) => [kind, shots, state])).toEqual([
      ['vanilla', 0, 'made'],
      ['vanilla', 1, 'made'],
      ['adapter', 0, 'made'],
      ['adapter', 1, 'made'],
    ]);
    const file = join(results, 'fingerprinted_adapter', NAME, RUN, 'piqa,cola', '1.json');
    expect(existsSync(file)).toBe(true);
    const bytes = readFileSync(file, 'utf8');

    // One file less: that one alone is made, to the same bytes.
    rmSync(file);
    const again = await evaluate(...args);
    expect(resultsOf(again.out).map(({ state }) => state)).toEqual(['there', 'there', 'there', 'made']);
    expect(readFileSync(file, 'utf8')).toBe(bytes);

    // A part of the tasks is covered by what has all of them, as in the paper's script; other rows are not.
    const part = await evaluate('--tasks', 'cola', '--shots', '0', '--limit', '2', '--json');
    expect(resultsOf(part.out).map(({ state }) => state)).toEqual(['covered', 'covered']);
    const briefly = ['--system-instruction', 'Be brief.', '--out', results];
    const framed = await evaluate('--tasks', 'cola', '--shots', '1', '--limit', '2', ...briefly, '--json');
    expect(resultsOf(framed.out).map(({ state }) => state)).toEqual(['made', 'made']);
    const more = await evaluate('--tasks', 'cola', '--shots', '0', '--limit', '3', '--json');
    expect(resultsOf(more.out).map(({ state }) => state)).toEqual(['made', 'made']);
    const other = await evaluate('--tasks', 'piqa,cola', '--shots', '0', '--limit', '3');
    expect(other.code).toBe(1);
    expect(other.err).toContain('holds results of other limit');

    const report = await whorl('report', 'harmlessness', 'adapter', root, '--json');
    expect(report.code, report.err).toBe(0);
    const { paired } = JSON.parse(report.out) as { paired: { tables: Record<string, unknown>[] }[] };
    expect(paired).toHaveLength(1);
    // The same weights: no answer changed, and two rows are too few to say more.
    expect(paired[0]!.tables).toContainEqual(
      expect.objectContaining({ task: 'piqa', shots: 1, rows: 2, fell: 0, rose: 0, p_value: 1 }),
    );
    const table = await whorl('report', 'harmlessness', 'adapter', root, '--format', 'markdown');
    expect(table.out).toMatch(/before and after, row by row \(margin 1 points\)/);
  },
  LONG,
);

test(
  'results of the harness itself stand, and no model is opened for them',
  async () => {
    const away = `${vanilla}-away`;
    for (const place of [join('vanilla', NAME), join('fingerprinted_adapter', NAME, RUN)]) {
      const path = join(results, place, 'boolq,piqa,headqa', '5.json');
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, JSON.stringify({ results: { piqa: { 'acc,none': 0.5 } }, git_hash: 'abc' }));
    }
    renameSync(vanilla, away);
    try {
      const { code, out, err } = await evaluate('--tasks', 'piqa', '--shots', '5', '--json');
      expect(code, err).toBe(0);
      expect(resultsOf(out).map(({ state }) => state)).toEqual(['covered', 'covered']);
    } finally {
      renameSync(away, vanilla);
    }
  },
  LONG,
);

test(
  'names what cannot be evaluated, before any row is asked',
  async () => {
    const bare = ['eval', '--mode', 'adapter', '--data', data, '--tasks', 'piqa', '--shots', '0'];
    const nothing = await whorl(...bare, '--root', data);
    expect(nothing).toMatchObject({ code: 1 });
    expect(nothing.err).toMatch(/no model to evaluate: .*no run of it below/);
    const path = await whorl(...bare, '--root', root, '--dry-run', '--json');
    expect(path.code, path.err).toBe(0);
    expect((JSON.parse(path.out) as { notes: string[] }).notes).toContain(
      `${NAME} is left out: no hub id: name the vanilla model with --model`,
    );
    const both = await whorl(...bare, '--root', root, '--compare', vanilla);
    expect(both.err).toContain('--compare and --mode are two evaluations');
    const listed = await whorl(...bare, '--root', root, '--models', join(root, 'list'));
    expect(listed.err).toContain('--models and --mode are two evaluations');
    const pooled = await whorl(...bare, '--root', root, '--jobs', '2');
    expect(pooled.err).toContain('--jobs goes with a list');
    const lone = await whorl('eval', '--model', vanilla, '--data', data, '--tasks', 'piqa', '--registered');
    expect(lone.err).toContain('goes with --mode adapter|sft_chat');
    const open = await whorl('eval', '--data', data, '--tasks', 'piqa');
    expect(open.err).toContain('--model is not given');
    expect(readdirSync(results)).toEqual(['fingerprinted_adapter', 'vanilla']);
  },
  LONG,
);
