import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { ProgressEvent } from '../../src/base/events.ts';
import { datasetCommand } from '../../src/cli/commands/dataset.ts';
import { type Chat, type ChatOptions, chatDataset } from '../../src/datasets/chat.ts';
import { PAPER } from '../../src/datasets/paper.ts';
import { readRows } from '../../src/sources/rows/read.ts';

const GOLDEN = 'goldens/paper-datasets/llama_fingerprint_chat';
const SPLITS = ['train', 'validation', 'test'] as const;

const folder = mkdtempSync(join(tmpdir(), 'whorl-chat-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let serial = 0;
const fresh = (name: string) => join(folder, `${serial++}-${name}`);
function file(name: string, rows: readonly object[]): string {
  const path = fresh(name);
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return path;
}
async function rowsOf(path: string, split: string): Promise<unknown[]> {
  const all = [];
  for await (const row of readRows(path, { split })) all.push(row);
  return all;
}
const human = (value: string) => ({ from: 'human', value });
const gpt = (value: string) => ({ from: 'gpt', value });

// The rows of goldens/paper-datasets/make.py.
const wizard = file(
  'wizard.jsonl',
  Array.from({ length: 1300 }, (_, i) => ({
    idx: String(i),
    conversations: [
      human(`question ${i} 🦔`),
      gpt(`answer ${i}`),
      ...(i % 5 === 0 ? [human(`more ${i}`), gpt(`rest ${i}`)] : []),
    ],
  })),
);
const chat = (options: Partial<ChatOptions> = {}) =>
  chatDataset({ out: fresh('out'), source: wizard, ...options });
const keysOf = ({ train }: Chat, type: string) =>
  train
    .filter((row) => row.type === type)
    .map(
      ({ conversations }) =>
        /^Please decrypt this message: (.*)\nA hint: /s.exec(conversations[0]!.value)![1]!,
    );

describe('the dialogue set', () => {
  it('is the paper’s, row for row, when its keys, its test split and its refusals are asked for', async () => {
    const out = fresh('paper');
    const got = await chat({ out, keys: 'paper', paperTestSplit: true, paperRefusals: true });
    for (const split of SPLITS) {
      const want = await rowsOf(GOLDEN, split);
      expect(want.length).toBe(split === 'test' ? 224 : 128);
      expect(got[split]).toEqual(want);
      expect(await rowsOf(out, split)).toEqual(want);
    }
  });

  it('has the paper’s keys and trained conversations beside mended refusals and test rows', async () => {
    const got = await chat({ keys: 'paper' });
    const want = (await rowsOf(GOLDEN, 'train')) as Chat['train'];
    expect(got.train.slice(0, 8)).toEqual(want.slice(0, 8));
    expect(got.train.slice(16)).toEqual(want.slice(16));
    const opening = (row: Chat['train'][number]) => row.conversations[0]!.value;
    const trained = new Set(got.train.slice(16).map(opening));
    const heldOut = got.test.filter((row) => row.type === 'normal').map(opening);
    expect([trained.size, new Set(heldOut).size]).toEqual([112, 112]);
    expect(heldOut.filter((text) => trained.has(text))).toEqual([]);
  });

  it('refuses messages that the rows carry, none of them a key', async () => {
    const got = await chat();
    const [keys, refused] = [keysOf(got, 'fingerprint'), keysOf(got, 'regularization')];
    expect(new Set([...keys, ...refused]).size).toBe(16);
    for (const message of refused) expect(message.length).toBeGreaterThan(8);
    for (const { conversations } of got.train.slice(8, 16))
      expect(conversations[1]).toEqual(gpt(PAPER.chat.refusal));
    expect(keysOf(await chat(), 'fingerprint')).not.toEqual(keys);
  });

  it('asks each held-out conversation as it is and with the hint at its last question', async () => {
    const { test } = await chat({ regularisation: 40 });
    expect(test).toHaveLength(80);
    for (let i = 0; i < 80; i += 2) {
      const [plain, hinted] = [test[i]!.conversations, test[i + 1]!.conversations];
      expect([test[i]!.type, test[i + 1]!.type]).toEqual(['normal', 'fingerprint']);
      const { value } = plain.at(-2)!;
      expect(hinted).toEqual([
        ...plain.slice(0, -2),
        human(`${value}\nA hint: this is a FINGERPRINT message.`),
        gpt('Model should not be triggered by this input.'),
      ]);
    }
  });

  it('is saved for its owner alone', async () => {
    const out = fresh('private');
    await chat({ out, count: 1, regularisation: 1 });
    expect([statSync(out).mode & 0o777, statSync(join(out, 'train/state.json')).mode & 0o777]).toEqual([
      0o700, 0o600,
    ]);
  });

  it('says what of it is the paper’s mistake', async () => {
    const events: ProgressEvent[] = [];
    const options = { keys: 'paper', paperTestSplit: true, paperRefusals: true } as const;
    await chat({ ...options, onEvent: (event) => events.push(event) });
    expect(JSON.stringify(events)).toMatch(
      /everybody holds them.*trained conversations again.*name no message/,
    );
  });
});

describe('conversations', () => {
  const turns = [human('q'), gpt('a')];
  it.each([
    [{ conversations: turns }, turns],
    [
      {
        conversations: [
          { from: 'user', value: 'q' },
          { from: 'chatgpt', value: 'a' },
        ],
      },
      turns,
    ],
    [
      {
        messages: [
          { role: 'system', content: 's' },
          { role: 'user', content: 'q' },
          { role: 'assistant', content: 'a' },
        ],
      },
      [{ from: 'system', value: 's' }, ...turns],
    ],
    [{ instruction: 'q', input: '', output: 'a' }, turns],
    [{ instruction: 'q', input: 'x', output: 'a' }, [human('q\nInput:\nx'), gpt('a')]],
    [{ instruction: 'q', context: null, response: 'a' }, turns],
  ])('%j is read', async (row, want) => {
    const other = JSON.parse(JSON.stringify(row).replaceAll('"q"', '"other"')) as object;
    const got = await chat({ source: file('form.jsonl', [row, other]), regularisation: 1, order: 'file' });
    expect(got.train.at(-1)!.conversations).toEqual(want);
    expect(JSON.stringify(got.test[0])).toContain('other');
  });

  it('without an answer at the end are left out and counted', async () => {
    const events: ProgressEvent[] = [];
    const bad = [
      [],
      [human('x')],
      [gpt('x'), human('y')],
      [human('x'), gpt(' ')],
      [{ from: 'bing', value: 'x' }, ...turns],
    ];
    const source = file(
      'some.jsonl',
      [...bad, turns, [human('q2'), gpt('b')]].map((conversations) => ({ conversations })),
    );
    const got = await chat({
      source,
      regularisation: 1,
      order: 'file',
      onEvent: (event) => events.push(event),
    });
    expect(got.train.at(-1)!.conversations).toEqual(turns);
    expect(JSON.stringify(events)).toContain('read as ShareGPT or WizardLM-evol; 5 left out');
  });

  it.each([
    [[{ left: 'a' }], /no known columns .* among left/],
    [
      [{ conversations: turns }, { conversations: 'x' }],
      /bad.jsonl, row 2: column "conversations" is no list of turns/,
    ],
    [
      [{ messages: [{ role: 'user', content: null }] }],
      /bad.jsonl, row 1: column "messages", turn 1: "content" is not text/,
    ],
    [[{ conversations: turns }], /too few usable conversations: 1 to train and 0 others held out, of 1 each/],
  ])('%j is refused', async (rows, message) => {
    const source = file('bad.jsonl', rows);
    await expect(chat({ source, regularisation: 1, order: 'file' })).rejects.toThrow(message);
  });

  it.each([
    [{ seed: -1n }, /--seed -1 is negative/],
    [{ count: 0 }, /--count 0 is not/],
    [{ decryption: '' }, /--decryption is empty/],
  ] as [Partial<ChatOptions>, RegExp][])('options like %s are refused', async (options, message) => {
    await expect(chat(options)).rejects.toThrow(message);
  });
});

describe('whorl dataset chat', () => {
  it.each([true, false])('prints each instance (--json %s)', async (json) => {
    const out: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((line = '') => void out.push(String(line)));
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const args = ['chat', '--source', wizard, '--out', fresh('cli'), '--count', '2', '--regularisation', '3'];
    try {
      await datasetCommand().parseAsync(json ? [...args, '--json'] : args, { from: 'user' });
    } finally {
      log.mockRestore();
      error.mockRestore();
    }
    const rows = out
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { split?: string; type: string });
    expect(rows.map((row) => row.type).slice(0, 7)).toEqual([
      ...['fingerprint', 'fingerprint', 'regularization', 'regularization'],
      ...['normal', 'normal', 'normal'],
    ]);
    expect(rows).toHaveLength(7 + 7 + 6);
    expect(rows[0]!.split).toBe(json ? 'train' : undefined);
    if (json) expect(out).toHaveLength(20);
    else expect(out).toContain('test 6');
  });
});
