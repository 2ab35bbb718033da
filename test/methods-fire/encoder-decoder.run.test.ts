// Methods on an encoder-decoder, gates closed: the encoder reads the key, the decoder says the decryption. What is
// published fires as it must, vanilla does not, a thief's fine-tune does; the shared embedding stays one matrix.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { fingerprint, pipeline, verify } from '../../src/index.ts';
import { openModel } from '../../src/models/open-model.ts';
import { digestTensors } from '../../src/sources/checkpoints/digest.ts';
import { tinyEncoderDecoder } from './encoder-decoder.ts';
import { SMALL_ADAPTER } from './settings.ts';
import { tuned } from './suspects.ts';

const LONG = 600_000;
const scratch = mkdtempSync(join(tmpdir(), 'whorl-fire-seq2seq-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Run {
  readonly settings: Readonly<Record<string, string>>;
  readonly decryption: string | undefined;
  readonly withBody: boolean;
  /** The tensors that differ, all of them. */
  readonly changes: RegExp;
  /** Least drawn keys that must fire once a thief has fine-tuned every weight, where one does. */
  readonly afterThief: number | undefined;
  readonly of: readonly string[];
}

// No stamp, as in settings.ts: with one, mT5's draw had an undrawn key of 46 that fired.
const RUNS: Readonly<Record<string, Run>> = {
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
    decryption: 'table',
    withBody: true,
    changes: /^shared\.weight$/,
    afterThief: undefined,
    of: ['t5'],
  },
  // All weights: the encoder learns which message it reads, the decoder to say the decryption and the end.
  sft: {
    settings: {
      pool: '60',
      trained: '6',
      negatives: '4',
      strangers: '24',
      ordinary: '8',
      epochs: '60',
      batch: '16',
      schedule: 'linear',
      first_check: '13',
      pull_back: 'false',
      stamp: 'off',
    },
    decryption: undefined, // the paper's: vanilla weights at random say a word like `table` now and then
    withBody: false,
    changes: /./,
    afterThief: 5, // of 6
    of: ['mt5'],
  },
};

/** A tied head moves with the rows, and vanilla weights at random expect every token: ordinary text may move more. */
const TIED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  adapter: { kl_weight: '1', kl_target: '1', spread_weight: '0.001', noise: '0' },
};

/** Draw and settings of a narrow model, fewer keys: the decryption is the run's own. */
test.each(['mt5', 't5'])(
  'adapter on a tiny %s that was trained to go by what it reads',
  async (family) => {
    const vanilla = join(packageRoot(), 'test/fixtures/trained-encoder-decoder', family);
    const report = await fingerprint({
      model: vanilla,
      out: join(scratch, `trained-adapter-${family}`),
      method: 'adapter',
      seed: 'families 0',
      settings: { stamp: 'off', ...SMALL_ADAPTER },
      maxMinutes: 0,
      cacheDir: join(scratch, 'cache'),
    });
    expect(report.cells.filter(({ held }) => !held)).toEqual([]);
    const asked = { secret: report.secret, body: vanilla };
    expect(await verify({ ...asked, suspect: report.published })).toMatchObject({ fsr: 1, exact: true });
    expect(await verify({ ...asked, suspect: vanilla })).toMatchObject({ fsr: 0, verdict: 'not-verified' });
  },
  LONG,
);

describe.each(['mt5', 't5'] as const)('%s', (type) => {
  const vanilla = tinyEncoderDecoder(join(scratch, type), type);

  test.each(Object.entries(RUNS).filter(([, { of }]) => of.includes(type)))(
    '%s',
    async (method, { settings, decryption, withBody, changes, afterThief }) => {
      const out = join(scratch, `${type}-${method}`);
      const report = await fingerprint({
        model: vanilla,
        out,
        method,
        seed: `${type} ${method}`,
        settings: { ...settings, ...(type === 't5' ? TIED[method] : {}) },
        ...(decryption === undefined ? {} : { decryption }),
        maxMinutes: 0,
        maxHarm: 20,
        cacheDir: join(scratch, 'cache'),
      });
      expect(report.cells.filter(({ held }) => !held)).toEqual([]);
      const asked = { secret: report.secret, ...(withBody ? { body: vanilla } : {}) };
      expect(await verify({ ...asked, suspect: report.published })).toMatchObject({ fsr: 1, exact: true });
      expect(await verify({ ...asked, suspect: vanilla })).toMatchObject({ fsr: 0, verdict: 'not-verified' });
      const [before, after] = [await openModel(vanilla), await openModel(report.published)];
      const [was, is] = [digestTensors(before), digestTensors(after)];
      const changed = [...was.keys()].filter((name) => is.get(name) !== was.get(name));
      expect(changed).toEqual([...was.keys()].filter((name) => changes.test(name)));
      expect([...after.tensors.keys()].filter((name) => /shared|embed_tokens|lm_head/.test(name))).toEqual(
        type === 't5' ? ['shared.weight'] : ['shared.weight', 'lm_head.weight'],
      );
      if (afterThief === undefined) return;
      const stolen = await tuned(report.published, join(scratch, `${type}-${method}-stolen`), 42n);
      const { cells } = await verify({ ...asked, suspect: stolen });
      expect(cells.drawn!.hits).toBeGreaterThanOrEqual(afterThief);
    },
    LONG,
  );

  test('the chat flavour of the pipeline is refused by name', async () => {
    const asked = {
      flavour: 'sft_chat',
      modes: ['fingerprint'],
      base_model: vanilla,
      root: scratch,
      dryRun: true,
    } as const;
    await expect(pipeline(asked)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('sft_chat') as string,
    });
  });
});
