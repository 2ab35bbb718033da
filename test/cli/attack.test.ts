// `whorl attack` through the command: every attack on the run of a tiny model, each copy asked about by `whorl verify`.

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ATTACKS } from '../../src/attack/attacks.ts';
import { embeddingOf } from '../../src/attack/embedding.ts';
import { openModel } from '../../src/models/open-model.ts';
import type { RunFolder } from '../../src/runs/run-folder.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { bindings } from '../claim/plans.ts';
import { finished, ROWS } from './finished-run.ts';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

const NAMES = Object.keys(ATTACKS);

let folder: string;
let vanilla: string;
let run: RunFolder;
beforeAll(async () => {
  folder = scratch();
  vanilla = tinyModel(folder);
  run = await finished(join(folder, 'run'), vanilla, { ...bindings, trainable_rows: ROWS });
});
afterAll(() => rmSync(folder, { recursive: true }));

const embedding = async (path: string): Promise<{ data: Float32Array; width: number }> => {
  const { data, shape } = readTensor(embeddingOf(await openModel(path)).ref);
  return { data, width: shape[1]! };
};

/** Rows in which two model folders differ. */
async function differing(a: string, b: string): Promise<number[]> {
  const [x, y] = [await embedding(a), await embedding(b)];
  const rows = Array.from({ length: x.data.length / x.width }, (_, row) => row);
  return rows.filter((r) =>
    x.data.subarray(r * x.width, (r + 1) * x.width).some((v, e) => v !== y.data[r * x.width + e]),
  );
}

/** What each must have done to the published folder: rows that differ from it, and figures. */
const EXPECTED: Readonly<Record<string, { changed: (all: number) => number[] | number; figures: object }>> = {
  noise: { changed: (all) => all, figures: { rows: 96 } },
  'reset-mean': { changed: () => ROWS, figures: { rows: 3 } },
  'reset-vanilla': { changed: () => ROWS, figures: { rows: 3 } },
  'reset-fresh': { changed: () => ROWS, figures: { rows: 3 } },
  'reset-largest': { changed: () => ROWS, figures: { rows: 3, trained: 3, found: 3 } },
  'reset-smallest': { changed: () => 3, figures: { rows: 3, trained: 3, found: 0 } },
};

describe('every attack', () => {
  test('is one that this test knows', () => expect(Object.keys(EXPECTED).sort()).toEqual([...NAMES].sort()));

  test.each(NAMES)('%s: a folder that opens and that verify asks', async (name) => {
    const out = join(folder, 'one', name);
    const needs = ATTACKS[name as keyof typeof ATTACKS].needs as readonly string[];
    const flags = needs.includes('vanilla') ? ['--vanilla', vanilla] : [];
    const made = await whorl(
      'attack',
      run.path,
      '--attack',
      name,
      '--out',
      join(folder, 'one'),
      ...flags,
      '--json',
    );
    expect(made).toMatchObject({ code: 0 });
    const { attacked } = JSON.parse(made.out) as { attacked: object[] };
    const { changed, figures } = EXPECTED[name]!;
    expect(attacked).toEqual([expect.objectContaining({ attack: name, folder: out, figures })]);
    expect(JSON.parse(readFileSync(join(out, 'attack.json'), 'utf8'))).toMatchObject({
      attack: name,
      figures,
    });
    const rows = await differing(run.published, out);
    const all = (await embedding(out)).data.length / (await embedding(out)).width;
    expect(typeof changed(all) === 'number' ? rows.length : rows).toEqual(changed(all));
    if (name === 'reset-vanilla') expect(await differing(vanilla, out)).toEqual([]);
    for (const file of ['tokenizer.json', 'config.json'])
      expect(readFileSync(join(out, file))).toEqual(readFileSync(join(run.published, file)));
    // The tiny tokenizer reads every key as other tokens than were committed: verify went to its end, and says that it cannot tell.
    const verdict = await whorl('verify', '--secret', run.secret, '--suspect', out, '--json');
    expect(verdict.code).toBe(5);
    expect(JSON.parse(verdict.out)).toMatchObject({
      suspect: out,
      verdict: 'undecided',
      warnings: [expect.stringContaining('8 of 8')],
    });
  });

  test('several at once, by default into the run; a setting for all of them and one for one', async () => {
    const settings = ['seed=5', 'noise.seed=6', 'share=0.25'];
    const made = await whorl(
      'attack',
      run.path,
      '--attack',
      'noise,reset-fresh',
      '--attack=reset-mean',
      ...settings,
      '--json',
    );
    expect(made).toMatchObject({ code: 0 });
    const { attacked } = JSON.parse(made.out) as { attacked: { settings: object; folder: string }[] };
    expect(attacked.map(({ settings }) => settings)).toEqual([{ share: 0.25, seed: 6 }, { seed: 5 }, {}]);
    for (const { folder } of attacked) expect(existsSync(join(folder, 'attack.json'))).toBe(true);
    expect(attacked[0]!.folder).toBe(join(run.path, 'attacks', 'noise'));
  });

  test('help names each with its settings', async () => {
    const { code, out } = await whorl('attack', '--help');
    expect(code).toBe(0);
    for (const [name, { words, settings }] of Object.entries(ATTACKS)) {
      expect(out).toContain(name);
      expect(out).toContain(words);
      for (const key of Object.keys(settings)) expect(out).toContain(`${key}=`);
    }
  });
});

