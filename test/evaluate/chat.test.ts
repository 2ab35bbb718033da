// Requests under a chat template and with a system instruction, to the letter of lm-evaluation-harness: goldens/evaluate.
// The template is rendered there by transformers.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { askRows } from '../../src/evaluate/ask-rows.ts';
import { catalogue } from '../../src/evaluate/catalogue.ts';
import { framingIdentity, framingOf, PLAIN } from '../../src/evaluate/chat.ts';
import { requestsOf, shotsOf } from '../../src/evaluate/requests.ts';
import type { LanguageModel } from '../../src/lm/language-model.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { goldenRows } from './golden-rows.ts';

const EMBEDDED_TOKENIZER = join(packageRoot(), 'assets/embedded/model/tokenizer.json');

const { templates, cases } = JSON.parse(
  readFileSync(new URL('../../goldens/evaluate/chat.json', import.meta.url), 'utf8'),
) as {
  templates: Record<string, string>;
  cases: {
    template: string | null;
    system: string | null;
    multiturn: boolean;
    shots: number;
    asked: Record<string, [string, string][][]>;
  }[];
};
const { tasks } = catalogue();
const tokenizer = (template: string | null) => ({
  chatTemplates: template === null ? {} : ({ default: templates[template]! } as Record<string, string>),
  specialTokens: { bos_token: '<s>' },
});

describe.each(cases)('template $template, system $system, turns $multiturn, $shots shots', (golden) => {
  const { template, system, multiturn, shots, asked } = golden;
  const framing = framingOf(
    {
      applyChatTemplate: template !== null,
      ...(system !== null && { systemInstruction: system }),
      ...(template !== null && { fewshotAsMultiturn: multiturn }),
    },
    tokenizer(template),
    'made up',
  );
  test.each(Object.keys(asked))('%s', (name) => {
    const task = tasks.get(name)!;
    const { rows, examples } = goldenRows(task);
    const ours = [...requestsOf(task, rows, examples, shotsOf(task, shots), framing)]
      .slice(0, asked[name]!.length)
      .map(({ requests }) => requests.map(({ context, continuation }) => [context, continuation]));
    expect(ours).toEqual(asked[name]);
  });
});

test('examples are turns of their own unless it is said otherwise', () => {
  const { template } = framingOf({ applyChatTemplate: true }, tokenizer('chatml'), 'm');
  expect(template!.multiturn).toBe(true);
  expect(() => framingOf({ fewshotAsMultiturn: true }, tokenizer('chatml'), 'm')).toThrow(
    /without --apply-chat-template/,
  );
  expect(() => framingOf({ applyChatTemplate: true }, tokenizer(null), 'm')).toThrow(
    /m has no chat template/,
  );
});

test('results of another framing are others', () => {
  const of = (systemInstruction: string) =>
    JSON.stringify(framingIdentity(framingOf({ systemInstruction }, tokenizer(null), 'm')));
  expect(of('a')).not.toBe(of('b'));
  expect(framingIdentity(PLAIN)).toBeNull();
});

test.each([
  ['<s>', false],
  ['<t>', undefined],
  [undefined, undefined],
])('generated from a prompt that begins with <s> where BOS is %s: no second one', async (bos, added) => {
  const task = tasks.get('gsm8k')!;
  const framing = framingOf({ systemInstruction: '<s>' }, tokenizer(null), 'm');
  const seen: (boolean | undefined)[] = [];
  const model: LanguageModel = {
    name: 'm',
    wrapped: () => Promise.reject(new Error('not asked')),
    release: () => Promise.resolve(),
    score: () => Promise.reject(new Error('not asked')) as never,
    async *generate(requests) {
      for (const [index, request] of requests.entries()) {
        seen.push('add_special_tokens' in request ? request.add_special_tokens : undefined);
        yield { index, generation: { prompt: '', generated: '', generated_token: [] } };
      }
    },
  };
  const rows = [...requestsOf(task, goldenRows(task).rows.slice(0, 2), [], 0, framing)];
  const asked = rows.map((requests, row) => ({ row, asked: '', requests }));
  for await (const { answer } of askRows(model, task, asked, bos)) expect(answer).toEqual({ generated: '' });
  expect(seen).toEqual([added, added]);
});

describe('templates by name', () => {
  interface Named {
    readonly folder: string;
    readonly files: Readonly<Record<string, string>>;
    readonly templates: Readonly<Record<string, string>>;
    /** By the name that was asked for, empty where none was: what the harness said of it, if it refused. */
    readonly refused: Readonly<Record<string, string | null>>;
    readonly named: Readonly<Record<string, Record<string, [string, string][][]>>>;
    readonly harness: Readonly<Record<string, Record<string, [string, string][][]>>>;
  }
  const { cases: folders } = JSON.parse(
    readFileSync(new URL('../../goldens/evaluate/named.json', import.meta.url), 'utf8'),
  ) as { cases: Named[] };
  const scratch = mkdtempSync(join(tmpdir(), 'whorl-named-'));
  afterAll(() => rmSync(scratch, { recursive: true }));

  async function opened({ folder, files }: Named) {
    const path = join(scratch, folder);
    mkdirSync(join(path, 'additional_chat_templates'), { recursive: true });
    cpSync(EMBEDDED_TOKENIZER, join(path, 'tokenizer.json'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
    return openTokenizer(path);
  }

  test.each(folders.map((each) => [each.folder, each] as const))(
    '%s: those that transformers has, and refused as the harness refuses',
    async (_, golden) => {
      const tokenizer = await opened(golden);
      expect(tokenizer.chatTemplates).toEqual(golden.templates);
      for (const [name, words] of Object.entries(golden.refused)) {
        const call = () => framingOf({ applyChatTemplate: name || true }, tokenizer, 'm');
        // Where there is one template only, the harness takes it under any name.
        if (words === null && name === '') expect(call().template!.source).toBe(golden.templates.default);
        else expect(call).toThrow(name === '' ? /none is the default: name one/ : /m has no chat template/);
      }
    },
  );

  const saved = folders.find(({ named }) => Object.keys(named).length > 0)!;
  test.each(Object.keys(saved.named))('requests under %j to the letter', async (name) => {
    const framing = framingOf(
      { applyChatTemplate: name || true, systemInstruction: 'Be brief.' },
      await opened(saved),
      'm',
    );
    for (const [task, asked] of Object.entries(saved.named[name]!)) {
      const { rows, examples } = goldenRows(tasks.get(task)!);
      const ours = [...requestsOf(tasks.get(task)!, rows, examples, 1, framing)]
        .slice(0, asked.length)
        .map(({ requests }) => requests.map(({ context, continuation }) => [context, continuation]));
      expect(ours).toEqual(asked);
    }
  });

  test('the harness renders with the default one whatever the name: said in docs/evaluate.md', () => {
    for (const asked of Object.values(saved.harness)) expect(asked).toEqual(saved.named['']);
    expect(saved.named.rag).not.toEqual(saved.named['']);
  });
});
