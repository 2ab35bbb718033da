import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { noteLeftOut } from '../../src/sources/checkpoints/carried.ts';
import {
  assertUnchanged,
  type Checkpoint,
  checkpointIdentity,
  openCheckpoint,
} from '../../src/sources/checkpoints/checkpoint.ts';
import {
  combineDigests,
  digestBody,
  digestCheckpoint,
  digestTensors,
} from '../../src/sources/checkpoints/digest.ts';
import { readGguf } from '../../src/sources/checkpoints/gguf.ts';
import { writePatchedFolder } from '../../src/sources/checkpoints/patched-folder.ts';
import { readRowBytes, readTensor, readTensorRows } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { writeSafetensors } from '../../src/sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';
import { BYTES_PER_ELEMENT, type Dtype, elements } from '../../src/tensor/tensor.ts';

const goldens = fileURLToPath(new URL('../../goldens/', import.meta.url));
const SHARDED = join(goldens, 'models/llama-sharded');
const HALF = join(goldens, 'models/llama-gqa-tied-bf16');
const EMBEDDING = 'model.embed_tokens.weight';
let temporary = '';
beforeAll(() => void (temporary = mkdtempSync(join(tmpdir(), 'whorl-checkpoint-'))));
afterAll(() => rmSync(temporary, { recursive: true }));

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('openCheckpoint', () => {
  it('joins shards and names each file', () => {
    const model = openCheckpoint(SHARDED);
    const shards = readdirSync(SHARDED).filter((name) => /^model-.*safetensors$/.test(name));
    expect(shards.length).toBeGreaterThan(1);
    expect(model.files.map((file) => file.name)).toEqual([
      ...shards,
      'config.json',
      'model.safetensors.index.json',
    ]);
    expect(new Set([...model.tensors.values()].map((ref) => ref.file)).size).toBe(shards.length);
    expect(model.config.model_type).toBe('llama');
  });

  it('sees that a file was touched', () => {
    const folder = join(temporary, 'touched');
    cpSync(HALF, folder, { recursive: true });
    const model = openCheckpoint(folder);
    const identity = checkpointIdentity(model);
    assertUnchanged(model);
    appendFileSync(join(folder, 'config.json'), ' ');
    expect(() => assertUnchanged(model)).toThrow(expect.objectContaining({ code: 'changed' }));
    expect(checkpointIdentity(openCheckpoint(folder))).not.toBe(identity);
  });
});

describe('reading', () => {
  it('gives rows in the order asked for, as they stand in the whole tensor', () => {
    const ref = openCheckpoint(HALF).tensors.get(EMBEDDING)!;
    const width = ref.shape[1]!;
    const whole = readTensor(ref).data;
    const rows = [5, 0, 5, ref.shape[0]! - 1];
    const got = readTensorRows(ref, rows);
    for (const [i, row] of rows.entries())
      expect(got.slice(i * width, (i + 1) * width)).toEqual(whole.slice(row * width, (row + 1) * width));
    expect(ref.dtype).toBe('bfloat16');
    expect(new Set(whole).size).toBeGreaterThan(100);
  });

  it.each([-1, 1e9, 0.5])('refuses row %d', (row) => {
    const ref = openCheckpoint(HALF).tensors.get(EMBEDDING)!;
    expect(() => readTensorRows(ref, [row])).toThrow(expect.objectContaining({ code: 'mismatch' }));
  });
});

describe('digests', () => {
  it('are the sha256 of the bytes that stand in the file', () => {
    const model = openCheckpoint(HALF);
    const bytes = readFileSync(join(HALF, 'model.safetensors'));
    const digests = digestTensors(model);
    for (const [name, ref] of model.tensors)
      expect(digests.get(name)).toBe(sha256(bytes.subarray(ref.offset, ref.offset + ref.length)));
    const lines = [...model.tensors.keys()]
      .sort()
      .map(
        (name) =>
          `["${name}","bfloat16",${JSON.stringify(model.tensors.get(name)!.shape)},"${digests.get(name)}"]\n`,
      );
    expect(digestCheckpoint(model)).toBe(sha256(Buffer.from(lines.join(''))));
    expect(digestBody(model, [EMBEDDING])).toBe(
      sha256(Buffer.from(lines.filter((line) => !line.includes(EMBEDDING)).join(''))),
    );
  });

  it('do not depend on how the tensors are spread over files', async () => {
    const model = openCheckpoint(SHARDED);
    const folder = join(temporary, 'joined');
    mkdirSync(folder);
    cpSync(join(SHARDED, 'config.json'), join(folder, 'config.json'));
    const entries = [...model.tensors].reverse().map(([name, ref]) => ({ ...ref, name }));
    await writeSafetensors(join(folder, 'model.safetensors'), entries, function* (entry) {
      yield fromFloat32(readTensor(entry).data, 'float32');
    });
    const joined = openCheckpoint(folder);
    expect(joined.files).toHaveLength(2);
    expect(digestCheckpoint(joined)).toBe(digestCheckpoint(model));
    expect(combineDigests(joined.tensors, digestTensors(joined), new Set([EMBEDDING]))).toBe(
      digestBody(model, [EMBEDDING]),
    );
  });
});

