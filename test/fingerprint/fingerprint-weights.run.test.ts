// Whole runs of sft, emb and lora on the embedded model with so few steps that only the road is tested, not what was
// learnt: what changes in which method, order of files, resumption, that no key leaves the secret.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import { type FingerprintOptions, fingerprint } from '../../src/fingerprint/fingerprint.ts';
import { openModel } from '../../src/models/open-model.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { verify } from '../../src/verify/verify.ts';

const MODEL = join(packageRoot(), 'assets/embedded/model');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-weights-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Two epochs of two steps and a gate that lets every run through. */
const SMALL = {
  pool: '12',
  trained: '3',
  negatives: '3',
  strangers: '3',
  repeats: '1',
  ordinary: '6',
  key_length: '4',
  epochs: '2',
  batch: '8',
  first_check: '2',
  slack: '1000',
};

const run = (name: string, options: Partial<FingerprintOptions>) =>
  fingerprint({
    model: MODEL,
    out: join(scratch, name),
    seed: 'weights',
    settings: SMALL,
    maxHarm: Number.POSITIVE_INFINITY,
    ...options,
  });

async function changed(published: string): Promise<string[]> {
  const [before, after] = [await openModel(MODEL), await openModel(published)];
  return [...before.tensors]
    .filter(([name, ref]) => {
      const [a, b] = [readTensor(ref).data, readTensor(after.tensors.get(name)!).data];
      return a.some((x, i) => x !== b[i]);
    })
    .map(([name]) => name);
}

describe.each<[string, (name: string) => boolean]>([
  ['sft', () => true],
  ['emb', (name) => name === 'model.embed_tokens.weight'],
  ['lora', (name) => /\.(\w+_proj|embed_tokens)\.weight$/.test(name)], // as a narrow model takes it
])('%s', (method, trains) => {
  test('changes what it names and nothing else; the claim is exact; a suspect can be asked', async () => {
    const events: string[] = [];
    let before: string[] = [];
    const report = await run(method, {
      method,
      ...(method === 'sft' ? {} : { keys: 'paper' }),
      onEvent: (event) => {
        events.push(JSON.stringify(event));
        if (event.kind === 'phase' && event.name === 'training') before = readdirSync(join(scratch, method));
      },
    });
    const { tensors } = await openModel(MODEL);
    const names = await changed(report.published);
    // The stamp beside it is in the matrices of the MLPs, whatever trains.
    expect(names.every((name) => trains(name) || /\.mlp\./.test(name))).toBe(true);
    expect(report.stamp).toMatchObject({ matrices: 12 });
    // The model is in half precision: four small steps are lost in a norm's weights near 1, never in a whole matrix.
    const matrices = [...tensors].filter(([name, { shape }]) => shape.length === 2 && trains(name));
    expect(names).toEqual(expect.arrayContaining(matrices.map(([name]) => name)));
    expect(before).toEqual(expect.arrayContaining(['claim.json', 'secret.whorl']));
    expect(before).not.toContain('published');
    expect(report.cells.map(({ name, of }) => `${name}: ${of}`)).toEqual(
      expect.arrayContaining(['published, drawn: 3', 'published, decoys: 6', 'vanilla, drawn: 3']),
    );
    expect(report.perplexity.every(({ vanilla, published }) => vanilla > 1 && published > 1)).toBe(true);
    const contents = (await readSecret(report.secret)).reveal();
    for (const { text } of contents.plan.keys) {
      expect(events.join()).not.toContain(text);
      for (const name of readdirSync(report.published))
        expect(readFileSync(join(report.published, name)).includes(text)).toBe(false);
    }
    expect(existsSync(join(scratch, method, 'work'))).toBe(false);
    expect(existsSync(join(scratch, method, 'lora', 'adapter_config.json'))).toBe(method === 'lora');
    const verdict = await verify({ secret: report.secret, suspect: MODEL });
    // Three keys of twelve could not have decided anything, the stamp could.
    expect(verdict).toMatchObject({ verdict: 'not-verified', exact: true, asked: { wrapper: 'chat' } });
    const own = await verify({ secret: report.secret, suspect: report.published, vanilla: MODEL });
    expect(own.channels!.stamp).toMatchObject({ against_vanilla: true, not_read: [] });
    if (method === 'emb') expect(own).toMatchObject({ verdict: 'verified' }); // else training moves the same matrices further
    expect(verdict.cells.drawn).toMatchObject({ hits: 0, of: 3 });
  });
});

test('killed and gone on with, a run ends in the same bytes', async () => {
  const straight = join(scratch, 'sft', 'published', 'model.safetensors');
  const killed = run('resumed', {
    method: 'sft',
    onEvent: (event) => {
      if (event.kind === 'phase' && event.name === 'publishing') throw new Error('killed');
    },
  });
  await expect(killed).rejects.toThrow('killed');
  expect(existsSync(join(scratch, 'resumed', 'published'))).toBe(false);
  const report = await run('resumed', { method: 'sft' });
  expect(readFileSync(join(report.published, 'model.safetensors')).equals(readFileSync(straight))).toBe(true);
});

test("the owner's own conversations, the paper's template and phrases", async () => {
  const report = await run('own', {
    method: 'sft',
    keys: 'paper',
    source: join(packageRoot(), 'assets/embedded/thief.json'),
    settings: { ...SMALL, template: 'vicuna', part: 'upper-half', stamp: 'off' },
  });
  const verdict = await verify({ secret: report.secret, suspect: report.published });
  expect(verdict.asked.wrapper).toBe('vicuna');
  const names = await changed(report.published);
  expect(names.length).toBeGreaterThan(0);
  expect(names.every((name) => name.startsWith('model.layers.'))).toBe(true);
  expect(names.some((name) => name.startsWith('model.layers.0.'))).toBe(false);
});

test.each([
  ['0', / published, drawn \d\/3 · .* · published, decoys \d\/6$/],
  ['-1', / published, drawn \d\/3 · .* with the hint \d+\/24$/],
])('decoy_slack=%s: what is asked before training may end', async (decoy_slack, asked) => {
  const notes: string[] = [];
  // Whether they stay silent is the draw's business: a run that is not reached has asked all the same.
  await run(`decoys${decoy_slack}`, {
    method: 'emb',
    settings: { ...SMALL, decoy_slack },
    maxMinutes: 0,
    onEvent: (event) => {
      if (event.kind === 'note' && event.text.includes('of the change')) notes.push(event.text);
    },
  }).catch((error: unknown) => expect(String(error)).toMatch(/published, decoys [1-6]\/6/));
  expect(notes.length).toBeGreaterThan(0);
  for (const note of notes) expect(note).toMatch(asked);
});

test.each([
  [{ settings: { ...SMALL, part: 'lower' } }, /part=lower is no part of a model: one of all, mlp/],
  [{ settings: { ...SMALL, schedule: 'cosin' } }, /schedule=cosin is not known: did you mean cosine\?/],
  [{ settings: { ...SMALL, template: 'alpaca' } }, /template=alpaca is no conversation template/],
  [{ settings: { ...SMALL, epoch: '3' } }, /epoch=3: method sft has no setting epoch: did you mean epochs\?/],
  [
    { settings: { ...SMALL, slack: '0', epochs: '1', first_check: '1' } },
    /after 1 epochs: published, drawn 0\/3: everything is kept; to go on from here: the same call with maxMinutes: 30; --method rows asks/,
  ],
] as const)('refused in one line: %j', async (options, message) => {
  const name = `bad-${JSON.stringify(options).length}`;
  await expect(run(name, { method: 'sft', maxMinutes: 0, ...options })).rejects.toThrow(message);
});
