// .pt files: what torch wrote opens to torch's bytes; every crafted file says itself what must come of it; no
// prefix and no flipped bit gets through as anything but one typed error or the same values.

import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, test } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { Dict, Instance, type PickleValue } from '../../src/sources/checkpoints/pickle.ts';
import { readTorchFile } from '../../src/sources/checkpoints/torch-file.ts';
import { TorchTensor } from '../../src/sources/checkpoints/torch-tensor.ts';

const CLASSES = [
  'adapter.InstructionFingerprint',
  'torch.nn.modules.sparse.Embedding',
  'torch.nn.modules.linear.Linear',
];
const root = (path: string) => fileURLToPath(new URL(`../../goldens/${path}/`, import.meta.url));
const temporary = mkdtempSync(join(tmpdir(), 'whorl-torch-'));
afterAll(() => rmSync(temporary, { recursive: true }));

const golden = JSON.parse(readFileSync(`${root('torch')}golden.json`, 'utf8')) as Record<
  string,
  { tensors: Record<string, { dtype: string; shape: number[]; sha256: string }> }
>;

/** Tensors by dotted name, as torch's state_dict names them. */
function tensorsOf(value: PickleValue, prefix = ''): Map<string, TorchTensor> {
  const found = new Map<string, TorchTensor>();
  const add = (dict: Dict, at: string) => {
    for (const [key, item] of dict.entries) {
      if (item instanceof TorchTensor) found.set(at + String(key), item);
      else if (item instanceof Instance)
        for (const [name, tensor] of tensorsOf(item, `${at}${String(key)}.`)) found.set(name, tensor);
    }
  };
  if (value instanceof Dict) add(value, prefix);
  if (value instanceof Instance)
    for (const part of ['_parameters', '_modules']) add(value.state!.entries.get(part) as Dict, prefix);
  return found;
}

function outcome(path: string): { code: string | null; message: string } {
  try {
    readTorchFile(path, CLASSES, 'x.pt');
    return { code: null, message: '' };
  } catch (error) {
    if (!(error instanceof WhorlError)) throw error;
    return { code: error.code, message: error.message };
  }
}

describe('what torch wrote', () => {
  // legacy.pt is the same state in the layout before torch 1.6.
  test.each([
    ['paper-bf16'],
    ['paper-f32'],
    ['learned-f16'],
    ['state-dict'],
    ['views'],
    ['legacy', 'state-dict'],
  ])('%s', (name, of = name) => {
    const path = `${root('torch')}${name}.pt`;
    const bytes = readFileSync(path);
    const got = Object.fromEntries(
      [...tensorsOf(readTorchFile(path, CLASSES))].map(([key, tensor]) => {
        const { dtype, shape, offset, length } = tensor.ref(key);
        const sha256 = createHash('sha256')
          .update(bytes.subarray(offset, offset + length))
          .digest('hex');
        return [key, { dtype, shape, sha256 }];
      }),
    );
    expect(got).toEqual(golden[of]!.tensors);
  });

  test('a strided view and a dtype of no use here are refused by name', () => {
    const strided = tensorsOf(readTorchFile(`${root('torch')}strided.pt`, CLASSES)).get('t')!;
    expect(() => strided.ref('t')).toThrow(/t: the tensor is a strided view/);
    expect(outcome(`${root('torch')}double.pt`)).toEqual({
      code: 'unsupported',
      message: expect.stringContaining('torch.DoubleStorage') as string,
    });
  });

  test('a class that is not on the list is refused', () => {
    expect(() => readTorchFile(`${root('torch')}paper-f32.pt`, [])).toThrow(
      /"adapter.InstructionFingerprint" is not allowed/,
    );
  });
});

const corpus = readdirSync(root('bad-files/pickle'))
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -5));

describe('crafted files', () => {
  it.each(corpus)('%s', (name) => {
    const file = `${root('bad-files/pickle')}${name}`;
    const wanted = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as {
      code: string | null;
      contains: string;
    };
    const got = outcome(`${file}.pt`);
    expect(got).toEqual({ code: wanted.code, message: expect.stringContaining(wanted.contains) as string });
    expect(got.message).not.toMatch(/\p{Cc}/u);
    expect(got.message.length).toBeLessThan(600);
    expect(existsSync('/tmp/whorl-pwned')).toBe(false);
  });
});

describe('damage', () => {
  const path = `${root('torch')}state-dict.pt`;
  const bytes = readFileSync(path);
  const broken = join(temporary, 'broken.pt');

  test.each([
    ['crafted', `${root('bad-files/pickle')}good.pt`, 1],
    ["torch's old", `${root('torch')}legacy.pt`, 16],
    ["torch's", path, 16], // the file system is asked for each: every byte of the small one is enough
  ])('no prefix of a %s file opens', (_, from, step) => {
    const whole = readFileSync(from);
    writeFileSync(broken, whole);
    expect(outcome(broken).code).toBeNull();
    for (let length = whole.length - 1; length >= 0; length -= step) {
      truncateSync(broken, length);
      expect(outcome(broken).code, `${length} bytes`).not.toBeNull();
    }
  });

  test('a flipped bit is refused, or is one of those that say nothing', () => {
    const whole = [...tensorsOf(readTorchFile(path, CLASSES))].map(([name, t]) => [name, t.ref(name)]);
    let opened = 0;
    for (let bit = 0; bit < bytes.length * 8; bit += 499) {
      const copy = Buffer.from(bytes);
      copy[bit >> 3]! ^= 1 << (bit & 7);
      writeFileSync(broken, copy);
      if (outcome(broken).code !== null) continue;
      opened++; // times, versions and padding are under no CRC and mean nothing: the values must be the same
      const again = [...tensorsOf(readTorchFile(broken, CLASSES))].map(([name, t]) => [
        name,
        { ...t.ref(name), file: (whole[0]![1] as { file: string }).file },
      ]);
      expect(again, `bit ${bit}`).toEqual(whole);
    }
    expect(opened).toBeGreaterThan(0);
  });
});
