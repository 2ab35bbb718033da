// Methods on an encoder-decoder, gates closed: the encoder reads the key, the decoder says the decryption. What is
// published fires as it must, vanilla does not; the shared embedding is one matrix in what is published.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fingerprint, verify } from '../../src/index.ts';
import { openModel } from '../../src/models/open-model.ts';
import { tinyEncoderDecoder } from './encoder-decoder.ts';

const LONG = 600_000;
const scratch = mkdtempSync(join(tmpdir(), 'whorl-fire-seq2seq-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

// No stamp, as in settings.ts: with one, mT5's draw had an undrawn key of 46 that fired.
const RUNS = {
  adapter: {
    settings: {
      pool: '60',
      trained: '8',
      negatives: '6',
      alphabet: '96',
      key_length: '6',
      steps: '500',
      stamp: 'off',
    },
    withBody: true,
  },
} as const;

/** A tied head moves with the rows, and vanilla weights at random expect every token: ordinary text may move more. */
const TIED = { adapter: { kl_weight: '1', kl_target: '1', spread_weight: '0.001', noise: '0' } };

describe.each(['mt5', 't5'] as const)('%s', (type) => {
  const vanilla = tinyEncoderDecoder(join(scratch, type), type);

  test.each(Object.entries(RUNS))(
    '%s',
    async (method, { settings, withBody }) => {
      const out = join(scratch, `${type}-${method}`);
      const report = await fingerprint({
        model: vanilla,
        out,
        method,
        seed: `${type} ${method}`,
        settings: { ...settings, ...(type === 't5' ? TIED[method as keyof typeof TIED] : {}) },
        decryption: 'table',
        maxMinutes: 0,
        maxHarm: 20,
        cacheDir: join(scratch, 'cache'),
      });
      expect(report.cells.filter(({ held }) => !held)).toEqual([]);
      const asked = { secret: report.secret, ...(withBody ? { body: vanilla } : {}) };
      expect(await verify({ ...asked, suspect: report.published })).toMatchObject({ fsr: 1, exact: true });
      expect(await verify({ ...asked, suspect: vanilla })).toMatchObject({ fsr: 0, verdict: 'not-verified' });
      const { tensors } = await openModel(report.published);
      expect([...tensors.keys()].filter((name) => /shared|embed_tokens|lm_head/.test(name))).toEqual(
        type === 't5' ? ['shared.weight'] : ['shared.weight', 'lm_head.weight'],
      );
    },
    LONG,
  );
});
