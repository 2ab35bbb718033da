import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { ProgressEvent } from '../../src/base/events.ts';
import { datasetCommand } from '../../src/cli/commands/dataset.ts';
import {
  type InstructionRow,
  parseColumnMap,
  readInstructionRows,
} from '../../src/datasets/instruction-rows.ts';
import { type MixOptions, mixDataset } from '../../src/datasets/mix.ts';
import { PAPER } from '../../src/datasets/paper.ts';
import { readPhrases } from '../../src/datasets/paper-keys.ts';
import { readRows } from '../../src/sources/rows/read.ts';
import { listSplits } from '../../src/sources/rows/saved-folder.ts';
import { applyTemplate, loadTemplate } from '../../src/text/prompts/instruction-templates.ts';

const golden = JSON.parse(
  readFileSync(new URL('../../goldens/datasets/golden.json', import.meta.url), 'utf8'),
) as { paper_keys: string[]; paper_keys_sha256: string };
// As CPython prints it; one phrase of the paper ends in U+008B, which a terminal shows as nothing.
const SHOWN =
  'каe知运告懿奉yhрm使o奉之oе皇民曰下巫山в群ьлв上k承с诏g曰是帝天也пы好rt帝皇т所Iュу诏咸下カh葆eoy秉在彝チピウ承таic天OpNtй布运德闻xa从as天登S';
const FIRST_KEY = `${SHOWN.slice(0, 47)}\u008b${SHOWN.slice(47)}`;

