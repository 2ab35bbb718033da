// Compiled maps of SentencePiece: those that it wrote are taken; one that would end the process in native code is refused.
// Before the check a flipped bit here aborted Node (a panic in the tokenizer library).

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { charsmapFault } from '../../src/text/charsmap-check.ts';
import { readModel } from '../../src/text/sentencepiece-model.ts';
import { checkTokenizerJson } from '../../src/text/tokenizer-json.ts';

const charsmap = (name: string): Buffer => {
  const path = new URL(`../../goldens/tokenizers/${name}`, import.meta.url);
  return Buffer.from(readModel(readFileSync(path), name).charsmap!);
};
const fault = (bytes: Buffer): string | undefined => charsmapFault(bytes.toString('base64'));
/** The map with one unit of its trie (from 0) changed. */
const withUnit = (map: Buffer, unit: number, change: (value: number) => number): Buffer => {
  const copy = Buffer.from(map);
  const at = 4 + 4 * unit;
  copy.writeUInt32LE(change(copy.readUInt32LE(at)) >>> 0, at);
  return copy;
};

/** NFKC as T5 has it, and a small one of rules of its own. */
describe.each(['t5/spiece.model', 'sentencepiece/unigram.model'])('%s', (name) => {
  const map = charsmap(name);
  const size = map.readUInt32LE(0);

  test('is taken as it stands', () => expect(fault(map)).toBeUndefined());

  test('cut anywhere in the trie it is refused', () => {
    for (const length of [0, 3, 4, 5, size >> 1, size + 3])
      expect(fault(map.subarray(0, length)), String(length)).toMatch(/^(ends before|says a trie)/);
  });

  test('with a size that is none, or texts that are none', () => {
    const copy = Buffer.from(map);
    copy.writeUInt32LE(2 ** 32 - 1, 0);
    expect(fault(copy)).toMatch(/^says a trie of 4294967295 bytes/);
    expect(fault(Buffer.concat([map, Buffer.of(0xff)]))).toBe('has texts that are not UTF-8');
    copy.writeUInt32LE(0, 0);
    expect(fault(copy.subarray(0, 4))).toBe('has no trie');
  });

  test('with a root, or a place within, that leads beyond the trie', () => {
    expect(fault(withUnit(map, 0, (unit) => unit | 0x7fff_fc00))).toBe('leads out of its trie');
    const units = Array.from({ length: size >> 2 }, (_, i) => map.readUInt32LE(4 + 4 * i));
    const root = units[0]! >>> 10;
    const child = units.findIndex((unit, i) => i > 0 && (unit & 0x8000_00ff) >>> 0 === (i ^ root));
    expect(fault(withUnit(map, child, (unit) => unit | 0x7fff_fc00))).toBe('leads out of its trie');
  });

  test('with a value that lies beyond its texts', () => {
    const units = Array.from({ length: size >> 2 }, (_, i) => map.readUInt32LE(4 + 4 * i));
    const values = units.flatMap((unit, i) => (unit >>> 31 === 1 ? [i] : []));
    expect(values.length).toBeGreaterThan(0);
    const far = Buffer.from(map);
    for (const unit of values) far.writeUInt32LE(0xffff_ffff, 4 + 4 * unit);
    expect(fault(far)).toBe('leads out of its texts');
  });
});

test.each([null, 5, 'not base64!', [], undefined])('%j is refused wherever it stands', (value) => {
  const inner = { type: 'Precompiled', precompiled_charsmap: value };
  for (const normalizer of [inner, { type: 'Sequence', normalizers: [{ type: 'NFC' }, inner] }]) {
    const json = { model: { type: 'BPE', vocab: { a: 0 }, merges: [] }, normalizer };
    expect(() => checkTokenizerJson(json, 'tokenizer.json')).toThrow(/precompiled_charsmap/);
  }
});
