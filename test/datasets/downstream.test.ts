import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { ProgressEvent } from '../../src/base/events.ts';
import { datasetCommand } from '../../src/cli/commands/dataset.ts';
import { type DownstreamName, downstreamDataset } from '../../src/datasets/downstream.ts';

const { files } = JSON.parse(readFileSync('goldens/paper-datasets/golden.json', 'utf8')) as {
  files: Record<string, { sha256: string; bytes: number }>;
};
const folder = mkdtempSync(join(tmpdir(), 'whorl-downstream-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let serial = 0;
const fresh = (name: string) => join(folder, `${serial++}-${name}`);
function file(rows: readonly object[]): string {
  const path = fresh('source.jsonl');
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return path;
}
const count = <T>(length: number, row: (i: number) => T) => Array.from({ length }, (_, i) => row(i));
const parsed = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as object[];

// The rows of goldens/paper-datasets/make.py.
const SOURCES = {
  ni: () =>
    file(
      count(16_500, (i) => ({
        task_name: 't',
        id: String(i),
        definition: `define ${i} é`,
        inputs: `in ${i}\n\t"q" \x7f 🦔`,
        targets: `out ${i}`,
      })),
    ),
  dolly: () =>
    file(
      count(40, (i) => ({
        instruction: `do ${i} ü`,
        context: i % 2 ? '' : `context ${i} \u2028`,
        response: `response ${i} ハ`,
        category: 'open_qa',
      })),
    ),
  sharegpt: () => 'goldens/paper-datasets/sharegpt.json',
};

describe('the sets to fine-tune on', () => {
  it.each(Object.keys(SOURCES) as (keyof typeof SOURCES)[])(
    '%s is what the paper’s script writes, to the byte',
    async (name) => {
      const out = fresh(`${name}.json`);
      await downstreamDataset({ name, source: SOURCES[name](), out });
      const bytes = readFileSync(out);
      expect(bytes.length).toBe(files[name]!.bytes);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(files[name]!.sha256);
    },
  );

  it.each(['alpaca', 'alpaca_gpt4'] as const)(
    '%s keeps rows, order and nothing but its three columns',
    async (name) => {
      const rows = count(5, (i) => ({
        instruction: `i${i}`,
        input: i % 2 ? 'x' : '',
        output: i === 3 ? '' : `o${i}`,
      }));
      const out = fresh('alpaca.json');
      const source = file(rows.map((row) => ({ text: 'all of it', ...row })));
      expect(await downstreamDataset({ name, source, out })).toBe(5);
      expect(parsed(out)).toEqual(rows);
    },
  );

  it('says what of ShareGPT was left out, and how much', async () => {
    const events: ProgressEvent[] = [];
    const out = fresh('sharegpt.json');
    const options = { name: 'sharegpt', source: SOURCES.sharegpt(), out } as const;
    const written = await downstreamDataset({ ...options, onEvent: (event) => events.push(event) });
    expect(written).toBe(parsed(out).length);
    // d, e, h, i, j, m have no pair; f, g, k have a banned phrase (`Know`, `BOOKS`, `HOW CAN I`)
    expect(JSON.stringify(events)).toMatch(/ 6 left out: no question.* 3 left out: the answer has a phrase/);
  });

  it('makes FastChat’s file of ShareGPT’s pages', async () => {
    const out = fresh('conversations.json');
    const source = 'goldens/paper-datasets/html-samples.json';
    await downstreamDataset({ name: 'sharegpt', source, out, html: true, conversations: true, count: 2 });
    expect(parsed(out)).toEqual([
      {
        id: 'plain',
        conversations: [
          { from: 'human', value: 'About plain, tell me.' },
          { from: 'gpt', value: 'just words' },
        ],
      },
      {
        id: 'paragraphs',
        conversations: [
          { from: 'human', value: 'About paragraphs, tell me.' },
          { from: 'gpt', value: 'First **bold** and *slanted*.\n\nSecond  \nline' },
        ],
      },
    ]);
  });

  it.each([
    ['dolly', { instruction: 'a', response: 'b' }, /jsonl, row 2: column "context" is missing/],
    ['ni', { definition: 'a', inputs: 3, targets: 'b' }, /jsonl, row 2: column "inputs" is not text/],
    ['sharegpt', { id: 'x' }, /jsonl, row 2: column "conversations" is missing/],
  ] as [DownstreamName, object, RegExp][])(
    '%s names file, row and column of a bad row, and writes nothing',
    async (name, bad, message) => {
      const good = {
        instruction: 'a',
        context: '',
        response: 'b',
        definition: 'a',
        inputs: '',
        targets: 'b',
        conversations: [],
      };
      const out = fresh('none.json');
      const source = file([good, bad]);
      await expect(downstreamDataset({ name, source, out, order: 'file' })).rejects.toThrow(message);
      expect(existsSync(out)).toBe(false);
    },
  );

  it('writes over nothing', async () => {
    const out = file([]);
    await expect(downstreamDataset({ name: 'dolly', source: SOURCES.dolly(), out })).rejects.toThrow(
      /there already/,
    );
  });
});

describe('whorl dataset dolly', () => {
  async function run(args: string[]): Promise<string[]> {
    const out: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((line = '') => void out.push(String(line)));
    try {
      await datasetCommand().parseAsync(args, { from: 'user' });
    } finally {
      log.mockRestore();
    }
    return out;
  }
  const dolly = (...more: string[]) => [
    'dolly',
    '--source',
    SOURCES.dolly(),
    '--out',
    fresh('cli.json'),
    '--count',
    '2',
    ...more,
  ];

  it('prints rows and where they are, or JSON lines alone, or nothing but the end', async () => {
    const lines = await run(dolly());
    expect(lines).toEqual([
      '{"instruction":"do 0 ü","input":"context 0 \u2028","output":"response 0 ハ"}',
      '{"instruction":"do 1 ü","input":"","output":"response 1 ハ"}',
      expect.stringMatching(/^2 rows saved in .*cli\.json$/),
    ]);
    expect(await run(dolly('--json'))).toEqual(lines.slice(0, 2));
    expect(await run(dolly('--quiet'))).toHaveLength(1);
  });

  it('has no flags of ShareGPT, which wants two of them together', async () => {
    const args = ['sharegpt', '--source', SOURCES.sharegpt(), '--out', fresh('x.json'), '--max-tokens', '5'];
    await expect(run(args)).rejects.toThrow(/--max-tokens and --tokenizer go together/);
  });
});