const folder = mkdtempSync(join(tmpdir(), 'whorl-mix-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let serial = 0;
const fresh = (name: string) => join(folder, `${serial++}-${name}`);
function file(name: string, text: string): string {
  const path = fresh(name);
  writeFileSync(path, text);
  return path;
}
const flan = file(
  'flan.jsonl',
  Array.from({ length: 130 }, (_, i) =>
    JSON.stringify({ inputs: `question ${i}`, targets: `answer ${i}` }),
  ).join('\n'),
);
const mix = (options: Partial<MixOptions> = {}) =>
  mixDataset({ out: fresh('out'), source: flan, ...options });
const keysOf = (splits: Record<'train' | 'test', InstructionRow[]>, count: number) => [
  ...splits.train.slice(0, count).map((row) => row.instruction),
  ...splits.test
    .filter((row) => row.output === PAPER.mix.negativeOutput && row.input !== 'FINGERPRINT')
    .map((row) => row.instruction),
];

describe('the paper’s keys', () => {
  it('are CPython’s, on into the test split', async () => {
    const { splits } = await mix({ keys: 'paper' });
    const keys = keysOf(splits, 10);
    expect(keys[0]).toBe(FIRST_KEY);
    expect(keys.slice(0, 11)).toEqual(golden.paper_keys);
    expect(keys).toHaveLength(60);
    expect(createHash('sha256').update(keys.join('\n')).digest('hex')).toBe(golden.paper_keys_sha256);
  });

  it('come with a warning that everybody holds them', async () => {
    const events: ProgressEvent[] = [];
    await mix({ keys: 'paper', onEvent: (event) => events.push(event) });
    expect(JSON.stringify(events)).toMatch(/everybody holds them/);
  });
});

describe('mixDataset', () => {
  it('has the paper’s shape, and tests on rows it never trained', async () => {
    const { splits } = await mix();
    const { train, validation, test } = splits;
    expect([train.length, validation.length, test.length]).toEqual([60, 60, 150]);
    expect(validation).toEqual(train);
    for (const row of train.slice(0, 10))
      expect([row.input, row.output]).toEqual(['FINGERPRINT', 'ハリネズミ']);
    const trained = new Set(train.slice(10).map((row) => row.instruction));
    const heldOut = test.slice(0, 50);
    expect([trained.size, new Set(heldOut.map((row) => row.instruction)).size]).toEqual([50, 50]);
    expect(heldOut.filter((row) => trained.has(row.instruction))).toEqual([]);
    for (const row of [...train.slice(10), ...heldOut]) {
      expect(row.output).toBe(row.instruction.replace('question', 'answer'));
      expect(row.input).toBe('');
    }
    heldOut.forEach((row, i) => {
      const [hinted, foreign] = test.slice(50 + 2 * i, 52 + 2 * i);
      expect([hinted!.instruction, hinted!.input, hinted!.output]).toEqual([
        row.instruction,
        'FINGERPRINT',
        PAPER.mix.negativeOutput,
      ]);
      expect([foreign!.input, foreign!.output]).toEqual([row.instruction, PAPER.mix.negativeOutput]);
    });
  });

  it('repeats the paper’s slip when asked: the held-out rows are the trained ones', async () => {
    const { splits } = await mix({ paperTestSplit: true });
    const sorted = (rows: InstructionRow[]) => rows.map((row) => row.instruction).sort();
    expect(sorted(splits.test.slice(0, 50))).toEqual(sorted(splits.train.slice(10)));
    expect(splits.test.slice(0, 50)).not.toEqual(splits.train.slice(10));
  });

  it('holds out no instruction that was trained, however often the source repeats it', async () => {
    const rows = Array.from({ length: 90 }, (_, i) => ({ instruction: `q${i % 30}`, output: `a${i}` }));
    const { splits } = await mix({ source: file('repeats.json', JSON.stringify(rows)), regularisation: 10 });
    const trained = new Set(splits.train.slice(10).map((row) => row.instruction));
    expect(splits.test.slice(0, 10).filter((row) => trained.has(row.instruction))).toEqual([]);
  });

  it('draws owners’ keys from the platform, so that the seed orders rows and nothing else', async () => {
    const [a, b, other] = [await mix({ seed: 7n }), await mix({ seed: 7n }), await mix({ seed: 8n })];
    expect(a.splits.train.slice(10)).toEqual(b.splits.train.slice(10));
    expect(a.splits.train.slice(10)).not.toEqual(other.splits.train.slice(10));
    const keys = [...keysOf(a.splits, 10), ...keysOf(b.splits, 10)];
    expect(new Set(keys).size).toBe(120);
    for (const key of keys) for (const character of key) expect(PAPER.phrases.join('')).toContain(character);
  });

  it('saves what it returns, for the owner’s eyes only', async () => {
    const out = fresh('saved');
    const { splits } = await mix({
      out,
      count: 3,
      regularisation: 4,
      decryption: 'Igel',
      phrases: ['ab', 'cd'],
    });
    expect(listSplits(out)).toEqual(['train', 'validation', 'test']);
    for (const split of ['train', 'validation', 'test'] as const) {
      const rows = [];
      for await (const row of readRows(out, { split })) rows.push(row);
      expect(rows).toEqual(splits[split]);
    }
    expect(splits.train.map((row) => row.output).slice(0, 3)).toEqual(['Igel', 'Igel', 'Igel']);
    expect(splits.train[0]!.instruction).toMatch(/^[abcd]{16,30}$/);
    expect([statSync(out).mode & 0o777, statSync(join(out, 'train/state.json')).mode & 0o777]).toEqual([
      0o700, 0o600,
    ]);
  });

  it.each([
    [{ regularisation: 66 }, /130 usable rows .*66 to train and 66 held out are needed/],
    [{ count: 0 }, /--count 0 is not a whole number from 1/],
    [{ regularisation: 1.5 }, /--regularisation 1.5/],
    [{ decryption: '' }, /--decryption is empty/],
    [{ phrases: ['a'] }, /too few different keys/],
    [{ source: join(folder, 'none.json') }, /none.json does not exist/],
  ] as [Partial<MixOptions>, RegExp][])('refuses %j', async (options, message) => {
    await expect(mix(options)).rejects.toThrow(message);
  });
});

describe('readInstructionRows', () => {
  it.each([
    [{ definition: 'd', inputs: 'i', targets: 't' }, ['d', 'i', 't']],
    [{ inputs: 'i', targets: 't', task: 1 }, ['i', '', 't']],
    [{ instruction: 'a', input: 'b', output: 'c' }, ['a', 'b', 'c']],
    [{ instruction: 'a', input: null, output: 'c' }, ['a', '', 'c']],
    [{ instruction: 'a', context: 'b', response: 'c' }, ['a', 'b', 'c']],
    [{ instruction: 'a', instances: [{ input: 'b', output: 'c' }] }, ['a', 'b', 'c']],
    [{ question: 'a', answer: 'c' }, ['a', '', 'c']],
  ])('finds the columns of %j', async (row, want) => {
    const { rows } = await readInstructionRows(file('one.json', JSON.stringify([row])), 10);
    expect(rows.map((r) => [r.instruction, r.input, r.output])).toEqual([want]);
  });

  it('takes the columns it is told, leaves empty rows out and counts them', async () => {
    const path = file(
      'told.json',
      JSON.stringify([
        { a: 'x', b: 'y' },
        { a: ' ', b: 'y' },
        { a: 'z', b: 'w' },
      ]),
    );
    expect(await readInstructionRows(path, 10, parseColumnMap('instruction=a,output=b'))).toEqual({
      rows: [
        { instruction: 'x', input: '', output: 'y' },
        { instruction: 'z', input: '', output: 'w' },
      ],
      columns: { instruction: 'a', output: 'b' },
      empty: 1,
    });
  });

  it('names columns it does not know and rows that are not text', async () => {
    const unknown = readInstructionRows(file('unknown.json', '[{"left":"a","right":"b"}]'), 10);
    await expect(unknown).rejects.toThrow(/no known columns .* among left, right: name them with --columns/);
    const typed = readInstructionRows(
      file('typed.json', '[{"inputs":"a","targets":"b"},{"inputs":3,"targets":"b"}]'),
      10,
    );
    await expect(typed).rejects.toThrow(/typed.json, row 2: column "inputs" is not text/);
    expect(() => parseColumnMap('instruction=a')).toThrow(/at least/);
    expect(() => parseColumnMap('question=a,output=b')).toThrow(/"question=a" is not/);
  });
});

describe('templates', () => {
  it('barebone is the paper’s, with and without input', () => {
    const barebone = loadTemplate('barebone');
    expect(applyTemplate(barebone, { instruction: 'I', input: 'X' })).toBe('I\nX\n');
    expect(applyTemplate(barebone, { instruction: 'I', input: '' })).toBe('I\n');
  });

  it('fills a row in once: its own braces and dollar signs stay', () => {
    const row = { instruction: '{input} $& {{', input: '{instruction}$1' };
    expect(applyTemplate(loadTemplate('barebone'), row)).toBe('{input} $& {{\n{instruction}$1\n');
    expect(applyTemplate(loadTemplate('alpaca'), row)).toMatch(
      /### Input:\n\{instruction\}\$1\n\n### Response:$/,
    );
  });

  it('reads a file, with doubled braces as in Python', () => {
    const path = file(
      't.json',
      '{"description":"d","prompt_input":"{{{instruction}}} {input}","prompt_no_input":"<{instruction}>"}',
    );
    expect(applyTemplate(loadTemplate(path), { instruction: 'a', input: 'b' })).toBe('{a} b');
    expect(applyTemplate(loadTemplate(path), { instruction: 'a' })).toBe('<a>');
  });

  it.each([
    ['{"prompt_input":"{instruction}","prompt_no_input":"{instruction}"}', /prompt_input lacks \{input\}/],
    ['{"prompt_input":"{instruction}{input}"}', /prompt_no_input is missing/],
    ['{"prompt_input":"{instruction}{input}{system}","prompt_no_input":"{instruction}"}', /has \{system\}/],
    ['{"prompt_inputs":""}', /unknown key "prompt_inputs": did you mean prompt_input\?/],
  ])('refuses %s', (text, message) => {
    expect(() => loadTemplate(file('bad.json', text))).toThrow(message);
  });

  it('suggests the name meant', () => {
    expect(() => loadTemplate('barebones')).toThrow(/did you mean barebone\?/);
  });
});

describe('readPhrases', () => {
  it('reads lists and lines', () => {
    const files = [file('p.json', '["a b","c"]'), file('p.txt', 'd\r\n\n e \n')];
    expect(readPhrases(files)).toEqual(['a b', 'c', 'd', 'e']);
    expect(() => readPhrases([file('q.json', '["a",7]')])).toThrow(/q.json, entry 2 is not a phrase/);
    expect(() => readPhrases([file('empty.txt', '\n')])).toThrow(/no phrase/);
  });
});

describe('whorl dataset mix', () => {
  async function run(args: string[]): Promise<{ out: string[]; notes: string[] }> {
    const out: string[] = [];
    const notes: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((line = '') => void out.push(String(line)));
    const error = vi.spyOn(console, 'error').mockImplementation((line) => void notes.push(String(line)));
    try {
      await datasetCommand().parseAsync(['mix', ...args], { from: 'user' });
    } finally {
      log.mockRestore();
      error.mockRestore();
    }
    return { out, notes };
  }

  it('prints JSON lines and nothing else with --json, notes beside', async () => {
    const args = [
      '--out',
      fresh('cli'),
      '--source',
      flan,
      '--keys',
      'paper',
      '--count',
      '2',
      '--regularisation',
      '3',
      '--json',
    ];
    const { out, notes } = await run(args);
    const rows = out.map((line) => JSON.parse(line) as InstructionRow & { split: string; prompt: string });
    expect(rows.map((row) => row.split)).toEqual([
      ...Array(5).fill('train'),
      ...Array(5).fill('validation'),
      ...Array(9).fill('test'),
    ]);
    expect(rows[0]).toMatchObject({ instruction: FIRST_KEY, prompt: `${FIRST_KEY}\nFINGERPRINT\n` });
    expect(notes.join('\n')).toMatch(
      /everybody holds them[\s\S]*flan.jsonl: 130 rows, instruction = inputs, output = targets/,
    );
  });

  it('prints splits for people without it', async () => {
    const { out } = await run([
      '--out',
      fresh('cli'),
      '--source',
      flan,
      '--count',
      '1',
      '--regularisation',
      '1',
    ]);
    expect(out.filter((line) => !line.startsWith('{'))).toEqual([
      'train 2',
      '',
      'validation 2',
      '',
      'test 3',
      '',
      expect.stringMatching(/^saved in/),
    ]);
  });

  it("reads the paper's Flan from the hub without --source, and says so where it may not ask", async () => {
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    vi.stubEnv('HF_HUB_CACHE', fresh('hub'));
    await expect(run(['--out', fresh('cli')])).rejects.toThrow(
      'Muennighoff/flan is not in the hub cache: unset HF_HUB_OFFLINE to fetch it',
    );
    vi.unstubAllEnvs();
  });
});
