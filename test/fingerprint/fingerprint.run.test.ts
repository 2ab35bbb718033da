// A whole run on the embedded model with so few steps that only the road is tested, not what was learnt: order of
// files, modes, bytes, repeatability, one-line errors, and that no secret leaves the secret file.

import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeJsonAtomic } from '../../src/base/atomic.ts';
import type { DryRun } from '../../src/base/dry-run.ts';
import { WhorlError } from '../../src/base/error.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { Secret } from '../../src/base/secret.ts';
import type { SecretContents } from '../../src/claim/secret-contents.ts';
import { readSecret } from '../../src/claim/secret-file.ts';
import {
  type FingerprintOptions,
  type FingerprintReport,
  fingerprint,
} from '../../src/fingerprint/fingerprint.ts';
import { openModel } from '../../src/models/open-model.ts';
import { verify } from '../../src/verify/verify.ts';

const MODEL = join(packageRoot(), 'assets/embedded/model');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-run-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Six keys, ten steps, and a gate that lets every run through. */
const SMALL = {
  trained: '6',
  candidates: '64',
  steps: '10',
  first_check: '10',
  check_below: '1000',
  gate_contexts: '0',
  bare_slack: '6',
  kl_target: '1000',
  reference_positions: '2',
  primary_positions: '16',
};

interface Run {
  readonly path: string;
  readonly report: FingerprintReport;
  readonly printed: string;
  readonly contents: SecretContents;
  /** Files of the run folder when training began. */
  readonly beforeTraining: readonly string[];
}

async function runOf(name: string, options: Partial<FingerprintOptions> = {}): Promise<Run> {
  const path = join(scratch, name);
  const printed: string[] = [];
  let beforeTraining: readonly string[] = [];
  const report = await fingerprint({
    model: MODEL,
    out: path,
    seed: 'a test of Whorl',
    settings: SMALL,
    maxHarm: Number.POSITIVE_INFINITY,
    ...options,
    onEvent: (event) => {
      printed.push(JSON.stringify(event));
      if (event.kind === 'phase' && event.name === 'training') beforeTraining = readdirSync(path);
    },
  });
  const lock =
    options.lock && 'passphrase' in options.lock ? { passphrase: options.lock.passphrase } : undefined;
  const contents = (await readSecret(report.secret, lock)).reveal();
  return { path, report, printed: printed.join('\n'), contents, beforeTraining };
}

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(folder, name)).isFile(),
  );

const hashes = (folder: string): Record<string, string> =>
  Object.fromEntries(
    files(folder)
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(folder, name)))
          .digest('hex'),
      ]),
  );

const errorOf = async (options: Partial<FingerprintOptions>): Promise<WhorlError> => {
  const error = await fingerprint({
    model: MODEL,
    out: join(scratch, 'none'),
    settings: SMALL,
    ...options,
  }).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(WhorlError);
  const whorl = error as WhorlError;
  expect(whorl.message).not.toContain('\n');
  return whorl;
};

let run: Run;
let plan: DryRun;
beforeAll(async () => {
  plan = await fingerprint({ model: MODEL, out: join(scratch, 'rows'), settings: SMALL, dryRun: true });
  run = await runOf('rows');
});

