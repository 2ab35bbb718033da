// `whorl eval` on a tiny model: results, samples, going on where it was stopped, and what it says of bad input.

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { catalogue } from '../../src/evaluate/catalogue.ts';
import { Journal } from '../../src/evaluate/journal.ts';
import { splitsOf } from '../evaluate/golden-rows.ts';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

const place = scratch();
const model = tinyModel(place);
const data = join(place, 'data');
const TASKS = ['piqa', 'winogrande', 'cola', 'lambada_openai', 'mmlu_anatomy'];

/** The tokenizer of the tiny model knows printable ASCII alone. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value)
      .replace(/[^ -~]/g, 'x')
      .replace(/\\n/g, ' '),
  );

function writeRows(folder: string, split: string, rows: readonly unknown[]): void {
  mkdirSync(join(data, folder), { recursive: true });
  writeFileSync(join(data, folder, `${split}.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

beforeAll(() => {
  for (const name of TASKS)
    for (const [split, rows] of Object.entries(splitsOf(catalogue().tasks.get(name)!)))
      writeRows(name, split, rows.map(plain));
});

const evaluate = (out: string, ...more: string[]) =>
  whorl('eval', '--model', model, '--data', data, '--out', join(place, out), ...more);

const bytes = (out: string): Record<string, string> =>
  Object.fromEntries(
    [join(place, out), join(place, `${out}.samples`)].flatMap((folder) =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => {
          const path = join(entry.parentPath, entry.name);
          return [path.slice(place.length).replace(`/${out}`, ''), readFileSync(path, 'utf8')] as const;
        }),
    ),
  );

describe('an evaluation', () => {
  test('writes results in the layout of the harness, and the same bytes when it is stopped half way', async () => {
    const args = ['--tasks', TASKS.join(','), '--shots', '0,1', '--json'];
    const { code, out, err } = await evaluate('whole', ...args);
    expect(code, err).toBe(0);
    const printed = JSON.parse(out) as Record<string, Record<string, Record<string, number>>>;
    expect(Object.keys(printed)).toEqual(['0', '1']);
    expect(printed[0]!.piqa).toMatchObject({
      'acc,none': expect.any(Number),
      'acc_norm,none': expect.any(Number),
    });
    const whole = bytes('whole');
    expect(Object.keys(whole).filter((name) => name.includes('samples_')).length).toBe(2 * TASKS.length);

    // What a kill leaves: results gone, answers of some rows there, one line half written.
    const sample = JSON.parse(whole['.samples/samples_piqa_0.jsonl']!.split('\n')[0]!) as {
      resps: [[string, string]][];
    };
    cpSync(join(place, 'whole'), join(place, 'half'), { recursive: true });
    rmSync(join(place, 'half', TASKS.join(','), '1.json'));
    const again = await evaluate('half', ...args);
    expect(again.code, again.err).toBe(0);
    expect(sample.resps).toHaveLength(2);
    for (const [name, text] of Object.entries(bytes('half'))) expect(text, name).toBe(whole[name]);
  }, 120_000);

  test('in fewer bits is another evaluation, and says so', async () => {
    const args = ['--tasks', 'piqa', '--shots', '0'];
    const read = (out: string) =>
      (JSON.parse(readFileSync(join(place, out, 'piqa', '0.json'), 'utf8')) as { whorl: object }).whorl;
    for (const [out, precision, other] of [
      ['own', 'float32', 'int4'],
      ['fewer', 'int4', 'float32'],
    ] as const) {
      expect(await evaluate(out, ...args, '--precision', precision)).toMatchObject({ code: 0 });
      const again = await evaluate(out, ...args, '--precision', other);
      expect(again.code).toBe(1);
      expect(again.err).toContain('holds results of other');
    }
    expect(read('fewer')).toHaveProperty('precision', 'int4');
    expect(read('own')).not.toHaveProperty('precision');
    const kept = await evaluate('own', ...args, '--precision', 'stored');
    expect(kept).toMatchObject({ code: 0 });
  });

  test('asks no row again whose answer was kept, and drops half a line', async () => {
    const path = join(place, 'journal.jsonl');
    const answer = { scores: [{ logprob: -1.25, tokens: 1, greedy: true }] };
    const first = new Journal(path, 'a');
    first.add(0, 'x', answer);
    first.add(1, 'y', answer);
    first.close();
    const text = readFileSync(path, 'utf8');
    for (let cut = 0; cut < text.length; cut += 7) {
      writeFileSync(path, text.slice(0, cut));
      const journal = new Journal(path, 'a');
      const lines = text.slice(0, cut).split('\n').length - 1;
      // A line that lacks its end alone is whole.
      expect(journal.answer(0, 'x') !== undefined).toBe(lines >= 2 || (text[cut] === '\n' && lines === 1));
      journal.add(2, 'z', answer);
      journal.close();
      const next = new Journal(path, 'a');
      expect(next.answer(2, 'z')).toEqual(answer);
      expect(next.answer(2, 'other')).toBeUndefined();
      next.close();
    }
    expect(new Journal(path, 'b').answer(2, 'z')).toBeUndefined();
  });

  test('finds its answers in a journal of any length, and refuses what is none', () => {
    const path = join(place, 'long.jsonl');
    const generated = 'é'.repeat(200_000); // lines that end in the middle of what is read at once
    const journal = new Journal(path, 'a');
    for (let row = 0; row < 9; row++)
      journal.add(row, `asked ${row}`, { generated: generated + String(row) });
    expect(journal.answer(3, 'asked 3')).toEqual({ generated: `${generated}3` });
    journal.close();
    const again = new Journal(path, 'a');
    for (let row = 0; row < 9; row++)
      expect(again.answer(row, `asked ${row}`)).toEqual({ generated: generated + String(row) });
    again.close();
    truncateSync(path, 600 * 2 ** 20); // more than a text of JavaScript can hold
    expect(() => new Journal(path, 'a')).toThrow(/long\.jsonl is no journal of an evaluation/);
  });

  test('compares two models row by row', async () => {
    const { code, out, err } = await evaluate(
      'pair',
      '--tasks',
      'piqa,cola',
      '--shots',
      '0',
      '--compare',
      model,
      '--json',
    );
    expect(code, err).toBe(0);
    const { tables } = JSON.parse(out) as { tables: Record<string, unknown>[] };
    expect(tables).toHaveLength(2);
    for (const each of tables)
      expect(each).toMatchObject({ fell: 0, rose: 0, difference: 0, p_value: 1, verdict: 'non-inferior' });
  }, 120_000);
});

describe('bad input', () => {
  const refused = async (words: RegExp, exit: number, ...args: string[]) => {
    const { code, err } = await evaluate('bad', ...args);
    expect(err).toMatch(words);
    expect(code).toBe(exit);
    expect(
      err
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('whorl')).length,
    ).toBeLessThanOrEqual(1);
  };

  test('a task that does not exist', () => refused(/no task helaswag.*hellaswag/, 2, '--tasks', 'helaswag'));
  test('shots that are no numbers', () => refused(/--shots 0,x/, 2, '--tasks', 'piqa', '--shots', '0,x'));
  test('no rows', () => refused(/boolq.*validation\.jsonl/, 1, '--tasks', 'boolq'));

  test('a row without a column', async () => {
    writeRows('rte', 'validation', [
      { sentence1: 'a', sentence2: 'b', label: 0 },
      { sentence1: 'a', label: 1 },
    ]);
    await refused(
      /validation\.jsonl, line 2 has no column "sentence2", which rte needs/,
      1,
      '--tasks',
      'rte',
      '--shots',
      '0',
    );
  });

  test('too few rows for the shots', () =>
    refused(
      /cola at 60 shots draws from 61 rows or more, here are 8/,
      1,
      '--tasks',
      'cola',
      '--shots',
      '60',
    ));

  test('a choice without a token', async () => {
    const row = { sentence: 'a _', option1: 'x', option2: 'y', answer: '1' };
    writeRows('empty', 'validation', [row]);
    const folder = join(place, 'tasks');
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, 'empty.yaml'),
      'task: empty\ndataset_path: own/empty\noutput_type: multiple_choice\nvalidation_split: validation\ntarget_delimiter: ""\ndoc_to_text: "{{sentence}}"\ndoc_to_target: 0\ndoc_to_choice: ["a", ""]\nmetric_list: [{ metric: acc }]\nmetadata: { version: 1.0 }\n',
    );
    await refused(
      /validation\.jsonl, line 1: empty cannot score choice 2/,
      1,
      '--tasks',
      'empty',
      '--task-dir',
      folder,
      '--shots',
      '0',
    );
  });

  test('a key that Whorl does not know', async () => {
    const folder = join(place, 'keys');
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, 'x.yaml'),
      'task: x\ndoc_to_txt: a\ndataset_path: x\noutput_type: loglikelihood\nmetric_list: [{ metric: acc }]\nmetadata: { version: 1 }\n',
    );
    await refused(
      /x\.yaml: the key doc_to_txt is not known: did you mean doc_to_text/,
      1,
      '--tasks',
      'x',
      '--task-dir',
      folder,
    );
    writeFileSync(join(folder, 'x.yaml'), 'task: x\ndoc_to_text: !function utils.text\n');
    await refused(/x\.yaml, line 2: a tag such as !function/, 1, '--tasks', 'x', '--task-dir', folder);
  });

  test('results of other settings', async () => {
    const folder = join(place, 'bad', 'piqa');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, '0.json'), JSON.stringify({ whorl: { format: 7 } }));
    await refused(/0\.json holds results of format 7/, 1, '--tasks', 'piqa', '--shots', '0');
    writeFileSync(join(folder, '0.json'), JSON.stringify({ results: {} }));
    await refused(/0\.json holds results of another program/, 1, '--tasks', 'piqa', '--shots', '0');
  });
});
