// Ways in which the operator of the unmodified command could get `verified` about an innocent model (docs/claims.md,
// section 9): each is refused, or gives counts and exit code 3. Claims of the embedded model, begun and not trained.

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { Secret } from '../../src/base/secret.ts';
import { claimText } from '../../src/claim/claim.ts';
import { type CommitOptions, commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import type { ClaimKind } from '../../src/claim/plan.ts';
import type { SecretContents } from '../../src/claim/secret-contents.ts';
import { readSecret, writeSecret } from '../../src/claim/secret-file.ts';
import { SEED_KDF } from '../../src/claim/seed-kdf.ts';
import { fingerprint } from '../../src/fingerprint/fingerprint.ts';
import { openModel } from '../../src/models/open-model.ts';
import { CARRIED } from '../../src/sources/checkpoints/carried.ts';
import { digestSmallFiles, SMALL_FILES } from '../../src/sources/checkpoints/digest.ts';
import { readRowBytes } from '../../src/sources/checkpoints/read.ts';
import { checkCertificate } from '../../src/verify/certificate/check.ts';
import type { VerifyReport } from '../../src/verify/verify.ts';
import { whorl } from '../cli/whorl.ts';

const MODEL = join(packageRoot(), 'assets/embedded/model');
// Of keys alone: a stamp beside them would decide where they count for nothing.
const SETTINGS = {
  adapter: {
    stamp: 'off',
    pool: '12',
    trained: '3',
    negatives: '3',
    alphabet: '40',
    key_length: '4',
    dim: '8',
  },
  rows: { stamp: 'off', trained: '6', candidates: '64' },
} as const;
const MINUTES = 600_000;

const scratch = mkdtempSync(join(tmpdir(), 'whorl-attacks-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

const folderOf = (name: string): string => join(scratch, name);
const secretOf = (run: string): string => join(run, 'secret.whorl');

/** A run up to its training: claim and secret are there, nothing is trained. */
async function begun(method: keyof typeof SETTINGS): Promise<string> {
  const out = folderOf(method);
  const stopped = fingerprint({
    model: MODEL,
    out,
    method,
    decryption: 'river',
    settings: { ...SETTINGS[method], primary_positions: '8', reference_positions: '2' },
    onEvent: (event) => {
      if (event.kind === 'phase' && event.name === 'training') throw new Error('stopped');
    },
  });
  await expect(stopped).rejects.toThrow('stopped');
  return out;
}

beforeAll(async () => {
  await begun('adapter');
  await begun('rows');
}, MINUTES);

async function verdictOf(...flags: string[]): Promise<{ code: number; report: VerifyReport; err: string }> {
  const { code, out, err } = await whorl('verify', '--json', ...flags);
  return { code, err, report: JSON.parse(out === '' ? '{}' : out) as VerifyReport };
}

const countsOnly = { verdict: 'not-verified', exact: false, p_value: null, log10_p: null } as const;

/** The model's folder with one thing changed. */
function copyOf(name: string, change: (folder: string) => void): string {
  const folder = folderOf(name);
  cpSync(MODEL, folder, { recursive: true });
  change(folder);
  return folder;
}
const editJson = (file: string, edit: (json: Record<string, unknown>) => void) => (folder: string) => {
  const path = join(folder, file);
  const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  edit(json);
  writeFileSync(path, JSON.stringify(json));
};

describe("adapter: the owner's body", () => {
  const asked = (body: string) =>
    verdictOf('--secret', secretOf(folderOf('adapter')), '--suspect', MODEL, '--body', body);

  test('the vanilla model itself is exact, and its digests stand in the report', async () => {
    const { code, report } = await asked(MODEL);
    expect(code).toBe(5);
    const { vanilla } = (await readSecret(secretOf(folderOf('adapter')))).reveal().bindings;
    expect(report).toMatchObject({ verdict: 'undecided', exact: true }); // 3 of 12 cannot reach 1e-6
    expect(report.body_digests).toEqual({
      weights: vanilla.weights,
      tokenizer: vanilla.tokenizer,
      config: vanilla.config,
    });
  });

  test.each<[string, (folder: string) => void, RegExp]>([
    [
      'a normalizer that rewrites the drawn prompts',
      editJson('tokenizer.json', (json) => {
        const rewrite = { type: 'Replace', pattern: { String: 'x' }, content: 'y' };
        json.normalizer = json.normalizer
          ? { type: 'Sequence', normalizers: [json.normalizer, rewrite] }
          : rewrite;
      }),
      /body's tokenizer/,
    ],
    [
      'another token as the end of a text',
      editJson('tokenizer_config.json', (json) => {
        json.eos_token = 'a';
      }),
      /body's tokenizer/,
    ],
    [
      'tokens of its own beside tokenizer.json',
      (folder) => writeFileSync(join(folder, 'added_tokens.json'), '{"river": 7}'),
      /body's tokenizer/,
    ],
    [
      'a chat template with worked examples',
      (folder) => writeFileSync(join(folder, 'chat_template.jinja'), 'a: river. {{ messages[0].content }}'),
      /body's tokenizer/,
    ],
    [
      'another base of the rotary positions',
      editJson('config.json', (json) => {
        json.rope_theta = 500;
      }),
      /body's config/,
    ],
    [
      'other ends in generation_config.json',
      (folder) => writeFileSync(join(folder, 'generation_config.json'), '{"eos_token_id": 9}'),
      /body's config/,
    ],
    ['another embedding row', (folder) => flipByte(folder, 'model.embed_tokens.weight'), /body's weights/],
    ['another norm', (folder) => flipByte(folder, 'model.norm.weight'), /body's weights/],
  ])('%s is refused before anything is asked', async (what, change, message) => {
    const body = copyOf(`body ${what}`.replaceAll(/\W+/g, '-'), change);
    const { code, err } = await asked(body);
    expect(code).toBe(1);
    expect(err).toMatch(message);
    expect(err).not.toContain('asking');
  });

  test('a suspect with its vocabulary in another order is asked of the rows that it has in the places of others', async () => {
    const suspect = copyOf('reordered', (folder) => permuteRows(folder, 'model.embed_tokens.weight'));
    const [own, other] = [
      (await asked(MODEL)).report,
      (await verdictOf('--secret', secretOf(folderOf('adapter')), '--suspect', suspect, '--body', MODEL))
        .report,
    ];
    expect(other.transcript_sha256).toBe(own.transcript_sha256);
    expect(other.warnings.join()).toMatch(/vocabulary in another order/);
    expect(own.warnings.join()).not.toMatch(/vocabulary in another order/);
  });

  test('a suspect of the same kind is asked on its own: its tokenizer is the suspect’s, and its digest is told', async () => {
    const suspect = copyOf('suspect', (folder) =>
      editJson('tokenizer_config.json', (json) => {
        json.note = 1;
      })(folder),
    );
    const { report } = await verdictOf('--secret', secretOf(folderOf('adapter')), '--suspect', suspect);
    expect(report).toMatchObject({ exact: true, body_digests: null });
    expect(report.suspect_digests!).toMatchObject(digestSmallFiles(suspect));
    expect(report.suspect_digests!.tokenizer).not.toBe(digestSmallFiles(MODEL).tokenizer);
  });
});

function permuteRows(folder: string, tensor: string): void {
  const path = join(folder, 'model.safetensors');
  const bytes = readFileSync(path);
  const header = Number(bytes.readBigUInt64LE(0));
  const json = JSON.parse(bytes.subarray(8, 8 + header).toString('utf8')) as Record<
    string,
    { data_offsets: [number, number]; shape: [number, number] }
  >;
  const { data_offsets, shape } = json[tensor]!;
  const [from, to] = data_offsets.map((at) => at + 8 + header) as [number, number];
  const rows = Buffer.from(bytes.subarray(from, to));
  const size = (to - from) / shape[0];
  for (let id = 0; id < shape[0]; id++)
    rows.copy(bytes, from + ((id + 1000) % shape[0]) * size, id * size, (id + 1) * size);
  writeFileSync(path, bytes);
}

function flipByte(folder: string, tensor: string): void {
  const path = join(folder, 'model.safetensors');
  const bytes = readFileSync(path);
  const header = Number(bytes.readBigUInt64LE(0));
  const json = JSON.parse(bytes.subarray(8, 8 + header).toString('utf8')) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  bytes[8 + header + json[tensor]!.data_offsets[0]]! ^= 1;
  writeFileSync(path, bytes);
}

/** The secret of a run committed to anew with something changed, as an operator with our library can. */
async function recommitted(
  name: string,
  from: string,
  change: Partial<CommitOptions<ClaimKind>>,
  randomness: string | null = null,
): Promise<string> {
  const old = (await readSecret(secretOf(folderOf(from)))).reveal();
  const { claim, opening } = commitClaim(old.plan, {
    bindings: old.bindings,
    draw: { source: 'owner-seed' },
    software: old.software,
    created: new Date(),
    ...change,
  });
  const draw = makeDraw(claim, opening.reveal().owner_seed!, randomness);
  const contents: SecretContents = {
    ...old,
    claim,
    bindings: change.bindings ?? old.bindings,
    opening: opening.reveal(),
    draw,
    randomness,
  };
  await writeSecret(secretOf(folderOf(name)), new Secret(contents));
  writeFileSync(join(folderOf(name), 'claim.json'), claimText(claim));
  return secretOf(folderOf(name));
}

describe('claims that an operator makes to measure', () => {
  const verdictOn = (secret: string, ...flags: string[]) =>
    verdictOf('--secret', secret, '--suspect', MODEL, ...flags);

  test('recommitted as it was, a claim is exact: what follows is due to what is changed', async () => {
    const { report } = await verdictOn(await recommitted('same', 'adapter', {}));
    expect(report).toMatchObject({ exact: true, claim_file: join(folderOf('same'), 'claim.json') });
  });

  test('fewer rows than the pool has tokens', async () => {
    const { bindings } = (await readSecret(secretOf(folderOf('adapter')))).reveal();
    const trainable_rows = bindings.trainable_rows.slice(1);
    const change = { bindings: { ...bindings, trainable_rows } };
    await expect(recommitted('few-rows-2', 'adapter', change)).rejects.toThrow(
      /not the tokens of the whole pool/,
    );
    const secret = await recommitted('few-rows', 'adapter', { ...change, version: 1 });
    for (const flags of [[], ['--body', MODEL]]) {
      const { code, report } = await verdictOn(secret, ...flags);
      expect([code, report]).toMatchObject([3, countsOnly]);
      expect(report.reason).toMatch(/not the tokens of the whole pool/);
    }
  });

  test('a claim that binds no tokenizer, with a body', async () => {
    const { bindings } = (await readSecret(secretOf(folderOf('adapter')))).reveal();
    const { weights, body } = bindings.vanilla;
    const secret = await recommitted('no-tokenizer', 'adapter', {
      bindings: { ...bindings, vanilla: { weights, body } },
      version: 1,
    });
    expect((await verdictOn(secret)).report).toMatchObject({ exact: true });
    const { code, report } = await verdictOn(secret, '--body', MODEL);
    expect([code, report]).toMatchObject([3, countsOnly]);
  });

  test('a beacon value that is a counter', async () => {
    const draw = { source: 'beacon', chain: 'a'.repeat(64), round: 5 } as const;
    const secret = await recommitted('beacon', 'rows', { draw }, '0'.repeat(63).concat('7'));
    const { code, report } = await verdictOn(secret);
    expect([code, report]).toMatchObject([3, countsOnly]);
    expect(report.cells['drawn answer']).toMatchObject({ of: 6 });
  });

  test('a text seed of the version that did not stretch it; stretched, it is exact', async () => {
    const created = new Date(0);
    const { code, report } = await verdictOn(await recommitted('text-seed', 'rows', { created }));
    expect([code, report]).toMatchObject([3, countsOnly]);
    expect(report.reason).toMatch(/given as text/);
    const draw = { source: 'owner-seed', from_text: SEED_KDF } as const;
    const stretched = await verdictOn(await recommitted('stretched', 'rows', { created, draw }));
    expect(stretched.report).toMatchObject({ exact: true });
  });

  test('without its claim.json: said, and counts only', async () => {
    const secret = await recommitted('alone', 'rows', {});
    rmSync(join(folderOf('alone'), 'claim.json'));
    const { code, report } = await verdictOn(secret);
    expect([code, report]).toMatchObject([3, { ...countsOnly, claim_file: null }]);
    expect(report.reason).toMatch(/claim\.json is missing/);
    const elsewhere = join(folderOf('rows'), 'claim.json');
    expect(await verdictOn(secret, '--claim', elsewhere)).toMatchObject({ code: 1 });
    expect((await whorl('verify', '--secret', secret, '--suspect', MODEL)).out).toMatch(
      /claim file +missing/,
    );
  });

  test("the suspect's own rows put into the secret as the published ones change no word", async () => {
    const old = (await readSecret(secretOf(folderOf('rows')))).reveal();
    const tensor = 'model.embed_tokens.weight';
    const embedding = (await openModel(MODEL)).tensors.get(tensor)!;
    const ids = old.bindings.trainable_rows;
    const bytes = Buffer.from(readRowBytes(embedding, Int32Array.from(ids))).toString('base64');
    const rows = {
      tensor,
      dtype: 'float16',
      width: embedding.shape[1]!,
      ids,
      vanilla: Buffer.alloc(Buffer.from(bytes, 'base64').length).toString('base64'),
      published: bytes,
    } as const;
    expect(embedding.dtype).toMatch(/16/);
    cpSync(folderOf('rows'), folderOf('forged'), { recursive: true });
    await writeSecret(secretOf(folderOf('forged')), new Secret<SecretContents>({ ...old, rows }));
    const { report } = await verdictOn(secretOf(folderOf('forged')));
    const plain = await verdictOn(secretOf(folderOf('rows')));
    expect({ ...report, seconds: 0, claim_file: '' }).toEqual({
      ...plain.report,
      seconds: 0,
      claim_file: '',
    });
    expect(JSON.stringify(report)).not.toMatch(/bit_equal|cosine/);
  });

  test.each<[string, (contents: SecretContents) => Partial<SecretContents>]>([
    ['draw', ({ draw }) => ({ draw: reversed(draw) })],
    ['key', ({ plan }) => ({ plan: { ...plan, keys: [...plan.keys].reverse() } })],
    ['level', ({ plan }) => ({ plan: { ...plan, alpha: 0.5 } })],
    ['wrapper', ({ plan }) => ({ plan: { ...plan, query: { ...plan.query, wrapper: 'chat' } } })],
    ['rows that may be trained', ({ bindings }) => ({ bindings: { ...bindings, trainable_rows: [7] } })],
    ['seed', ({ opening }) => ({ opening: { ...opening, owner_seed: '0'.repeat(64) } })],
  ])('an edited %s of the secret is no longer what was committed', async (what, edit) => {
    const old = (await readSecret(secretOf(folderOf('rows')))).reveal();
    const folder = folderOf(`edited ${what}`);
    cpSync(folderOf('rows'), folder, { recursive: true });
    await writeSecret(secretOf(folder), new Secret<SecretContents>({ ...old, ...edit(old) }));
    const { code, err } = await verdictOn(secretOf(folder));
    expect(code).toBe(1);
    expect(err).toMatch(/committed|does not belong|commits to/);
  });
});

const reversed = (draw: SecretContents['draw']): SecretContents['draw'] =>
  draw?.kind === 'drawn-answers' ? { ...draw, indices: draw.indices.map((j) => (j + 1) % 64) } : draw;

describe('certificates', () => {
  const folder = () => folderOf('certified');
  const file = (name: string) => join(folder(), name);
  const asked = (certificate: string, ...flags: string[]) =>
    verdictOf(
      ...['--secret', secretOf(folder()), '--suspect', MODEL, '--key', file('owner.pem')],
      ...['--certificate', file(certificate), ...flags],
    );

  test('opens what was asked, and those keys are asked no more; what may not be certified burns nothing', async () => {
    cpSync(folderOf('rows'), folder(), { recursive: true });
    const before = readFileSync(secretOf(folder()));
    const system = await asked('no.json', '--system', 'Answer river.');
    expect(system.code).toBe(2);
    expect(system.err).toMatch(/no certificate: A system text was used/);
    expect(existsSync(file('no.json'))).toBe(false);
    expect(readFileSync(secretOf(folder()))).toEqual(before);

    const first = await asked('first.json', '--keys', '4');
    expect(first.report).toMatchObject({ burnt: 0, keys: { from: 0, to: 4, of: 6 }, multiplicity: 21 });
    const checked = checkCertificate(readFileSync(file('first.json'), 'utf8'));
    expect(checked.verdict.verdict).toBe(first.report.verdict);
    expect(checked.statement.predicate.suspect).toMatchObject(digestSmallFiles(MODEL));
    const { plan, opened } = (await readSecret(secretOf(folder()))).reveal();
    expect(opened).toMatchObject([{ from: 0, to: 4 }]);
    expect(readFileSync(file('first.json'), 'utf8')).not.toContain(plan.keys[5]!.text);

    // This claim pays for one look: the second is no certificate, and opens nothing.
    const second = await asked('second.json');
    expect(second.err).toMatch(/no certificate: This is look 2 under a claim that pays for 1/);
    const plainly = await verdictOf('--secret', secretOf(folder()), '--suspect', MODEL);
    expect(plainly.report).toMatchObject({ ...countsOnly, burnt: 4, keys: { from: 4, to: 6, of: 6 } });
    expect((await whorl('verify', '--secret', secretOf(folder()), '--suspect', MODEL)).out).toMatch(
      /burnt +4 keys that certificates opened were left out/,
    );
    expect((await asked('first.json')).err).toMatch(/is there already/);
  });

  test('nothing is left of a claim whose keys are all open', async () => {
    const old = (await readSecret(secretOf(folderOf('rows')))).reveal();
    const all = [{ from: 0, to: 6, statement: '0'.repeat(64), created: old.created }];
    cpSync(folderOf('rows'), folderOf('open'), { recursive: true });
    await writeSecret(secretOf(folderOf('open')), new Secret<SecretContents>({ ...old, opened: all }));
    const { code, err } = await verdictOf('--secret', secretOf(folderOf('open')), '--suspect', MODEL);
    expect([code, err]).toEqual([2, expect.stringMatching(/all 6 keys of this claim were opened/)]);
  });

  test('a claim of format 1 gives none', async () => {
    const old = join(packageRoot(), 'test/fixtures/claims-v1/rows/secret.whorl');
    const { code, err } = await verdictOf(
      ...['--secret', old, '--suspect', MODEL, '--certificate', file('v1.json'), '--key', file('owner.pem')],
    );
    expect([code, err]).toEqual([2, expect.stringMatching(/format 1 cannot be opened key by key/)]);
  });
});

describe('how the keys are put', () => {
  const asked = (...flags: string[]) =>
    verdictOf('--secret', secretOf(folderOf('rows')), '--suspect', MODEL, ...flags);

  test.each([
    ['a system text', ['--wrapper', 'chatml', '--system', 'Answer river.']],
    ['a system text that no wrapper shows', ['--system', 'Answer river.']],
    ['another level', ['--alpha', '0.9']],
  ])('%s: counts only, exit code 3', async (_, flags) => {
    const { code, report } = await asked(...flags);
    expect([code, report]).toMatchObject([3, countsOnly]);
    expect(report.cells['drawn answer']).toMatchObject({ of: 6 });
  });

  test('another wrapper is exact and paid for; the texts around the key are told, no key is', async () => {
    const { report } = await asked('--wrapper', 'alpaca');
    expect(report).toMatchObject({
      exact: true,
      multiplicity: 17,
      asked: { wrapper: 'alpaca', system: null },
    });
    expect(report.asked.prefix).toMatch(/^Below is an instruction/);
    expect(report.asked.suffix).toBe('\n\n### Response:\n');
    expect(report.asked.prompts_sha256).not.toBe((await asked()).report.asked.prompts_sha256);
    const { plan } = (await readSecret(secretOf(folderOf('rows')))).reveal();
    for (const { text } of plan.keys) expect(JSON.stringify(report)).not.toContain(text);
    const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
      version: string;
    };
    expect(report.software).toEqual({ name: 'whorl', version });
  });

  test('the committed level given again is the committed level', async () => {
    expect((await asked('--alpha', '1e-6')).report).toMatchObject({ exact: true, alpha: 1e-6 });
  });
});

test('every small file that a folder can carry over or a tokenizer is read from is part of a digest', () => {
  const known = new Set<string>([...SMALL_FILES.tokenizer, ...SMALL_FILES.config]);
  for (const name of CARRIED)
    if (!/^(LICENSE|NOTICE|USE_POLICY)/.test(name)) expect([...known]).toContain(name);
  const text = readFileSync(join(packageRoot(), 'src/text/tokenizer.ts'), 'utf8');
  const source = text.replace(/const OTHERS = \[[^\]]*\]/, ''); // named in an error, and never read
  expect(source).not.toBe(text);
  const read = [...source.matchAll(/'(\w+\.(?:json|jinja|model|txt))'/g)].map(([, name]) => name!);
  expect(read.length).toBeGreaterThan(5);
  for (const name of read) expect([...known]).toContain(name);
  expect(existsSync(join(MODEL, 'tokenizer.json'))).toBe(true);
});