describe('a run of rows', () => {
  test('claim and secret lie on disk before training begins', () => {
    expect(run.beforeTraining).toEqual(expect.arrayContaining(['claim.json', 'secret.whorl', 'work']));
    expect(run.beforeTraining).not.toContain('published');
  });

  test('modes: the folder 0700, the secret and the private rows 0600; nothing of work/ is left', () => {
    const mode = (name: string) => (statSync(join(run.path, name)).mode & 0o777).toString(8);
    expect(mode('.')).toBe('700');
    for (const name of ['secret.whorl', 'run.json', 'vanilla.jsonl', 'publish.jsonl'])
      expect(mode(name)).toBe('600');
    expect(readdirSync(run.path).sort()).toEqual([
      'claim.json',
      'publish.jsonl',
      'published',
      'run.json',
      'secret.whorl',
      'vanilla.jsonl',
    ]);
  });

  test('the published folder is the vanilla one but for the committed rows and matrices, byte by byte, and a model card', async () => {
    const published = join(run.path, 'published');
    const vanilla = await openModel(MODEL);
    const ref = vanilla.tensors.get('model.embed_tokens.weight')!;
    const size = ref.length / ref.shape[0]!;
    const allowed = new Set(run.contents.bindings.trainable_rows);
    const stamped = run.contents.plan.stamp!.matrices.map(({ name }) => vanilla.tensors.get(name)!);
    const isStamped = (place: number) =>
      stamped.some(({ offset, length }) => place >= offset && place < offset + length);
    let moved = 0;
    expect(files(published).sort()).toEqual([...new Set([...files(MODEL), 'README.md'])].sort());
    for (const name of files(MODEL)) {
      const [a, b] = [readFileSync(join(MODEL, name)), readFileSync(join(published, name))];
      if (join(vanilla.folder, name) !== ref.file) {
        expect(b.equals(a), name).toBe(true);
        continue;
      }
      expect(b.length).toBe(a.length);
      const rows = new Set<number>();
      a.forEach((byte, i) => {
        if (byte === b[i]) return;
        if (isStamped(i)) moved++;
        else
          rows.add(i < ref.offset || i >= ref.offset + ref.length ? -1 : Math.floor((i - ref.offset) / size));
      });
      expect([...rows].filter((row) => !allowed.has(row))).toEqual([]);
      expect(rows.size).toBe(allowed.size);
    }
    expect(moved).toBeGreaterThan(stamped.reduce((sum, { length }) => sum + length, 0) / 10);
    expect(run.report.stamp).toMatchObject({ matrices: stamped.length });
  });

  test('is what was planned: its files, settings and model', () => {
    const written = plan.writes.map(({ path }) => path).sort();
    expect(written).toEqual(
      readdirSync(run.path)
        .map((name) => join(run.path, name))
        .sort(),
    );
    const { settings } = JSON.parse(readFileSync(join(run.path, 'run.json'), 'utf8')) as DryRun;
    expect(plan.settings).toEqual(settings);
    expect(plan).toMatchObject({ method: 'rows', models: [{ source: MODEL, family: 'llama' }] });
    expect(plan.estimate?.fits).toBe(true);
  });

  test('run.json has settings, digests and figures', () => {
    const json = JSON.parse(readFileSync(join(run.path, 'run.json'), 'utf8')) as Record<string, unknown>;
    expect(json).toMatchObject({
      format: 'whorl-run',
      version: 1,
      method: 'rows',
      seeded: true,
      settings: { trained: 6, candidates: 64, steps: 10 },
      claim_root: run.contents.claim.root,
      model: { family: 'llama', vanilla: run.contents.bindings.vanilla },
      training: { steps: 10 },
    });
    expect(json.reference_sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(Array.isArray(json.cells)).toBe(true);
  });

  test('keys of config.json that the user ignores stand in run.json, and stay in what is published', async () => {
    const model = join(scratch, 'noted');
    cpSync(MODEL, model, { recursive: true });
    const path = join(model, 'config.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('{', '{"a_tool": 1,'));
    expect((await errorOf({ model })).message).toContain('a_tool');
    const noted = await runOf('ignoring', { model, ignoreConfigKeys: ['a_tool', 'not_there'] });
    const json = JSON.parse(readFileSync(join(noted.path, 'run.json'), 'utf8')) as Record<string, unknown>;
    expect(json.model).toMatchObject({ ignored_config_keys: ['a_tool'] });
    expect(readFileSync(join(noted.path, 'published', 'config.json'))).toEqual(readFileSync(path));
    const asked = { secret: noted.report.secret, suspect: noted.report.published };
    await expect(verify(asked)).rejects.toThrow('a_tool');
    expect(await verify({ ...asked, ignoreConfigKeys: ['a_tool'] })).toMatchObject({
      ignored_config_keys: ['a_tool'],
    });
  });

  test('the same seed again: the same commitment and the same published bytes', async () => {
    const again = await runOf('again');
    expect(hashes(join(again.path, 'published'))).toEqual(hashes(join(run.path, 'published')));
    expect(again.contents.claim.root).toBe(run.contents.claim.root);
  });

  test('verify: vanilla names no candidate and has none of the rows; the published folder has them bit for bit', async () => {
    const report = await verify({ secret: run.report.secret, suspect: MODEL });
    expect(report).toMatchObject({
      verdict: 'not-verified',
      exact: true,
      p_value: 1,
      cells: { 'drawn answer': { hits: 0, of: 6 }, 'any candidate': { hits: 0, of: 6 } },
      passive: null,
    });
    const own = await verify({ secret: run.report.secret, suspect: run.report.published });
    expect([report.warnings, own.warnings]).toEqual([[], []]);
  });

  test('verify: a tokenizer that appends EOS changes no answer; one that changes the keys is named', async () => {
    const own = await verify({ secret: run.report.secret, suspect: run.report.published });
    const suspect = async (name: string, change: object) => {
      const folder = join(scratch, name);
      cpSync(run.report.published, folder, { recursive: true });
      const path = join(folder, 'tokenizer.json');
      const json = JSON.parse(readFileSync(path, 'utf8')) as object;
      writeJsonAtomic(path, { ...json, ...change });
      return verify({ secret: run.report.secret, suspect: folder });
    };
    const end = '<|endoftext|>';
    const appends = await suspect('appends', {
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: end, type_id: 0 } }],
        pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: { [end]: { id: end, ids: [0], tokens: [end] } },
      },
    });
    expect(appends.transcript_sha256).toBe(own.transcript_sha256);
    expect(appends.warnings).toEqual([]);
    const folds = await suspect('folds', {
      normalizer: { type: 'Replace', pattern: { Regex: '[a-zA-Z]' }, content: 'z' },
    });
    expect(folds.warnings).toEqual([expect.stringMatching(/^The tokenizer .* of [1-6] of 6 keys/)]);
  });
});

