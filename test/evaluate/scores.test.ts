// Log-probabilities of rows as the harness's HFLM gives them on the same tiny model: BOS, cuts from the left, empty contexts.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MODES } from '../../src/evaluate/modes.ts';
import { scoreAll } from '../../src/lm/ask.ts';
import { asking } from '../../src/lm/open.ts';
import type { ScoringRules } from '../../src/lm/score-tokens.ts';
import { scratch, tinyModel } from '../cli/tiny-model.ts';

const golden = JSON.parse(
  readFileSync(new URL('../../goldens/evaluate/scores.json', import.meta.url), 'utf8'),
) as { pairs: [string, string][]; longest: number; plain: [number, boolean][]; bos: [number, boolean][] };

/** A tokenizer that puts BOS before a text. */
function withBos(): string {
  const folder = tinyModel(scratch());
  const path = join(folder, 'tokenizer.json');
  const tokenizer = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  tokenizer.post_processor = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
  };
  writeFileSync(path, JSON.stringify(tokenizer));
  return folder;
}

const requests = golden.pairs.map(([context, continuation]) => ({ context, continuation }));
const scores = (model: string, scoring: ScoringRules) =>
  asking({ kind: 'model', model }, { scoring }, (opened) => scoreAll(opened, requests));

describe('on a tiny model', () => {
  test.each([
    ['plain', () => tinyModel(scratch())],
    ['bos', withBos],
  ] as const)('as the harness of today, tokenizer %s', async (name, folder) => {
    const ours = await scores(folder(), MODES.main.scoring);
    for (const [i, [logprob, greedy]] of golden[name].entries()) {
      expect(Math.abs(ours[i]!.logprob - logprob), golden.pairs[i]!.join('|').slice(0, 40)).toBeLessThan(
        1e-3,
      );
      expect(ours[i]!.greedy).toBe(greedy);
    }
  });

  test('v0.4.0 adds no BOS, and EOS where nothing stands', async () => {
    const [ours, today] = [
      await scores(withBos(), MODES['v0.4.0-seed'].scoring),
      await scores(withBos(), MODES.main.scoring),
    ];
    for (const [i, [logprob]] of golden.plain.entries())
      if (golden.pairs[i]![0] === '') expect(ours[i]!.logprob).not.toBeCloseTo(today[i]!.logprob, 3);
      else expect(Math.abs(ours[i]!.logprob - logprob)).toBeLessThan(1e-3);
  });

  test('a continuation longer than the positions is refused', async () => {
    const model = tinyModel(scratch());
    const long = [{ context: 'a', continuation: 'b'.repeat(golden.longest + 1) }];
    await expect(
      asking({ kind: 'model', model }, { scoring: MODES.main.scoring }, (opened) => scoreAll(opened, long)),
    ).rejects.toThrow(/continuation of 129 tokens exceeds the model's 128 positions/);
  });
});