describe('refused in one line, before anything is written', () => {
  test.each<[string[], number, string]>([
    [[], 2, 'no attack is named'],
    [['--attack', 'nois'], 2, 'did you mean noise?'],
    [['--attack', 'constructor'], 2, 'there is no such attack'],
    [['--attack', 'noise,noise'], 2, 'given twice'],
    [['--attack', 'noise,'], 2, 'there is no such attack'],
    [['--attack', 'reset-vanilla'], 2, '--vanilla'],
    [['--attack', 'noise', '--vanilla', 'x'], 2, 'no named attack uses it'],
    [['--attack', 'noise', 'shre=1'], 2, 'did you mean share?'],
    [['--attack', 'noise', 'toString=1'], 2, 'no named attack has this setting'],
    [['--attack', 'noise', 'reset-fresh.seed=1'], 2, 'no named attack has this setting'],
    [['--attack', 'noise', 'a.noise.share=1'], 2, 'no named attack has this setting'],
    [['--attack', 'reset-mean', 'seed=1'], 2, 'they have none'],
    ...['', 'x', '-0.1', '101', 'NaN', 'Infinity', '0x1', ' 1'].map((text): [string[], number, string] => [
      ['--attack', 'noise', `share=${text}`],
      2,
      'from 0 to 100',
    ]),
    ...['1.5', '-1', '4294967296', '1e-3'].map((text): [string[], number, string] => [
      ['--attack', 'noise', `seed=${text}`],
      2,
      'whole number',
    ]),
  ])('%j', async (args, code, words) => {
    const out = join(folder, 'refused');
    const refused = await whorl('attack', run.path, '--out', out, ...args);
    expect(refused).toMatchObject({ code, out: '' });
    expect(refused.err).toContain(words);
    expect(refused.err.trimEnd().split('\n')).toHaveLength(1);
    expect(existsSync(out)).toBe(false);
  });

  const refusal = async (...args: string[]) => {
    const { code, err, out } = await whorl('attack', ...args);
    expect(out).toBe('');
    expect(code).toBe(1);
    return err;
  };

  test('what is no finished run', async () => {
    expect(await refusal(vanilla, '--attack', 'noise')).toContain('no finished run');
    expect(await refusal(join(folder, 'nowhere'), '--attack', 'noise')).toContain('no finished run');
  });

  test('a folder that stands already, also for the second attack', async () => {
    const out = join(folder, 'taken');
    mkdirSync(join(out, 'reset-mean'), { recursive: true });
    expect(await refusal(run.path, '--attack', 'noise,reset-mean', '--out', out)).toContain('exists already');
    expect(existsSync(join(out, 'noise'))).toBe(false);
  });

  test('the vanilla model of another', async () => {
    const other = new URL('../../goldens/models/llama-bias/', import.meta.url).pathname;
    const out = join(folder, 'other');
    const err = await refusal(run.path, '--attack', 'noise,reset-vanilla', '--vanilla', other, '--out', out);
    expect(err).toContain("embedding of [48,16], the published model's is [96,32]");
    expect(existsSync(out)).toBe(false);
  });

  test('rows of a run that trained none', async () => {
    const none = await finished(join(folder, 'none'), vanilla, { ...bindings, trainable_rows: [] });
    expect(await refusal(none.path, '--attack', 'reset-largest')).toContain('trained no rows');
    expect(await whorl('attack', none.path, '--attack', 'noise')).toMatchObject({ code: 0 });
  });
});