/** Every form in which a secret could slip out. */
function forms(value: string | Buffer, tokens?: readonly number[]): Buffer[] {
  const raw = typeof value === 'string' ? Buffer.from(value) : value;
  const out = [raw, Buffer.from(raw.toString('base64')), Buffer.from(raw.toString('hex'))];
  if (typeof value === 'string') {
    const escaped = [...JSON.stringify(value).slice(1, -1)]
      .map((c) => (c.charCodeAt(0) < 128 ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`))
      .join('');
    out.push(Buffer.from(value, 'utf16le'), Buffer.from(value, 'utf16le').swap16(), Buffer.from(escaped));
    out.push(Buffer.from(JSON.stringify(value).slice(1, -1)));
  }
  if (tokens && tokens.length > 1)
    for (const glue of [',', ', ', ' ', ',\n']) out.push(Buffer.from(tokens.join(glue)));
  return out.filter((form) => form.length >= 4);
}

function secretsOf({ plan, opening, adapter, draw }: SecretContents): { what: string; forms: Buffer[] }[] {
  const list = plan.keys.map((key, i) => ({ what: `key ${i}`, forms: forms(key.text, key.tokens) }));
  list.push({
    what: 'owner seed',
    forms: [...forms(opening.owner_seed!), ...forms(Buffer.from(opening.owner_seed!, 'hex'))],
  });
  opening.salts.forEach((salt, i) => {
    list.push({ what: `salt ${i}`, forms: [...forms(salt), ...forms(Buffer.from(salt, 'hex'))] });
  });
  for (const { name, data } of adapter?.tensors ?? [])
    list.push({
      what: `adapter ${name}`,
      forms: [Buffer.from(data.slice(0, 64)), Buffer.from(data, 'base64').subarray(0, 48)],
    });
  if (draw?.kind === 'drawn-answers') list.push({ what: 'draw', forms: forms('-', draw.indices) });
  if (plan.kind === 'drawn-membership')
    list.push(...plan.decryptions.map((y) => ({ what: 'decryption', forms: forms(y) })));
  return list;
}

/** What of the secrets stands in a text. */
const found = (bytes: Buffer, contents: SecretContents): string[] =>
  secretsOf(contents).flatMap(({ what, forms: list }) =>
    list.some((form) => bytes.includes(form)) ? [what] : [],
  );

const PRIVATE = ['secret.whorl', 'vanilla.jsonl', 'publish.jsonl', 'publish_w_adapter.jsonl'];

describe('no secret leaves', () => {
  test('the scan finds what it looks for: the secret file and the private rows hold keys', () => {
    expect(found(readFileSync(run.report.secret), run.contents)).toEqual(
      expect.arrayContaining(['key 0', 'owner seed', 'salt 1']),
    );
    expect(found(readFileSync(join(run.path, 'publish.jsonl')), run.contents)).toContain('key 0');
  });

  test('rows: nothing in any other file, event or report', () => {
    for (const name of files(run.path))
      if (!PRIVATE.includes(name))
        expect(found(readFileSync(join(run.path, name)), run.contents), name).toEqual([]);
    expect(found(Buffer.from(run.printed), run.contents)).toEqual([]);
    expect(found(Buffer.from(JSON.stringify(run.report)), run.contents)).toEqual([]);
  });

  test('another seed, locked by a passphrase: other keys, rows and answers; the file holds nothing in clear', async () => {
    const passphrase = new Secret('four unlikely words here');
    const locked = await runOf('locked', { seed: 'another', lock: { passphrase, workFactor: 10 } });
    expect(found(readFileSync(locked.report.secret), locked.contents)).toEqual([]);
    expect(existsSync(join(locked.path, 'work'))).toBe(false);
    for (const name of files(locked.path))
      expect(readFileSync(join(locked.path, name)).includes(passphrase.reveal()), name).toBe(false);
    const [ours, theirs] = [run.contents, locked.contents];
    const keys = new Set(ours.plan.keys.map(({ text }) => text));
    expect(theirs.plan.keys.filter(({ text }) => keys.has(text))).toEqual([]);
    expect(theirs.bindings.trainable_rows).not.toEqual(ours.bindings.trainable_rows);
    expect(theirs.draw).not.toEqual(ours.draw);
    const folders = [run, locked].map(({ path }) => hashes(join(path, 'published')));
    expect(folders[0]!['model.safetensors']).not.toBe(folders[1]!['model.safetensors']);
    await expect(verify({ secret: locked.report.secret, suspect: MODEL })).rejects.toMatchObject({
      code: 'bad-secret',
    });
    const claim = join(run.path, 'claim.json');
    await expect(
      verify({ secret: locked.report.secret, claim, suspect: MODEL, unlock: { passphrase } }),
    ).rejects.toMatchObject({ code: 'mismatch' });
  });
});

describe('errors in one line', () => {
  test('a finished run is not touched', async () => {
    const before = hashes(run.path);
    expect(await errorOf({ out: run.path })).toMatchObject({ code: 'exists' });
    expect(hashes(run.path)).toEqual(before);
  });

  test('an unknown setting, with the nearest one', async () => {
    const error = await errorOf({ settings: { stpes: '3' } });
    expect(error).toMatchObject({ code: 'usage' });
    expect(error.message).toContain('did you mean steps?');
  });

  test('an unknown method, and keys that do not go with it', async () => {
    expect((await errorOf({ method: 'row' })).message).toContain('did you mean rows?');
    expect(await errorOf({ keys: 'papers' })).toMatchObject({ code: 'usage' });
  });

  test('an interrupted run is not gone on with under other options', async () => {
    const out = join(scratch, 'interrupted');
    mkdirSync(join(out, 'work'), { recursive: true });
    writeJsonAtomic(join(out, 'work', 'start.json'), {
      seed: '00'.repeat(32),
      created: new Date(0),
      options: '[]',
    });
    expect(await errorOf({ out })).toMatchObject({ code: 'mismatch' });
  });

  test('too few free rows for the keys', async () => {
    expect(
      await errorOf({ out: join(scratch, 'few'), settings: { ...SMALL, trained: '400' } }),
    ).toMatchObject({
      code: 'too-few-rows',
      fix: 'take trained=24', // what this model holds, not what its vocabulary has room for
    });
  });
});
