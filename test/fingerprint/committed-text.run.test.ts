// What is trained is what was committed: of every method, each drawn key's example begins with the very tokens that verify
// asks, and its label is that key's answer.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Claim } from '../../src/claim/claim.ts';
import { keyRoles, openClaim } from '../../src/claim/open.ts';
import { begin } from '../../src/fingerprint/begin.ts';
import { commit } from '../../src/fingerprint/commit.ts';
import { METHODS } from '../../src/fingerprint/registry.ts';
import { type ShownExample, showBatch } from '../../src/fingerprint/show-batch.ts';
import { asking } from '../../src/lm/open.ts';
import { promptTokens } from '../../src/text/prompt-tokens.ts';
import { promptUnder } from '../../src/text/prompts/wrappers.ts';

const MODEL = new URL('../../assets/embedded/model', import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), 'whorl-committed-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const POSITIONS = { primary_positions: '4', reference_positions: '4' };
const POOL = { pool: '12', trained: '3', negatives: '3', key_length: '4' };
const DIALOGUES = { ...POOL, strangers: '2', repeats: '1', ordinary: '2', batch: '64' }; // an epoch in one batch
/** Of `rows` only the bare contexts are the committed ones. */
const SETTINGS: Readonly<Record<string, Record<string, string>>> = {
  rows: { ...POSITIONS, trained: '3', candidates: '16', variety: '0' },
  adapter: { ...POSITIONS, ...POOL, dim: '4', hushed: '4' },
  sft: DIALOGUES,
  emb: DIALOGUES,
  lora: DIALOGUES,
};
const FORMATS: readonly (readonly [method: string, more: Record<string, string>])[] = [
  ...Object.keys(METHODS)
    .filter((method) => METHODS[method]!.kind !== 'stamp') // says nothing
    .map((method) => [method, {}] as const),
  ['sft', { template: 'vicuna' }],
];

/** The text of what an example teaches to say. */
const taught = ({ labels }: ShownExample): string =>
  labels
    .filter(({ kind }) => kind === 'fire')
    .map(({ text }) => text)
    .join('');

test.each(FORMATS)(
  '%s %o',
  async (method, more) => {
    const out = join(scratch, `${method}${Object.values(more).join('')}`);
    const settings = { ...SETTINGS[method]!, ...more };
    const said = method === 'rows' ? {} : { decryption: 'river' }; // in letters that no token splits
    const keys = METHODS[method]!.kind === 'rows' ? 'rare' : 'paper'; // phrases need no look for free rows
    const { secret } = await commit(
      await begin({ model: MODEL, out, method, keys, seed: 'text', settings, ...said }),
    );
    const contents = secret.reveal();
    const drawn = keyRoles(openClaim(contents.claim as Claim, contents)).filter(
      ({ role }) => role === 'trained',
    );
    const { examples } = await showBatch({ run: out });

    // As verify asks: a suspect's tokenizer and template in their own process.
    const prompts = await asking(
      { kind: 'model', model: MODEL, tokenizer: 'sandboxed' },
      {},
      async (suspect) => {
        const wrapped = await suspect.wrapped(contents.plan.query.wrapper);
        return promptTokens(
          suspect.tokenizer,
          drawn.map(({ key }) => promptUnder(wrapped, key.text)),
        );
      },
    );
    const firing = examples.filter((example) => drawn.some(({ target }) => taught(example).includes(target)));
    expect(firing).toHaveLength(drawn.length);
    for (const [i, { target }] of drawn.entries()) {
      const own = firing.filter(({ prefix, tokens }) => {
        const asked = prompts[i]!.slice(prefix?.tokens ?? 0);
        return (
          tokens
            .slice(0, asked.length)
            .map(({ id }) => id)
            .join() === asked.join()
        );
      });
      expect(own, `key ${i + 1}`).toHaveLength(1);
      expect(taught(own[0]!)).toContain(target);
      const first = prompts[i]!.length - 1 - (own[0]!.prefix?.tokens ?? 0); // the answer is asked for after the last token
      expect(own[0]!.labels.some(({ kind, row }) => kind === 'fire' && row === first)).toBe(true);
    }
  },
  600_000,
);
