// Requests under a chat template and with a system instruction, to the letter of lm-evaluation-harness: goldens/evaluate.
// The template is rendered there by transformers.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { askRows } from '../../src/evaluate/ask-rows.ts';
import { catalogue } from '../../src/evaluate/catalogue.ts';
import { framingIdentity, framingOf, PLAIN } from '../../src/evaluate/chat.ts';
import { requestsOf, shotsOf } from '../../src/evaluate/requests.ts';
import type { LanguageModel } from '../../src/lm/language-model.ts';
import { goldenRows } from './golden-rows.ts';

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
  chatTemplate: template === null ? undefined : templates[template]!,
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