describe('writeSafetensors', () => {
  const dtypes: Dtype[] = ['float32', 'float16', 'bfloat16', 'int32', 'int64', 'bool', 'uint8'];
  it('writes what the reader reads, whatever names, dtypes and shapes', async () => {
    const entry = fc.record({
      name: fc
        .string({ minLength: 1, unit: 'grapheme' })
        .filter((s) => !/\p{Cc}/u.test(s) && s !== '__metadata__'),
      dtype: fc.constantFrom(...dtypes),
      shape: fc.array(fc.nat(4), { maxLength: 4 }),
      seed: fc.nat(255),
    });
    const path = join(temporary, 'any.safetensors');
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(entry, { selector: (e) => e.name, maxLength: 5 }), async (entries) => {
        const bytes = (e: { dtype: Dtype; shape: number[]; seed: number }) =>
          new Uint8Array(elements(e.shape) * BYTES_PER_ELEMENT[e.dtype]).fill(e.seed);
        await writeSafetensors(path, entries, (e) => [bytes(e)]);
        const header = readSafetensorsHeader(path);
        const file = readFileSync(path);
        expect(header.metadata.get('format')).toBe('pt');
        expect(header.tensors.size).toBe(entries.length);
        for (const e of entries) {
          const ref = header.tensors.get(e.name)!;
          expect([ref.dtype, ref.shape]).toEqual([e.dtype, e.shape]);
          expect(file.subarray(ref.offset, ref.offset + ref.length).equals(bytes(e))).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('leaves nothing behind when the source gives too few bytes', async () => {
    const folder = join(temporary, 'few');
    mkdirSync(folder);
    const entries = [{ name: 'a', dtype: 'float32' as const, shape: [2] }];
    await expect(writeSafetensors(join(folder, 'a'), entries, () => [new Uint8Array(4)])).rejects.toThrow(
      'bytes',
    );
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('writePatchedFolder', () => {
  const patch = (model: Checkpoint, rows: number[]) => {
    const ref = model.tensors.get(EMBEDDING)!;
    const bytes = readRowBytes(ref, rows).map((byte) => byte ^ 0x55);
    return { ref, bytes, patches: new Map([[EMBEDDING, { rows, bytes }]]) };
  };

  it.each([SHARDED, HALF])('changes the bytes of the rows and nothing else: %s', async (from) => {
    const folder = join(temporary, `source-${sha256(Buffer.from(from)).slice(0, 8)}`);
    cpSync(from, folder, { recursive: true });
    for (const name of ['tokenizer.json', 'generation_config.json', 'chat_template.jinja', 'LICENSE'])
      writeFileSync(join(folder, name), name);
    for (const name of ['modeling.py', 'logo.PNG', 'LICENCE-third-party', 'preprocessor_config.json'])
      writeFileSync(join(folder, name), name);
    for (const name of [
      'pytorch_model.bin',
      'secret.whorl',
      'README.md',
      'x.gguf',
      '.env',
      'trainer_state.json',
    ])
      writeFileSync(join(folder, name), name);
    for (const name of ['golden.json', 'golden.safetensors']) rmSync(join(folder, name), { force: true });
    writeFileSync(join(folder, 'film.gif'), Buffer.alloc(11 * 2 ** 20));
    symlinkSync('/etc/hostname', join(folder, 'link.py'));
    mkdirSync(join(folder, 'original'));
    const model = openCheckpoint(folder);
    const rows = [3, 7, model.tensors.get(EMBEDDING)!.shape[0]! - 1];
    const { ref, bytes, patches } = patch(model, rows);
    const width = bytes.length / rows.length;
    const out = `${folder}-published`;
    await writePatchedFolder(model, out, patches, {
      also: (inside) => writeFileSync(join(inside, 'README.md'), 'card'),
    });
    const carried = [
      'LICENCE-third-party',
      'LICENSE',
      'README.md',
      'chat_template.jinja',
      'generation_config.json',
      'logo.PNG',
      'modeling.py',
      'preprocessor_config.json',
      'tokenizer.json',
    ];
    const notes: string[] = [];
    noteLeftOut(model, (event) => event.kind === 'note' && notes.push(event.text));
    expect(notes).toEqual([
      'not copied: ".env" (hidden)',
      'not copied: "film.gif" (above 10 MiB)',
      'not copied: "link.py" (a link)',
      'not copied: "original" (a folder)',
      'not copied: "pytorch_model.bin", "x.gguf" (weights that are not the ones opened)',
      'not copied: "secret.whorl", "trainer_state.json" (not a file that is published with a model)',
    ]);
    expect(readdirSync(out)).toEqual([...carried, ...model.files.map((file) => file.name)].sort());
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toBe('card');
    for (const name of readdirSync(out).filter((file) => file !== 'README.md')) {
      const expected = readFileSync(join(folder, name));
      if (join(model.folder, name) === ref.file)
        for (const [i, row] of rows.entries())
          expected.set(bytes.subarray(i * width, (i + 1) * width), ref.offset + row * width);
      expect(readFileSync(join(out, name)).equals(expected), name).toBe(true);
    }
    const published = openCheckpoint(out);
    expect(digestBody(published, [EMBEDDING])).toBe(digestBody(model, [EMBEDDING]));
    expect(digestCheckpoint(published)).not.toBe(digestCheckpoint(model));
    await expect(writePatchedFolder(model, out, patches)).rejects.toMatchObject({ code: 'exists' });
  });

  it('is absent when the source changes meanwhile, a link stands in it, or a row does not fit', async () => {
    const folder = join(temporary, 'unlucky');
    cpSync(HALF, folder, { recursive: true });
    const model = openCheckpoint(folder);
    const { patches } = patch(model, [1]);
    const out = join(temporary, 'never');
    const row = model.tensors.get(EMBEDDING)!.shape[0]!;
    const wrong = new Map([[EMBEDDING, { rows: [row], bytes: patches.get(EMBEDDING)!.bytes }]]);
    await expect(writePatchedFolder(model, out, wrong)).rejects.toMatchObject({ code: 'mismatch' });
    symlinkSync('/etc/hostname', join(folder, 'tokenizer.json'));
    await expect(writePatchedFolder(model, out, patches)).rejects.toMatchObject({ code: 'bad-file' });
    rmSync(join(folder, 'tokenizer.json'));
    const also = () => appendFileSync(join(folder, 'config.json'), ' ');
    await expect(writePatchedFolder(model, out, patches, { also })).rejects.toMatchObject({
      code: 'changed',
    });
    expect(existsSync(out)).toBe(false);
    expect(readdirSync(temporary).filter((name) => name.includes('tmp'))).toEqual([]);
  });
});

describe('mutated files', () => {
  const cases: [string, (path: string) => unknown][] = [
    ['bad-files/safetensors/good.safetensors', readSafetensorsHeader],
    ['bad-files/gguf/good-two.gguf', readGguf],
    ['models/llama-tied/model.safetensors', readSafetensorsHeader],
    ['gguf/tied-gqa-q4_1.gguf', readGguf],
  ];
  // What a mutation does to the bytes at some place of the first 4 KB, where the structure is.
  const mutation = fc.record({
    kind: fc.constantFrom('set', 'insert', 'delete', 'cut', 'u64'),
    at: fc.nat(4096),
    byte: fc.integer({ min: 0, max: 255 }),
    u64: fc.constantFrom(0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
  });
  it.each(cases)('%s: opens or says what is wrong', (file, open) => {
    const good = readFileSync(join(goldens, file));
    const path = join(temporary, 'mutant');
    let refused = 0;
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        let bytes: Buffer = Buffer.from(good);
        for (const m of mutations) {
          const at = m.at % Math.max(1, bytes.length);
          if (m.kind === 'set') bytes[at] = m.byte;
          else if (m.kind === 'cut') bytes = bytes.subarray(0, at);
          else if (m.kind === 'insert')
            bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([m.byte]), bytes.subarray(at)]);
          else if (m.kind === 'delete')
            bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
          else if (bytes.length >= 8) bytes.writeBigUInt64LE(m.u64, Math.min(at, bytes.length - 8));
        }
        writeFileSync(path, bytes);
        try {
          open(path);
        } catch (error) {
          if (!(error instanceof WhorlError)) throw error;
          refused++;
        }
      }),
      { numRuns: 250 },
    );
    expect(refused).toBeGreaterThan(25);
  });

  it.each(cases.slice(0, 2))('%s: cut anywhere is refused', (file, open) => {
    const good = readFileSync(join(goldens, file));
    const path = join(temporary, 'cut');
    for (let length = 0; length < good.length - 31; length++) {
      writeFileSync(path, good.subarray(0, length));
      expect(() => open(path), String(length)).toThrow(WhorlError);
    }
  });
});
